"""One seed, one run: people, services, topologies and log in one thread, on a clock of their own.

1. Anything may fail. Every answer that people get, and all that is published, has to be right.
2. All heals. Everything has to converge: the model, the ledger, the balances, the alerts, the e-mails, the goals and
   what people are shown agree.
"""

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tests.simulation.bank import Bank
from tests.simulation.chance import HOUR_MS, Chance
from tests.simulation.judge import Judge
from tests.simulation.log import restore, snapshot, values_of
from tests.simulation.model import Books
from tests.simulation.people import Person
from tests.simulation.processes import (
    Machine,
    Notifications,
    Payments,
    Personalization,
    Process,
    TopologyProcess,
    Transactions,
    Users,
    Views,
)
from tests.simulation.shown import Shown
from tests.simulation.verdict import require

from streambank.bank.events import (
    ALERT_NOTIFICATION,
    MAIL_REQUESTED,
    TOPICS,
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    TRANSFER_SCREENED,
)
from streambank.bank.notifications.service import GROUP as NOTIFICATIONS
from streambank.bank.payments.service import NAME as PAYMENTS
from streambank.bank.personalization.service import NAME as PERSONALIZATION
from streambank.bank.topologies import alerts, balances, figures, goals, screening
from streambank.bank.transactions.service import NAME as TRANSACTIONS
from streambank.bank.views.service import NAME as VIEWS
from streambank.log import FencedError, GroupMetadata, OffsetAndMetadata, TopicPartition

PEOPLE = 4
QUIET_ROUNDS = 25
"""Rounds of half a second in which nothing happens: longer than a session, so that who has gone is known to be."""

STILL_ROUNDS = 3
"""The same where nobody has gone."""

IDLE_MS = 2.5 * HOUR_MS
"""How long, on average, nobody does anything."""

HEALING_ROUNDS_MAX = 2_000
REPEATED = (ALERT_NOTIFICATION, MAIL_REQUESTED, TRANSFER_INSTRUCTED, TRANSFER_OUTCOME, TRANSFER_SCREENED)
"""Topics whose readers know a record by its id: a producer may write one twice."""

SERVICES = (TRANSACTIONS, PAYMENTS, PERSONALIZATION, VIEWS, NOTIFICATIONS)
"""The groups of those that read the log: each keeps in its database how far."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    seed: int
    hours: float
    digest: str
    summary: str
    counts: dict[str, int]


class SimulationFailedError(AssertionError):
    """A run found a fault; the text says how to repeat it."""


def simulate(seed: int, hours: float) -> Outcome:
    """Run a seed for so many simulated hours. Raises SimulationFailedError."""
    # In memory where that can be: the disk's own time is not what is tested.
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    simulation = Simulation(seed, folder)
    try:
        with simulation.machine.trace.with_logs():
            return simulation.run(hours)
    except Exception as error:
        raise SimulationFailedError(
            f"seed {seed}: {type(error).__name__}: {error}\n\n{simulation.machine.trace.last}\n\n"
            f"again: make sim SEED={seed} HOURS={hours:g}"
        ) from error
    finally:
        simulation.close()
        shutil.rmtree(folder)


class Simulation:
    """The world of one seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.machine = machine = Machine(Chance(seed), folder)
        machine.log.create_topics(topic.config for topic in (*TOPICS, alerts.UNADDRESSED))
        machine.on_durable, machine.on_pause = self._made_durable, self._pause
        self._random = machine.chance.of("schedule")
        workers = self._random.choice((1, 2))
        seldom: list[Process] = [
            Users(machine, 1),
            Views(machine, 1),
            TopologyProcess(machine, "figures", 1, figures.build),
        ]
        self._often: list[Process] = [
            *(Transactions(machine, n + 1) for n in range(workers)),
            *(Payments(machine, n + 1) for n in range(self._random.choice((1, 2)))),
            *(Personalization(machine, n + 1) for n in range(self._random.choice((1, 2)))),
            *(Notifications(machine, n + 1) for n in range(self._random.choice((1, 2)))),
            *(TopologyProcess(machine, "balances", n + 1, balances.build) for n in range(workers)),
            *(TopologyProcess(machine, "alerts", n + 1, alerts.build) for n in range(workers)),
            *(TopologyProcess(machine, "goals", n + 1, goals.build) for n in range(workers)),
        ]
        if machine.screening == "topic":
            self._often.append(TopologyProcess(machine, "screening", 1, screening.build))
        self.processes = [*seldom, *self._often]
        self.books = Books()
        self.bank = Bank(machine, self.processes)
        self.judge = Judge(machine, self.books)
        self.people = [Person(n + 1, machine, self.bank, self.books, self.judge) for n in range(PEOPLE)]
        for person in self.people:
            person.others = [other for other in self.people if other is not person]
        self._held: bytes | None = None
        self._cut_armed = False
        self._logs = 0
        self._pausing = False

    def close(self) -> None:
        """Let go of all that is open."""
        self.machine.faults.heal()
        for process in self.processes:
            process.end(noticed=True)
        self.machine.log.close()

    def run(self, hours: float) -> Outcome:
        """Both phases."""
        machine = self.machine
        while machine.clock.monotonic() < hours * HOUR_MS:
            self._round()
        self._heal()
        passed = machine.clock.monotonic() / HOUR_MS
        counts = dict(sorted(machine.trace.counts.items()))
        machine.trace.add(machine.clock.monotonic(), "judge", "concluded", self.judge.summary())
        return Outcome(self.seed, passed, machine.trace.digest(), self.judge.summary(), counts)

    # While anything may fail.

    def _round(self) -> None:
        """Some things happen, in an order that is drawn, and then the judge looks."""
        for _ in range(self._random.randrange(4, 40)):
            self._random.choice((self._someone_acts, self._something_runs, self._something_runs))()
            self._pass_ms(self._random.choice((0, 1, 20, 300)))
        self._misfortune()
        self.judge.observe()
        # Not while an answer is open: whoever asks again does so within the day.
        if not any(person.is_waiting for person in self.people):
            self.machine.clock.skip_ms(int(self._random.expovariate(1 / IDLE_MS)))
        self.books.see_time(self.machine.clock.wall())

    def _someone_acts(self) -> None:
        self._random.choice(self.people).act()

    def _something_runs(self) -> None:
        # The users service has the least to do, and its round is the longest; for figures nobody waits.
        process = self._random.choice(self.processes if self._random.random() < 0.2 else self._often)
        now_ms = self.machine.clock.monotonic()
        if process.busy_until_ms > now_ms:
            return
        if not process.is_up:
            process.start()
        elif self._strikes("stall", process.name):
            process.busy_until_ms = now_ms + self._random.randrange(60_000)
        elif self._strikes("stop", process.name):
            process.stop()
        else:
            process.step()

    def _strikes(self, fault: str, who: str) -> bool:
        faults = self.machine.faults
        return faults.strikes(getattr(faults.rates, fault), who, fault.replace("_", " "))

    def _misfortune(self) -> None:
        """What befalls the machine and not one process of it."""
        clock = self.machine.clock
        if self._cut_armed and self._held is not None and self._random.random() < 0.3:
            self._power_cut(self._held)
        elif not self._cut_armed and self._strikes("power_cut", "machine"):
            self._cut_armed = True
        if self._strikes("clock_set", "machine"):
            clock.set_by_ms(self._random.choice((-5_000, -500, 700, 60_000, 3 * HOUR_MS)))
        if self._strikes("suspend", "machine"):
            self._pass_ms(self._random.randrange(HOUR_MS))
        if self._strikes("repeat", "machine"):
            self._repeat()
        if self._random.random() < 0.002:
            self._random.choice(self.people).leave()
        if self._random.random() < 0.01:
            # Before anything is gone that nobody has looked at.
            self.judge.observe()
            self.machine.log.clean()

    def _power_cut(self, held: bytes) -> None:
        """All ends at once, and of the log there is what was made durable; databases are always durable."""
        machine = self.machine
        self._cut_armed, self._held = False, None
        for process in self.processes:
            process.end(noticed=True)
        machine.log.close()
        self._logs += 1
        machine.log = machine.new_log(self._logs)
        restore(machine.log, held)
        self.judge.begin_again()

    def _made_durable(self) -> None:
        if self._cut_armed:
            self._held = snapshot(self.machine.log)

    def _pause(self, who: str) -> None:
        """A process is held up for a while, and the others go on."""
        if self._pausing:
            return
        self._pausing = True
        try:
            self._pass_ms(self._random.randrange(20_000))
            for process in self.processes:
                if process.name != who and process.is_up and self._random.random() < 0.7:
                    process.step()
        finally:
            self._pausing = False

    def _repeat(self) -> None:
        """A record is written once more; or a group's positions go back, as far as nobody forbids that."""
        if self._random.random() < 0.2:
            self._put_back()
            return
        log, topic = self.machine.log, self._random.choice(REPEATED)
        at = TopicPartition(topic.name, self._random.randrange(topic.partitions))
        low, high = log.watermarks(at)
        if high > low:
            record = next(iter(log.read(at, self._random.randrange(low, high), 1)))
            with log.producer().transaction() as transaction:
                transaction.append(
                    at.topic, record.value, timestamp=record.timestamp, key=record.key, partition=at.partition
                )
            self._made_durable()

    def _put_back(self) -> None:
        """The log forgets how far a service had read: that counts in the service's own database."""
        log, group = self.machine.log, self._random.choice(SERVICES)
        offsets = {at: OffsetAndMetadata(log.watermarks(at).low) for at in log.committed(group)}
        with suppress(FencedError), log.producer().transaction() as transaction:
            transaction.commit_offsets(GroupMetadata(group), offsets)

    def _pass_ms(self, duration_ms: int) -> None:
        self.machine.clock.pass_ms(duration_ms)
        self.books.see_time(self.machine.clock.wall())

    # Once all heals.

    def _heal(self) -> None:
        machine = self.machine
        machine.faults.heal()
        machine.trace.add(machine.clock.monotonic(), "machine", "heals")
        self._until_quiet(QUIET_ROUNDS, act=True)
        # Retries, and what has a time. A transfer waits the longest: a week for its payee.
        for _ in range(9):
            machine.clock.skip_ms(25 * HOUR_MS)
            self._until_quiet(STILL_ROUNDS, act=False)
        now_ms = self.books.see_time(machine.clock.wall())
        for account in self.books.accounts.values():
            if account.user not in self.books.erased:
                account.end_due(now_ms)
        self.judge.conclude(self._dead_letters())
        self._ledger_is_whole()
        shown = Shown(self.bank, self.books, machine.clock.wall())
        shown.goals(self.judge.goals.conclude())
        shown.figures(self.judge.facts)
        for person in self.people:
            person.look_everywhere()

    def _until_quiet(self, rounds: int, *, act: bool) -> None:
        quiet = 0
        for _ in range(HEALING_ROUNDS_MAX):
            self._pass_ms(500)
            done = 0
            for process in self.processes:
                if process.is_up:
                    done += process.step()
                else:
                    process.start()
                    done += 1
            if act:
                for person in self.people:
                    person.act(quietly=True)
            self.judge.observe()
            waiting = any(person.is_waiting for person in self.people)
            quiet = quiet + 1 if not done and not waiting else 0
            if quiet >= rounds:
                return
        require(False, f"nothing comes to rest within {HEALING_ROUNDS_MAX / 2:.0f} s")

    def _dead_letters(self) -> dict[str, list[Any]]:
        log = self.machine.log
        letters = {name: config for name, config in log.topics().items() if name.endswith(".dlq")}
        return {name: values_of(log, name, config.partitions, {}) for name, config in letters.items()}

    def _ledger_is_whole(self) -> None:
        """Debits are credits: in all ledgers together, and in each transaction."""
        process = next(process for process in self.processes if isinstance(process, Transactions))
        assert process.database is not None
        with process.database.read() as connection:
            sums = connection.execute(
                text("SELECT journal_num, currency, status, sum(signed_minor) FROM posting GROUP BY 1, 2, 3")
            ).all()
        require(all(row[3] == 0 for row in sums), f"transactions that do not sum to nothing: {sums}")
