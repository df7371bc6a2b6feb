"""The model of goals: what counts for them, and when a mark is told. Own code, by the rules in the documentation.

A goal is followed from one record of ``goal.progress`` to the next. Each follows from one event, an entry or another
plan, so that what it has to say, and whether a mark is due with it, is known without knowing in which order the bank
read the entries of several accounts. That none was left out is seen at the end, by the sums.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.simulation.plans import Goal


@dataclass(frozen=True, slots=True)
class Fact:
    """A booked entry, as it was published; ``kind`` is what the bank calls it."""

    entry_id: str
    account_id: str
    user: str
    currency: str
    signed: int
    category: str | None
    kind: str | None
    is_reversal: bool
    occurred_at: datetime
    recorded_at: datetime

    @property
    def came_in(self) -> int:
        """How much of it is income: what was paid by somebody else, less what of that was taken back."""
        is_income = (self.signed > 0) is not self.is_reversal
        return self.signed if is_income and self.kind != "INTERNAL_TRANSFER" else 0

    @property
    def went_out(self) -> int:
        """How much of it is expense, less what of that came back."""
        return 0 if self.came_in or self.kind == "INTERNAL_TRANSFER" else -self.signed

    def counts_for(self, goal: Goal) -> int:
        """What it adds to a goal, on whatever day."""
        if goal.accounts:
            return self.signed if self.account_id in goal.accounts else 0
        if self.currency != goal.currency:
            return 0
        if not goal.categories:
            return self.went_out
        return -self.signed if self.category in goal.categories else 0

    def day(self, zone: str) -> date:
        """The day that it was where its user lives."""
        return day_of(self.occurred_at, zone)


def day_of(moment: datetime, zone: str) -> date:
    """The day that it is then in a time zone."""
    return moment.astimezone(ZoneInfo(zone)).date()


def period_of(goal: Goal, day: date) -> tuple[date, date]:
    """The first and last day of the period that a day is in."""
    if goal.period == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=6)
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a goal is; ``start`` is the first day of a budget's period."""

    amount: int
    carried: int = 0
    start: date | None = None


def left(goal: Goal, progress: Progress, start: date) -> int:
    """What is carried over into a later period, if nothing more is spent before that."""
    if not goal.carry_over or progress.start is None:
        return 0
    first, carried, spent = progress.start, 0, progress.amount
    while first < start:
        carried, spent = carried + goal.target - spent, 0
        first = period_of(goal, first)[1] + timedelta(days=1)
    return carried


@dataclass(slots=True)
class Course:
    """How a goal went so far. ``told`` are the marks that it has come to; ``began`` is the first day that counts."""

    goal: Goal
    defined_at: datetime
    progress: Progress
    began: date | None = None
    was_changed: bool = False
    told: set[int] = field(default_factory=set)

    def planned(self, goal: Goal, at: datetime, progress: Progress) -> None:
        """It is planned like that now, and is that far. Marks that it has come to by then are not told."""
        if goal == self.goal:
            # Only the calendar has gone on.
            self.told = set() if progress.start != self.progress.start else self.told
        else:
            self.goal, self.defined_at, self.was_changed = goal, at, True
            self.told = self._reached(progress)
        self.progress = progress

    def begin(self) -> None:
        """It is new."""
        self.began = self.progress.start
        self.told = self._reached(self.progress)

    def moved(self, fact: Fact, start: date | None, zone: str) -> tuple[Progress, int | None]:
        """Where it is after an entry, in the period that begins at ``start``; and the mark that is due, if one is."""
        before, goal, minor = self.progress, self.goal, fact.counts_for(self.goal)
        amount, carried = before.amount, before.carried
        is_present = True
        if start is not None and before.start is not None:
            if start > before.start:
                self.told = set()
                carried += left(goal, before, start)
                amount = 0
            first, last = period_of(goal, start)
            day = fact.day(zone)
            is_present = first <= day <= last
            if day < first and goal.carry_over and self.began is not None and day >= self.began:
                carried -= minor
        amount += minor if is_present else 0
        self.progress = Progress(amount, carried, start)
        return self.progress, self._told_now(fact) if is_present and minor else None

    def sums(self, facts: Iterable[Fact], zone: str) -> Progress:
        """How far it has to be in its period, by all entries of its user."""
        goal, start = self.goal, self.progress.start
        if start is None:
            return Progress(sum(fact.counts_for(goal) for fact in facts))
        first, last = period_of(goal, start)
        spent = [(fact.day(zone), fact.counts_for(goal)) for fact in facts]
        carried = self.progress.carried
        if goal.carry_over and not self.was_changed and self.began is not None:
            carried = -sum(minor for day, minor in spent if self.began <= day < first)
            day = self.began
            while day < first:
                carried += goal.target
                day = period_of(goal, day)[1] + timedelta(days=1)
        return Progress(sum(minor for day, minor in spent if first <= day <= last), carried, start)

    def _told_now(self, fact: Fact) -> int | None:
        reached = self._reached(self.progress)
        if self.goal.again:
            self.told &= reached
        new = reached - self.told
        self.told |= new
        return max(new) if new and fact.recorded_at >= self.defined_at else None

    def _reached(self, progress: Progress) -> set[int]:
        target = self.goal.target + progress.carried
        return {mark for mark in self.goal.marks if progress.amount > 0 and progress.amount * 100 >= mark * target}
