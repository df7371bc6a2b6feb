"""People set thresholds: a stand-in that publishes them, in place of the service that does."""

from collections.abc import Sequence

from tests.simulation.crossings import Level
from tests.simulation.judge import Judge
from tests.simulation.model import Books
from tests.simulation.people import Person
from tests.simulation.processes import Machine

from streambank.bank.events import ACCOUNT_THRESHOLDS, AccountThresholds, Currency, Direction, Scope, Threshold
from streambank.clock import to_datetime
from streambank.log import TopicPartition

ALERTS = "alerts"


class Thresholds:
    """Sets thresholds, one definition at a time.

    What a threshold begins with depends on which entries come before it, and between topics the log keeps no order. So
    a person who sets one first waits until all is settled that they did, and goes on once the alerts know of it.
    """

    def __init__(self, machine: Machine, books: Books, judge: Judge, people: Sequence[Person]) -> None:
        self._machine = machine
        self._books = books
        self._judge = judge
        self._people = people
        self._random = machine.chance.of("thresholds")
        self._setting: Person | None = None
        self._published: tuple[TopicPartition, int] | None = None
        self._since_ms = 0
        self._count = 0

    def act(self) -> None:
        """Begin a definition, or bring the one that was begun further."""
        if self._setting is None:
            having = [p for p in self._people if self._books.of(p.user_id) and not p.is_erased]
            if having and not self._machine.faults.healed:
                self._setting = self._random.choice(having)
                self._setting.is_held_back = True
        elif self._setting.is_erased:
            self._release()
        elif self._published is None:
            self._publish(self._setting)
        elif self._is_known(*self._published) and self._machine.clock.wall() > self._since_ms:
            self._release()

    def _publish(self, person: Person) -> None:
        accounts = self._books.of(person.user_id)
        self._judge.observe()
        if (
            person.pending is not None
            or self._books.is_moving(person.user_id)
            or not all(map(self._judge.is_settled, accounts))
            or self._lag()
        ):
            return
        account = self._random.choice(accounts)
        of_total = self._random.random() < 0.3
        scope_id = f"{person.user_id}:{account.currency}" if of_total else account.account_id
        present = self._judge.watched[scope_id].balance
        levels = tuple(self._level(present) for _ in range(self._random.choice((1, 2, 4))))
        # No entry so far is later than this, and none that is to come will be earlier.
        self._since_ms = self._books.see_time(self._machine.clock.wall()) + 1
        value = AccountThresholds(
            user_id=person.user_id,
            occurred_at=to_datetime(self._since_ms),
            recorded_at=to_datetime(self._since_ms),
            event_id=f"thresholds-{self._count}",
            scope=Scope.TOTAL if of_total else Scope.ACCOUNT,
            scope_id=scope_id,
            currency=Currency(account.currency),
            thresholds=tuple(
                Threshold(
                    threshold_id=level.threshold_id,
                    direction=Direction.BELOW if level.below else Direction.ABOVE,
                    level_minor=level.level,
                    rearm_margin_minor=level.margin,
                )
                for level in levels
            ),
        )
        with self._machine.log.producer().transaction() as transaction:
            ACCOUNT_THRESHOLDS.write(transaction, scope_id, value, self._since_ms)
        self._machine.on_durable()
        [(at, end)] = transaction.end_offsets.items()
        self._published = at, end
        self._judge.watched[scope_id].define(levels)
        self._machine.trace.add(self._machine.clock.monotonic(), person.name, "sets thresholds", str(levels))

    def _level(self, present: int) -> Level:
        self._count += 1
        level = present + self._random.randrange(-30_00, 30_00)
        margin = self._random.choice((0, 0, 0, 50_00))
        return Level(f"threshold-{self._count}", self._random.random() < 0.7, level, margin)

    def _lag(self) -> bool:
        committed = self._machine.log.committed(ALERTS)
        return any(self._machine.log.watermarks(at).high > position.offset for at, position in committed.items())

    def _is_known(self, at: TopicPartition, end: int) -> bool:
        position = self._machine.log.committed(ALERTS).get(at)
        return position is not None and position.offset >= end

    def _release(self) -> None:
        if self._setting is not None:
            self._setting.is_held_back = False
        self._setting = self._published = None
