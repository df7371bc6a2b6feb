"""What the demo's people do with their money: pure, and the same for the same seed, people and start."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from streambank.bank.demo.life import Planned, planned_day
from streambank.bank.demo.people import DemoAccount, Person, Purpose, person
from streambank.bank.demo.sharing import Payment, friends_of, shared
from streambank.bank.events import Origin
from streambank.clock import Clock, to_datetime, to_millis

CATCH_UP_DAYS = 31
"""Who stands further behind the others than that goes on with them: otherwise the demo would be theirs for a while."""

PAID_AFTER_MS = 3 * 3_600_000
"""A shared bill is settled some hours later."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that a person's bank is to book. ``day`` is that of their life which it is of; ``at_ms``, when."""

    person: Person
    plan: Planned
    day: date
    at_ms: int
    origin: Origin

    @property
    def reference(self) -> str:
        """What it is called within its account; the same however often the day is made."""
        return _reference(self.day, self.plan)

    @property
    def booking_date(self) -> date:
        """The day where the person lives."""
        return to_datetime(self.at_ms).astimezone(ZoneInfo(self.person.country.timezone)).date()


Deed: TypeAlias = Entry | Payment
"""What people do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person stands with the bank: their balances, the last day of theirs that it knows, and its entries.

    ``day`` None: the bank knows none beyond the history. ``done``: the day's entries by account and reference.
    """

    balances: Mapping[Purpose, int]
    day: date | None = None
    done: frozenset[tuple[Purpose, str]] = frozenset()


@dataclass(slots=True)
class _Life:
    """How far a person's life was made. ``balances`` count what was planned, though it may not be handed out yet."""

    person: Person
    next_day: date
    balances: dict[Purpose, int]
    done: frozenset[tuple[Purpose, str]] = frozenset()
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.person.country.timezone)


class Generator:
    """People and their entries. First everyone's :meth:`history`, or :meth:`resume`; then :meth:`live`.

    ``start`` is the first day of the history, and ``clock`` gives live entries their time. People's histories are
    apart from each other, and may be made by several threads at once.

    Raises:
        ValueError: there are no people.
    """

    def __init__(self, seed: int, *, people: int, start: date, clock: Clock) -> None:
        if people < 1:
            raise ValueError(f"people must be at least 1, not {people}")
        self._seed = seed
        self._start = start
        self._clock = clock
        everyone = [person(seed, number) for number in range(people)]
        self._friends = [friends_of(one, everyone) for one in everyone]
        self._lives = [_Life(one, start, {account.purpose: 0 for account in one.accounts}) for one in everyone]

    @property
    def people(self) -> tuple[Person, ...]:
        """Everyone, by number."""
        return tuple(life.person for life in self._lives)

    def history(self, one: Person, days: int) -> Iterator[Entry]:
        """A person's entries of so many days in time order, of origin ``IMPORT``, with what their accounts had before.

        All are from the start's midnight on, and before the midnight that follows the last day, both UTC.
        """
        life = self._lives[one.number]
        at_ms, end_ms = _midnight(self._start), _midnight(self._start + timedelta(days=days))
        for account in one.accounts:
            if account.opening_minor:
                life.balances[account.purpose] += account.opening_minor
                yield Entry(one, _opening(account), self._start, at_ms, Origin.IMPORT)
        for day in (self._start + timedelta(days=count) for count in range(days)):
            for planned_ms, plan in self._day(life, day):
                # What is late in the evening west of Greenwich on the last day is moved before the end of the history.
                # Where clocks are set forward, an evening may run into the next morning.
                at_ms = max(at_ms, min(planned_ms, end_ms - 1))
                yield Entry(one, plan, day, at_ms, Origin.IMPORT)
        life.next_day = self._start + timedelta(days=days)

    def resume(self, places: Mapping[int, Place], end: date) -> None:
        """Go on where people stand, by their numbers; ``end`` is the day after the history.

        The rest of a day that was begun is lived. People of whom the bank knows only the history join the others.
        """
        latest = max((place.day for place in places.values() if place.day is not None), default=end)
        for number, place in places.items():
            life = self._lives[number]
            life.balances = {**life.balances, **place.balances}
            life.next_day = max(place.day or latest, latest - timedelta(days=CATCH_UP_DAYS))
            life.done = place.done if life.next_day == place.day else frozenset()

    def live(self) -> Iterator[Deed]:
        """What people do without end: day after day of their lives, each as it is asked for. Entries are ``LIVE``.

        An entry's time is the clock's when it is handed out; its reference begins with the day that it is of. Who
        shares a bill pays their part on the same day, if they can afford it.
        """
        day = min(life.next_day for life in self._lives)
        while True:
            # What somebody does within a moment stays in its order.
            for _, _, deed in sorted(self._deeds(day), key=lambda due: due[:2]):
                if isinstance(deed, Payment):
                    yield deed
                else:
                    yield Entry(*deed, day, self._clock(), Origin.LIVE)
            day += timedelta(days=1)

    def take_back(self, deeds: Iterable[Deed]) -> None:
        """These came to nothing after all."""
        for deed in deeds:
            if isinstance(deed, Payment):
                self._move(deed, -deed.amount_minor)
            else:
                self._lives[deed.person.number].balances[deed.plan.account.purpose] -= deed.plan.signed_minor

    def _deeds(self, day: date) -> Iterator[tuple[int, int, Payment | tuple[Person, Planned]]]:
        """What everybody does on a day who lives it: each with its time in ms, and the number of who does it."""
        for life in self._lives:
            one = life.person
            for at_ms, plan in self._day(life, day) if life.next_day <= day else ():
                yield at_ms, one.number, (one, plan)
                payment = shared(one, plan, day, self._friends[one.number], self._seed)
                if payment is not None and self._can_afford(payment):
                    self._move(payment, payment.amount_minor)
                    yield at_ms + PAID_AFTER_MS, payment.payer.number, payment

    def _can_afford(self, payment: Payment) -> bool:
        checking = payment.payer.checking
        after = self._lives[payment.payer.number].balances[checking.purpose] - payment.amount_minor
        return after >= -checking.overdraft_limit_minor

    def _move(self, payment: Payment, amount_minor: int) -> None:
        self._lives[payment.payer.number].balances[Purpose.CHECKING] -= amount_minor
        self._lives[payment.payee.number].balances[Purpose.CHECKING] += amount_minor

    def _day(self, life: _Life, day: date) -> list[tuple[int, Planned]]:
        """What is new on a person's day, with its time in ms; it counts as done from then on."""
        midnight_ms = to_millis(datetime.combine(day, time(), life.zone))
        plans = planned_day(life.person, day, self._seed, life.balances)
        new = []
        for place, plan in enumerate(plans):
            if (plan.account.purpose, _reference(day, plan)) in life.done:
                continue
            life.balances[plan.account.purpose] += plan.signed_minor
            new.append((midnight_ms + (plan.minute * 60 + place * 60 // len(plans)) * 1000, plan))
        life.done = frozenset()
        return new


def _reference(day: date, plan: Planned) -> str:
    return f"{day.isoformat()}/{plan.tag}"


def _opening(account: DemoAccount) -> Planned:
    return Planned(
        account=account,
        tag="opening",
        signed_minor=account.opening_minor,
        minute=0,
        kind="OPENING",
        category="opening balance",
    )


def _midnight(day: date) -> int:
    return to_millis(datetime.combine(day, time(), UTC))
