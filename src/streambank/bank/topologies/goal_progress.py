"""How far goals are, and when a mark is told: once a period, and only for what happens live.

    mark 80 % of 100 - - - - - - - - - - - - - - - - - - - - - - -
    spent:       30 ... 85     70 (refund)     90   |   0 ... 82
    told:               80 %                   -    |         80 %      without ``again_after_refund``
                        80 %                   80 % |         80 %      with it
                                                 a new period

A goal that is new or changed starts from the present: what was spent in its period before counts, and the marks it has
passed already are not told. Nor are those that entries take it to that were recorded before it was defined and only
arrive later, or that are read in. An entry of a period that is over changes what was carried over from there, and tells
nothing.

A period never goes back, also where a user's clock does by moving to another time zone: what then happens on the last
day of the period before belongs to that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from streambank.bank.events import Budget, GoalKind, Period, SavingsGoal, SpendingGoal
from streambank.bank.events.money import within_int64
from streambank.bank.periods import DAY, next_start, start_of
from streambank.bank.plans import Plan, counts_alike
from streambank.bank.topologies.spent import first_day, first_of_months

Spending: TypeAlias = Callable[[date, date], int]
"""What was spent of a goal's categories from one day to another, both included."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Where a goal stands: spent since ``start``, or saved; the marks that were told and are not armed again.

    ``carried_minor`` has gathered since ``since``: entries of before change nothing. ``defined_ms`` is when the goal
    was defined as it is, in milliseconds since the epoch.
    """

    goal_id: str
    amount_minor: int
    defined_ms: int
    start: date | None = None
    since: date | None = None
    carried_minor: int = 0
    told: tuple[int, ...] = ()


def kind_of(plan: Plan) -> GoalKind:
    """What is planned."""
    if isinstance(plan, Budget):
        return GoalKind.BUDGET
    return GoalKind.SAVINGS if isinstance(plan, SavingsGoal) else GoalKind.SPENDING


def target_minor(plan: Plan, standing: Standing) -> int:
    """What the amount is held against. Raises MoneyError beyond 64 bits."""
    return within_int64(plan.target_minor + standing.carried_minor)


def period_end(plan: Plan, standing: Standing) -> date | None:
    """The last day of the period that the goal is in; None: it has none."""
    if isinstance(plan, Budget) and standing.start is not None:
        return next_start(plan.period, standing.start) - DAY
    return plan.ends_on if isinstance(plan, SpendingGoal) else None


def begin(plan: Plan, amount: Spending | int, today: date, defined_ms: int) -> Standing:
    """A goal that is new: where it stands. ``amount``: what is saved, or of which days to ask what was spent.

    What a budget carries over counts from the day it starts on, as far back as is known.
    """
    standing = Standing(goal_id=plan.goal_id, amount_minor=0, defined_ms=defined_ms)
    if isinstance(amount, int):
        standing = replace(standing, amount_minor=amount)
    elif isinstance(plan, SpendingGoal):
        standing = replace(standing, amount_minor=amount(plan.starts_on, plan.ends_on), start=plan.starts_on)
    elif isinstance(plan, Budget):
        start = _first_start(plan, today)
        spent = amount(start, next_start(plan.period, start) - DAY)
        standing = move_on(plan, replace(standing, amount_minor=spent, start=start, since=start), amount, today)
    return replace(standing, told=_reached(plan, standing))


def change(old: Plan, new: Plan, standing: Standing, amount: Spending | int, today: date, defined_ms: int) -> Standing:
    """A goal that is defined again. Another name changes nothing; what counts the same keeps what was counted.

    Of long ago that is more than could be counted again, since what was spent is only kept for a time. With another
    end, just what lies between the two ends comes or goes.
    """
    if replace(old, name=new.name) == new:
        return standing
    if not counts_alike(old, new):
        return begin(new, amount, today, defined_ms)
    if isinstance(old, SpendingGoal) and isinstance(new, SpendingGoal) and not isinstance(amount, int):
        more = amount(old.ends_on + DAY, new.ends_on) if new.ends_on > old.ends_on else 0
        less = amount(new.ends_on + DAY, old.ends_on) if new.ends_on < old.ends_on else 0
        standing = replace(standing, amount_minor=within_int64(standing.amount_minor + more - less))
    return replace(standing, told=_reached(new, standing), defined_ms=defined_ms)


def _first_start(plan: Budget, today: date) -> date:
    """The first day of the first period of which what was spent is known."""
    known = first_day(today) if plan.period is Period.WEEK else first_of_months(today)
    start = start_of(plan.period, max(plan.starts_on, known))
    return start if start >= known else next_start(plan.period, start)


def move_on(plan: Plan, standing: Standing, amount: Spending, today: date) -> Standing:
    """The goal in the period that today is in; as it is, if it is there already or further."""
    if not isinstance(plan, Budget) or standing.start is None:
        return standing
    start, present = standing.start, start_of(plan.period, today)
    if present <= start:
        return standing
    carried, spent = standing.carried_minor, standing.amount_minor
    while start < present:
        if not plan.carry_over:
            start = present
        else:
            carried += plan.target_minor - spent
            start = next_start(plan.period, start)
        spent = amount(start, next_start(plan.period, start) - DAY)
    return replace(standing, start=start, amount_minor=spent, carried_minor=within_int64(carried), told=())


def spend(plan: Plan, standing: Standing, day: date, minor: int) -> Standing:
    """The goal after ``minor`` more was spent on the day. Raises MoneyError for a sum beyond 64 bits."""
    start, end = standing.start, period_end(plan, standing)
    if start is None or end is None or day > end:
        return standing
    if day >= start:
        return replace(standing, amount_minor=within_int64(standing.amount_minor + minor))
    if isinstance(plan, Budget) and plan.carry_over and standing.since is not None and day >= standing.since:
        return replace(standing, carried_minor=within_int64(standing.carried_minor - minor))
    return standing


def is_present(plan: Plan, standing: Standing, day: date, today: date) -> bool:
    """Whether an entry of the day may tell a mark: its period is not over, and is the one the goal is in."""
    start, end = standing.start, period_end(plan, standing)
    return start is None or end is None or (start <= day <= end and today <= end)


def tell(plan: Plan, standing: Standing, *, live: bool) -> tuple[Standing, int | None]:
    """The goal with the marks told that it has come to; and the highest of them, if it is one to tell."""
    reached, told = _reached(plan, standing), standing.told
    if plan.again_after_refund:
        told = tuple(mark for mark in told if mark in reached)
    new = tuple(mark for mark in reached if mark not in told)
    if not new and told == standing.told:
        return standing, None
    return replace(standing, told=told + new), max(new) if new and live else None


def _reached(plan: Plan, standing: Standing) -> tuple[int, ...]:
    """The marks at or below the amount. Nothing spent, or saved, reaches none, whatever the target."""
    amount, target = standing.amount_minor, target_minor(plan, standing)
    return tuple(mark for mark in plan.marks if amount > 0 and amount * 100 >= mark * target)
