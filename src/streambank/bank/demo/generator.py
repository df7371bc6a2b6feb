"""The demo's events: pure, and the same for the same seed, people, start and clock."""

import heapq
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from streambank.bank.demo.life import Planned, planned_day
from streambank.bank.demo.people import DemoAccount, Person, Purpose, person
from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_THRESHOLDS,
    BALANCE_CHANGED,
    USER_PROFILE,
    Account,
    AccountThresholds,
    BalanceChanged,
    CreditDebit,
    Direction,
    Origin,
    Scope,
    Threshold,
    UserProfile,
    total_id,
)
from streambank.clock import Clock, to_datetime, to_millis
from streambank.ids import derived_id
from streambank.streams.topic import Topic

ZONE_MARGIN_MS = 14 * 3_600_000
"""No time zone of the demo is so far from UTC: a local day's entries are all after its UTC midnight less this."""


class DemoEvent(NamedTuple):
    """A record to be written with ``topic.write``; ``timestamp`` is event time in ms."""

    topic: Topic[str, Any]
    key: str
    value: Any
    timestamp: int


class _Due(NamedTuple):
    """A planned entry with its moment; ``order`` keeps the plan's order within a moment."""

    at_ms: int
    order: int
    day: date
    person: Person
    plan: Planned


@dataclass(slots=True)
class _Held:
    """An account's balance in minor units and its last entry's number, as far as events were handed out."""

    balance_minor: int = 0
    last_seq: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where an account stands: for going on with a log that has entries already."""

    balance_minor: int
    last_seq: int


class Generator:
    """People and their transactions. First :meth:`history`, then :meth:`live`; or :meth:`resume`, then :meth:`live`.

    ``start`` is the first day of the history; ``clock`` gives ``recorded_at``, and the time of live entries.
    An entry's id derives from seed, account, day and what it is: a generator that makes a day again makes the same ids.
    """

    def __init__(self, seed: int, *, people: int, start: date, clock: Clock) -> None:
        if people < 1:
            raise ValueError(f"people must be at least 1, not {people}")
        self._seed = seed
        self._start = start
        self._clock = clock
        self._people = [person(seed, number) for number in range(people)]
        self._zones = {one.country.timezone: ZoneInfo(one.country.timezone) for one in self._people}
        # What was planned may be ahead of what was handed out, so decisions have balances of their own.
        self._planned: dict[str, int] = {}
        self._held: dict[str, _Held] = {}
        for one in self._people:
            for account in one.accounts:
                self._planned[account.account_id] = 0
                self._held[account.account_id] = _Held()
        self._order = 0
        self._next_day = start
        self._done: frozenset[str] = frozenset()

    @property
    def people(self) -> tuple[Person, ...]:
        """Everyone, by number."""
        return tuple(self._people)

    def history(self, days: int) -> Iterator[DemoEvent]:
        """Profiles, accounts and thresholds, then the entries of so many days in time order, of origin ``IMPORT``."""
        start_ms = _midnight(self._start)
        yield from self._introductions(start_ms)
        for one in self._people:
            for account in one.accounts:
                if account.opening_minor:
                    self._planned[account.account_id] += account.opening_minor
                    yield self._entry(_Due(start_ms, 0, self._start, one, _opening(account)), start_ms, Origin.IMPORT)
        end_ms = _midnight(self._start + timedelta(days=days))
        for due in self._by_time(days):
            # What is late in the evening west of Greenwich on the last day is moved before the end of the history.
            at_ms = min(max(due.at_ms, start_ms), end_ms - 1)
            yield self._entry(due, at_ms, Origin.IMPORT)
        self._next_day = self._start + timedelta(days=days)

    def resume(self, positions: Mapping[str, Position], next_day: date, done: Collection[str] = ()) -> None:
        """Go on from a log: where each account stands, and the day to live next.

        That day may have been lived in part: its entries whose ids are in ``done`` are passed over.
        """
        for account_id, position in positions.items():
            if account_id in self._held:
                self._held[account_id] = _Held(position.balance_minor, position.last_seq)
                self._planned[account_id] = position.balance_minor
        self._next_day = next_day
        self._done = frozenset(done)

    def live(self) -> Iterator[DemoEvent]:
        """Entries without end, of origin ``LIVE``: day after day of the people's lives, each as it is asked for.

        An entry's time is the clock's when it is handed out; ``end_to_end_id`` begins with the day that it is of.
        """
        while True:
            for due in sorted(self._day(self._next_day)):
                if self._done and self._entry_id(due) in self._done:
                    # The log's balance has this entry already; the plan has just counted it a second time.
                    self._planned[due.plan.account.account_id] -= due.plan.signed_minor
                    continue
                yield self._entry(due, self._clock(), Origin.LIVE)
            self._next_day += timedelta(days=1)
            self._done = frozenset()

    def _introductions(self, start_ms: int) -> Iterator[DemoEvent]:
        """Everyone's accounts, thresholds and profile. The profile is last: where it is, the others are."""
        now = to_datetime(self._clock())
        since = to_datetime(start_ms)
        for one in self._people:
            for account in one.accounts:
                opened = Account(
                    user_id=one.user_id,
                    occurred_at=since,
                    recorded_at=now,
                    event_id=derived_id("demo-opened", account.account_id),
                    account_id=account.account_id,
                    name=account.name,
                    currency=one.country.currency,
                    number_last4=account.number_last4,
                )
                yield DemoEvent(ACCOUNT, account.account_id, opened, start_ms)
            for scope, scope_id, thresholds in _thresholds(one, self._seed):
                rules = AccountThresholds(
                    user_id=one.user_id,
                    occurred_at=since,
                    recorded_at=now,
                    event_id=derived_id("demo-thresholds", scope_id),
                    scope=scope,
                    scope_id=scope_id,
                    currency=one.country.currency,
                    thresholds=thresholds,
                )
                yield DemoEvent(ACCOUNT_THRESHOLDS, scope_id, rules, start_ms)
            profile = UserProfile(
                user_id=one.user_id,
                occurred_at=since,
                recorded_at=now,
                event_id=derived_id("demo-profile", one.user_id),
                email=one.email,
                name=one.name,
                locale=one.country.locale,
                timezone=one.country.timezone,
            )
            yield DemoEvent(USER_PROFILE, one.user_id, profile, start_ms)

    def _by_time(self, days: int) -> Iterator[_Due]:
        waiting: list[_Due] = []
        for count in range(days):
            day = self._start + timedelta(days=count)
            for due in self._day(day):
                heapq.heappush(waiting, due)
            safe_ms = _midnight(day + timedelta(days=1)) - ZONE_MARGIN_MS
            while waiting and waiting[0].at_ms < safe_ms:
                yield heapq.heappop(waiting)
        while waiting:
            yield heapq.heappop(waiting)

    def _day(self, day: date) -> Iterator[_Due]:
        for one in self._people:
            midnight = datetime.combine(day, time(), self._zones[one.country.timezone])
            midnight_ms = to_millis(midnight)
            plans = planned_day(one, day, self._seed, self._planned)
            for place, plan in enumerate(plans):
                self._planned[plan.account.account_id] += plan.signed_minor
                self._order += 1
                seconds = place * 60 // len(plans)
                yield _Due(midnight_ms + (plan.minute * 60 + seconds) * 1000, self._order, day, one, plan)

    def _entry(self, due: _Due, at_ms: int, origin: Origin) -> DemoEvent:
        plan, account = due.plan, due.plan.account
        held = self._held[account.account_id]
        held.last_seq += 1
        held.balance_minor += plan.signed_minor
        moment = to_datetime(at_ms)
        entry = BalanceChanged(
            user_id=due.person.user_id,
            occurred_at=moment,
            recorded_at=to_datetime(self._clock()),
            entry_id=self._entry_id(due),
            account_id=account.account_id,
            account_seq=held.last_seq,
            credit_debit=CreditDebit.CREDIT if plan.signed_minor >= 0 else CreditDebit.DEBIT,
            amount_minor=abs(plan.signed_minor),
            currency=due.person.country.currency,
            booking_date=moment.date(),
            kind=plan.kind,
            category=plan.category,
            counterparty=plan.counterparty,
            end_to_end_id=f"{due.day.isoformat()}/{plan.tag}",
            remittance=plan.remittance,
            balance_after_minor=held.balance_minor,
            origin=origin,
        )
        return DemoEvent(BALANCE_CHANGED, account.account_id, entry, at_ms)

    def _entry_id(self, due: _Due) -> str:
        plan = due.plan
        return derived_id("demo-entry", str(self._seed), plan.account.account_id, due.day.isoformat(), plan.tag)


def _opening(account: DemoAccount) -> Planned:
    return Planned(
        account=account,
        tag="opening",
        signed_minor=account.opening_minor,
        minute=0,
        kind="OPENING",
        category="opening balance",
    )


def _thresholds(one: Person, seed: int) -> Iterator[tuple[Scope, str, tuple[Threshold, ...]]]:
    """Most people watch for little money in checking, some for much of it, a few for the total of all accounts."""
    random = Random(f"{seed}:{one.number}:thresholds")  # noqa: S311
    below, above, total = random.random() < 0.85, random.random() < 0.25, random.random() < 0.2 or one.number == 0
    salary, step = one.salary_minor, max(1, one.salary_minor // 20)

    def threshold(scope_id: str, direction: Direction, share: float) -> Threshold:
        level = round(salary * share / step) * step
        return Threshold(
            threshold_id=derived_id("demo-threshold", scope_id, direction.value),
            direction=direction,
            level_minor=level,
            rearm_margin_minor=max(1, round(salary * 0.05)),
        )

    rules: list[Threshold] = []
    low, high, all_of_it = random.uniform(0.1, 0.35), random.uniform(1.5, 2.1), random.uniform(0.15, 0.5)
    if below:
        rules.append(threshold(one.checking.account_id, Direction.BELOW, low))
    if above:
        rules.append(threshold(one.checking.account_id, Direction.ABOVE, high))
    if rules:
        yield Scope.ACCOUNT, one.checking.account_id, tuple(rules)
    if total:
        scope_id = total_id(one.user_id, one.country.currency)
        savings = one.account(Purpose.SAVINGS)
        base = (savings.opening_minor if savings is not None else 0) / salary
        yield Scope.TOTAL, scope_id, (threshold(scope_id, Direction.BELOW, base + all_of_it),)


def _midnight(day: date) -> int:
    return to_millis(datetime.combine(day, time(), UTC))
