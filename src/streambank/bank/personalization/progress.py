"""How goals stand today: pure functions of what was planned, what ``goal.progress`` told, and the day.

The log tells of a goal when an entry moves it. What a calendar does between two entries is done here:

    period       | October      | November     | December
    told           300 of 400     -              -
    carry-over:    100 left ----> 500 in all --> 900 in all
    without:                      400            400
"""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from streambank.bank.events import Budget, GoalProgress, SavingsGoal, SpendingGoal
from streambank.bank.periods import number_of, period_of
from streambank.bank.personalization.schemas import BudgetProgress, SavingsProgress, SavingsStatus, SpendingProgress
from streambank.clock import to_datetime, to_millis

TOLD_MAX = 3
"""Periods of one goal that are remembered: an entry may be booked a little into the future, or late."""

MONTH_DAYS = 31
"""Who saves once a month is up to so many days off an even pace without being behind, or ahead; where all is to be
saved within three months, a third of that time."""


class Told(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What ``goal.progress`` said last of a period; ``period_start`` None: of the goal as a whole."""

    amount_minor: int
    target_minor: int
    carried_minor: int
    as_of_ms: int
    period_start: date | None = None


def remembered(before: Sequence[Told], news: GoalProgress) -> tuple[Told, ...]:
    """What is to be remembered after the news: one of each period, the latest periods, in their order."""
    told = Told(
        news.amount_minor, news.target_minor, news.carried_minor, to_millis(news.occurred_at), news.period_start
    )
    others = [one for one in before if one.period_start != told.period_start]
    return tuple(sorted([*others, told], key=lambda one: one.period_start or date.min)[-TOLD_MAX:])


def budget_progress(budget: Budget, told: Sequence[Told], today: date) -> BudgetProgress:
    """How a budget stands. Before its first day: as it will begin."""
    first, last = period_of(budget.period, max(today, budget.starts_on))
    present = next((one for one in told if one.period_start == first), None)
    carried = present.carried_minor if present is not None else _carried(budget, told, first)
    amount = present.amount_minor if present is not None else 0
    target = budget.target_minor + carried
    latest = max((one.as_of_ms for one in told), default=None)
    return BudgetProgress(
        period_start=first,
        period_end=last,
        target_minor=target,
        carried_minor=carried,
        amount_minor=amount,
        left_minor=target - amount,
        percent=_percent(amount, target) if target > 0 else None,
        as_of=None if latest is None else to_datetime(latest),
    )


def savings_progress(goal: SavingsGoal, told: Sequence[Told], today: date) -> SavingsProgress | None:
    """How far a savings goal is; None while nothing was told of its accounts."""
    if not told:
        return None
    amount, target = told[-1].amount_minor, goal.target_minor
    left = max(target - amount, 0)
    expected = needed = None
    if goal.target_date is not None:
        expected = pace(target, goal.starts_on, goal.target_date, today)
        needed = -(-left // months_left(goal.target_date, today))
    return SavingsProgress(
        amount_minor=amount,
        left_minor=left,
        percent=_percent(amount, target),
        expected_minor=expected,
        needed_per_month_minor=needed,
        status=_savings_status(goal, amount, today),
        as_of=to_datetime(told[-1].as_of_ms),
    )


def spending_progress(goal: SpendingGoal, told: Sequence[Told], today: date) -> SpendingProgress:
    """How a spending goal stands."""
    amount = told[-1].amount_minor if told else 0
    days_left = (goal.ends_on - max(today, goal.starts_on)).days + 1
    return SpendingProgress(
        amount_minor=amount,
        left_minor=goal.target_minor - amount,
        percent=_percent(amount, goal.target_minor),
        days_left=max(days_left, 0),
        status="ahead-of-time" if today < goal.starts_on else "over" if today > goal.ends_on else "running",
        as_of=to_datetime(told[-1].as_of_ms) if told else None,
    )


def pace(target_minor: int, starts_on: date, target_date: date, today: date) -> int:
    """What would be saved at the end of a day by who saves as much every day."""
    total_days = max((target_date - starts_on).days, 1)
    elapsed_days = min(max((today - starts_on).days, 0), total_days)
    return target_minor * elapsed_days // total_days


def months_left(target_date: date, today: date) -> int:
    """In how many more months something can be put aside: this one counts if no other is left."""
    return max((target_date.year - today.year) * 12 + target_date.month - today.month, 1)


def _savings_status(goal: SavingsGoal, amount_minor: int, today: date) -> SavingsStatus:
    if amount_minor >= goal.target_minor:
        return "reached"
    if goal.target_date is None:
        return "saving"
    if today > goal.target_date:
        return "overdue"
    total_days = (goal.target_date - goal.starts_on).days
    slack = timedelta(days=min(MONTH_DAYS, total_days // 3))
    if amount_minor < pace(goal.target_minor, goal.starts_on, goal.target_date, today - slack):
        return "behind"
    ahead = amount_minor > pace(goal.target_minor, goal.starts_on, goal.target_date, today + slack)
    return "ahead" if ahead else "on-track"


def _carried(budget: Budget, told: Sequence[Told], first: date) -> int:
    """What comes into a period that nothing was told of yet."""
    if not budget.carry_over:
        return 0
    number = number_of(budget.period, first)
    before = [one for one in told if one.period_start is not None and one.period_start < first]
    if not before:
        return budget.target_minor * (number - number_of(budget.period, budget.starts_on))
    last = before[-1]
    assert last.period_start is not None
    untouched = number - number_of(budget.period, last.period_start) - 1
    # Not by the target that was told: the budget may have been changed since.
    return budget.target_minor + last.carried_minor - last.amount_minor + budget.target_minor * untouched


def _percent(amount_minor: int, target_minor: int) -> int:
    return max(amount_minor * 100 // target_minor, 0)
