"""What is kept of a user for their goals, and what a record changes of it.

Four stores, all by user, so that one task has all of a user: who they are and what they plan, where their goals stand
and what their accounts hold, what they spent (by currency and category), and in which categories that is. Only the
second is written for every entry, and one or two rows of the third: some hundred bytes.

What is spent is kept whether or not there is a goal: one that is defined in the midst of a month has to know.
"""

from collections.abc import Iterable, Mapping, Set
from datetime import date, datetime
from typing import NamedTuple

import msgspec
from iso4217 import Currency
from msgspec.structs import replace

from streambank.bank.days import entry_day, local_day
from streambank.bank.events import EntrySummary, GoalMarked, GoalProgress, Origin, SavingsGoal, UserGoals, UserProfile
from streambank.bank.events.money import within_int64
from streambank.bank.plans import Plan
from streambank.bank.spending import ALL
from streambank.bank.topologies import goal_progress
from streambank.bank.topologies.goal_progress import Spending, Standing
from streambank.bank.topologies.spent import Spent, add, between, is_kept
from streambank.clock import to_datetime, to_millis
from streambank.ids import derived_id
from streambank.streams import STRING, JsonSerde, ProcessorContext, StoreSpec


class Person(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a user lives and what they plan. Nothing is kept of who was ``erased`` but that."""

    timezone: str = "UTC"
    plans: UserGoals | None = None
    erased: bool = False


class Standings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a user's goals stand, in the order of their plans; and by account its currency and balance.

    ``now_ms`` is the latest time at which something of theirs was recorded: what is present to them.
    """

    now_ms: int = 0
    accounts: dict[str, tuple[str, int]] = {}
    goals: tuple[Standing, ...] = ()


PEOPLE = StoreSpec("goal-people", STRING, JsonSerde(Person))
STANDINGS = StoreSpec("goal-standings", STRING, JsonSerde(Standings))
SPENT = StoreSpec("goal-spent", STRING, JsonSerde(Spent))
CATEGORIES = StoreSpec("goal-categories", STRING, JsonSerde(tuple[str, ...]))
STORES = (PEOPLE, STANDINGS, SPENT, CATEGORIES)


class Told(msgspec.Struct, frozen=True, gc=False):
    """What follows from a record: how far goals are, marks that they came to, and the ids of goals that are no more."""

    progress: tuple[GoalProgress, ...] = ()
    marks: tuple[GoalMarked, ...] = ()
    ended: tuple[str, ...] = ()


class Cause(NamedTuple):
    """The event that something follows from."""

    id: str
    occurred_at: datetime
    recorded_at: datetime


class Entered(NamedTuple):
    """An entry: what it adds to what was spent, by category; and what its account holds after it.

    ``balance_minor`` None: it was there before, and only counts into other categories now.
    """

    cause: Cause
    entry: EntrySummary
    currency: Currency
    booking_date: date
    spent: Mapping[str, int]
    balance_minor: int | None = None


class Keeper:
    """One user as a record is handled. Everything is computed before anything is put."""

    def __init__(self, user_id: str, context: ProcessorContext[str, Told]) -> None:
        self.user_id = user_id
        self._people, self._standings, self._spent, self._categories = (context.store(spec.name) for spec in STORES)
        self.person: Person = self._people.get(user_id) or Person()
        self._kept: Standings = self._standings.get(user_id) or Standings()

    def enter(self, entered: Entered) -> Told:
        """An entry was booked, or counts into other categories."""
        cause, entry, currency, _, spent, balance_minor = entered
        now_ms, today = self._present(cause)
        day = entry_day(entry.occurred_at, entered.booking_date, self.person.timezone)
        accounts = self._kept.accounts
        if balance_minor is not None:
            accounts = {**accounts, entry.account_id: (currency.value, balance_minor)}
        rows = self._spent_after(currency, day, spent, today) if is_kept(day, today) else {}
        before, goals, marks = self._kept.goals, list[Standing](), list[GoalMarked]()
        for plan, was in zip(plans_of(self.person), before, strict=True):
            standing = moved = goal_progress.move_on(plan, was, self._spending(plan), today)
            if isinstance(plan, SavingsGoal):
                if balance_minor is not None and entry.account_id in plan.account_ids:
                    standing = replace(moved, amount_minor=_saved(plan, accounts))
            elif plan.currency is currency:
                minor = sum(spent.get(category, 0) for category in categories_of(plan))
                standing = goal_progress.spend(plan, moved, day, minor) if minor else moved
            if standing != moved and goal_progress.is_present(plan, standing, day, today):
                live = entry.origin is Origin.LIVE and to_millis(cause.recorded_at) >= standing.defined_ms
                standing, mark = goal_progress.tell(plan, standing, live=live)
                if mark is not None:
                    marks.append(self._marked(plan, standing, mark, entered))
            goals.append(standing)
        told = Told(self._progress(cause, before, goals), tuple(marks))
        for name, row in rows.items():
            self._put_spent(name, row)
        self._standings.put(self.user_id, Standings(now_ms, accounts, tuple(goals)))
        return told

    def plan(self, plans: UserGoals) -> Told:
        """The user plans something else than before."""
        cause = Cause(plans.event_id, plans.occurred_at, plans.recorded_at)
        now_ms, today = self._present(cause)
        defined_ms = to_millis(cause.recorded_at)
        old = {plan.goal_id: (plan, was) for plan, was in zip(plans_of(self.person), self._kept.goals, strict=True)}
        self.person = replace(self.person, plans=plans)
        before, goals = list[Standing | None](), list[Standing]()
        for plan in plans_of(self.person):
            amount = _saved(plan, self._kept.accounts) if isinstance(plan, SavingsGoal) else self._spending(plan)
            if plan.goal_id not in old:
                before.append(None)
                goals.append(goal_progress.begin(plan, amount, today, defined_ms))
            else:
                known, was = old.pop(plan.goal_id)
                moved = goal_progress.move_on(known, was, self._spending(known), today)
                before.append(was if known == plan else None)
                goals.append(goal_progress.change(known, plan, moved, amount, today, defined_ms))
        told = Told(self._progress(cause, before, goals), ended=tuple(old))
        self._people.put(self.user_id, self.person)
        self._standings.put(self.user_id, Standings(now_ms, self._kept.accounts, tuple(goals)))
        return told

    def move(self, profile: UserProfile) -> None:
        """The user lives where the profile says. What was spent stays on the days that it was on."""
        if profile.timezone != self.person.timezone:
            self._people.put(self.user_id, replace(self.person, timezone=profile.timezone))

    def forget(self) -> Told:
        """The user was erased."""
        ended = tuple(standing.goal_id for standing in self._kept.goals)
        for name in self._categories.delete(self.user_id) or ():
            self._spent.delete(self._row(name))
        self._standings.delete(self.user_id)
        self._people.put(self.user_id, Person(erased=True))
        return Told(ended=ended)

    def _present(self, cause: Cause) -> tuple[int, date]:
        """The user's present, in milliseconds since the epoch, and the day that they have then."""
        now_ms = max(self._kept.now_ms, to_millis(cause.recorded_at))
        return now_ms, local_day(to_datetime(now_ms), self.person.timezone)

    def _spending(self, plan: Plan) -> Spending:
        def spending(first: date, last: date) -> int:
            names = (f"{plan.currency.value}\x1f{category}" for category in categories_of(plan))
            rows = (self._spent.get(self._row(name)) for name in names)
            return within_int64(sum(between(row, first, last) for row in rows if row is not None))

        return spending

    def _spent_after(self, currency: Currency, day: date, spent: Mapping[str, int], today: date) -> dict[str, Spent]:
        rows = {}
        for category, minor in spent.items():
            if minor:
                name = f"{currency.value}\x1f{category}"
                rows[name] = add(self._spent.get(self._row(name)) or Spent(), day, minor, today)
        return rows

    def _put_spent(self, name: str, row: Spent) -> None:
        key = self._row(name)
        if key not in self._spent:
            self._categories.put(self.user_id, (*(self._categories.get(self.user_id) or ()), name))
        self._spent.put(key, row)

    def _row(self, name: str) -> str:
        return f"{self.user_id}\x1f{name}"

    def _progress(
        self, cause: Cause, before: Iterable[Standing | None], after: Iterable[Standing]
    ) -> tuple[GoalProgress, ...]:
        """The progress of those goals that are elsewhere than before; None: that are defined otherwise."""
        plans = plans_of(self.person)
        return tuple(
            self._progressed(cause, plan, new)
            for plan, old, new in zip(plans, before, after, strict=True)
            if old is None or _figures(old) != _figures(new)
        )

    def _progressed(self, cause: Cause, plan: Plan, standing: Standing) -> GoalProgress:
        return GoalProgress(
            user_id=self.user_id,
            occurred_at=cause.occurred_at,
            recorded_at=cause.recorded_at,
            event_id=derived_id("goal-progress", plan.goal_id, cause.id),
            goal_id=plan.goal_id,
            kind=goal_progress.kind_of(plan),
            currency=plan.currency,
            target_minor=goal_progress.target_minor(plan, standing),
            amount_minor=standing.amount_minor,
            carried_minor=standing.carried_minor,
            period_start=standing.start,
            period_end=goal_progress.period_end(plan, standing),
        )

    def _marked(self, plan: Plan, standing: Standing, mark: int, entered: Entered) -> GoalMarked:
        cause = entered.cause
        start = "" if standing.start is None else standing.start.isoformat()
        # Of another target the mark is another one. One that may be told again is told of this event.
        again = (cause.id,) if plan.again_after_refund else ()
        return GoalMarked(
            user_id=self.user_id,
            occurred_at=cause.occurred_at,
            recorded_at=cause.recorded_at,
            mark_id=derived_id("goal-mark", plan.goal_id, start, str(plan.target_minor), str(mark), *again),
            goal_id=plan.goal_id,
            name=plan.name,
            kind=goal_progress.kind_of(plan),
            currency=plan.currency,
            mark=mark,
            target_minor=goal_progress.target_minor(plan, standing),
            amount_minor=standing.amount_minor,
            entry=entered.entry,
            period_start=standing.start,
            period_end=goal_progress.period_end(plan, standing),
        )


def _figures(standing: Standing) -> tuple[int, int, date | None]:
    return standing.amount_minor, standing.carried_minor, standing.start


def _saved(plan: SavingsGoal, accounts: Mapping[str, tuple[str, int]]) -> int:
    """What the goal's accounts hold together, of those in its currency."""
    held = (accounts.get(account_id, ("", 0)) for account_id in set(plan.account_ids))
    return within_int64(sum(minor for currency, minor in held if currency == plan.currency.value))


def plans_of(person: Person) -> tuple[Plan, ...]:
    """All that a user plans."""
    plans = person.plans
    return () if plans is None else (*plans.budgets, *plans.savings, *plans.spending)


def categories_of(plan: Plan) -> Set[str]:
    """The categories whose spending counts for a budget or a spending goal, each once."""
    return set() if isinstance(plan, SavingsGoal) else set(plan.category_ids) or {ALL}
