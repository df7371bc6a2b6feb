"""What people plan: budgets, saving and spending goals, payment limits; and how far they are."""

from datetime import date
from enum import Enum
from typing import Annotated

import msgspec
from iso4217 import Currency

from streambank.bank.events.money import Amount, Minor
from streambank.bank.events.types import EntrySummary, Event

Percent = Annotated[int, msgspec.Meta(ge=1, le=1_000)]

MARKS: tuple[Percent, ...] = (50, 80, 100)
"""The marks that a goal has unless its owner says otherwise, in percent of its target."""


class GoalKind(Enum):
    """What is planned."""

    BUDGET = "budget"
    SAVINGS = "savings"
    SPENDING = "spending"


class Period(Enum):
    """What a budget is for; each begins at midnight in the user's time zone, a week on a Monday (ISO 8601)."""

    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Goal(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What all plans have. ``name`` is personal: see :mod:`.personal`.

    Each of ``marks`` is told once a period. With ``again_after_refund`` one that the amount fell below by a refund, or
    a withdrawal, is told again when it is reached again.
    """

    goal_id: str
    name: str
    currency: Currency
    target_minor: Amount
    starts_on: date
    marks: tuple[Percent, ...] = MARKS
    again_after_refund: bool = False


class Budget(Goal, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How much may be spent in each period on some categories, or on everything where none is named.

    With ``carry_over`` what was left of a period is added to the next, and what was overspent taken off it.
    """

    period: Period
    category_ids: tuple[str, ...] = ()
    carry_over: bool = False


class SavingsGoal(Goal, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How much is to be on some accounts together, and by when, if it matters."""

    account_ids: tuple[str, ...]
    target_date: date | None = None


class SpendingGoal(Goal, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How much may be spent once, from ``starts_on`` to ``ends_on``: a holiday, a new kitchen."""

    ends_on: date
    category_ids: tuple[str, ...] = ()


class UserGoals(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """All that a user plans. Topic ``user.goals``, key ``user_id``, compacted. A tombstone: the user was erased."""

    event_id: str
    budgets: tuple[Budget, ...] = ()
    savings: tuple[SavingsGoal, ...] = ()
    spending: tuple[SpendingGoal, ...] = ()


class PaymentLimit(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How much a user lets go out in transfers of one currency; None: what the bank lets everybody.

    A day is one in the user's time zone. A payee is new for ``new_payee_hours`` after the first transfer to them, and
    until then gets no more than ``new_payee_minor`` in all.
    """

    currency: Currency
    per_transfer_minor: Amount | None = None
    per_day_minor: Amount | None = None
    per_day_count: Annotated[int, msgspec.Meta(ge=0)] | None = None
    new_payee_minor: Amount | None = None
    new_payee_hours: Annotated[int, msgspec.Meta(ge=0, le=8_760)] = 24


class UserLimits(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A user's payment limits. Topic ``user.limits``, key ``user_id``, compacted. A tombstone: the user was erased."""

    event_id: str
    limits: tuple[PaymentLimit, ...] = ()


class GoalProgress(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How far a goal is after an entry. Topic ``goal.progress``, key ``goal_id``, compacted.

    ``amount_minor`` is what was spent in the period, or is saved; ``target_minor`` has what was carried over in it.
    ``period_start`` and ``period_end`` are the first and the last day; a savings goal has none.
    """

    event_id: str
    goal_id: str
    kind: GoalKind
    currency: Currency
    target_minor: Minor
    amount_minor: Minor
    carried_minor: Minor = 0
    period_start: date | None = None
    period_end: date | None = None


class GoalMarked(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A goal came to one of its marks. Topic ``goal.marked``, key ``user_id``.

    ``mark_id`` derives from goal, target, period and mark (and, where it may be told again, the event that led to it),
    so that a replay repeats nothing. Where an entry passes several marks, the highest is told. ``name`` is personal.
    """

    mark_id: str
    goal_id: str
    name: str
    kind: GoalKind
    currency: Currency
    mark: Percent
    target_minor: Minor
    amount_minor: Minor
    entry: EntrySummary
    period_start: date | None = None
    period_end: date | None = None
