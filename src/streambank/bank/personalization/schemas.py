"""What the API takes and gives. Amounts are minor units of the currency beside them; unknown fields are refused."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints

from streambank.bank.events import MARKS, Direction, Period, Scope
from streambank.bank.events.money import INT64_MAX, INT64_MIN
from streambank.service.http.moments import Day, Moment

ID_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"

MARKS_MAX = 10
CATEGORIES_MAX = 100
"""Categories of one goal: one of the upper level with all under it has fewer."""

GOAL_ACCOUNTS_MAX = 20
COOLDOWN_S_MAX = 31_536_000
"""A year: who wants to hear less often does not want to hear."""

COUNT_MAX = 10_000
"""Transfers a day: more is no limit."""

HOURS_MAX = 8_760
"""A year, as the event has it."""

AmountMinor = Annotated[StrictInt, Field(gt=0, le=INT64_MAX)]
UnsignedMinor = Annotated[StrictInt, Field(ge=0, le=INT64_MAX)]
SignedMinor = Annotated[StrictInt, Field(ge=INT64_MIN, le=INT64_MAX)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
CurrencyCode = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Mark = Annotated[StrictInt, Field(ge=1, le=1_000)]
Marks = Annotated[list[Mark], Field(max_length=MARKS_MAX)]
SavingsStatus = Literal["saving", "behind", "on-track", "ahead", "overdue", "reached"]
CategoryIds = Annotated[list[Id], Field(max_length=CATEGORIES_MAX)]


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ThresholdBody(Body):
    """What to be alerted of: with ``account_id`` on that account, else on the total of your accounts in ``currency``.

    After an alert the balance has to be back by ``rearm_margin_minor`` before there is another; and none follows
    within ``cooldown_s``. ``on_available``: what is available is watched, not the booked balance.
    """

    account_id: Id | None = None
    currency: CurrencyCode | None = None
    direction: Direction
    level_minor: SignedMinor
    rearm_margin_minor: UnsignedMinor = 0
    cooldown_s: Annotated[StrictInt, Field(ge=0, le=COOLDOWN_S_MAX)] = 0
    on_available: StrictBool = False


class ThresholdView(BaseModel):
    """A threshold. ``account_id`` is null where it is on a total."""

    id: str
    scope: Scope
    account_id: str | None
    currency: str
    direction: Direction
    level_minor: int
    rearm_margin_minor: int
    cooldown_s: int
    on_available: bool
    version: int


class ThresholdList(BaseModel):
    """A user's thresholds, by what they are on."""

    items: list[ThresholdView]


class WhatIf(ThresholdBody):
    """A threshold to try on the past, as if it had been set at ``from_time``: a year before ``to_time``, which is now,
    if nothing is said."""

    from_time: Moment | None = None
    to_time: Moment | None = None


class Firing(BaseModel):
    """An alert that there would have been.

    ``imported``: by an entry that came in as history. Those never raise alerts when they arrive, but had the bank
    been told at the time they would have.
    """

    occurred_at: datetime
    before_minor: int
    after_minor: int
    entry_id: str
    imported: bool


class WhatIfAnswer(BaseModel):
    """When a threshold would have fired. ``fired`` has the latest of them, ``count`` tells how many there were.

    ``entry_count`` entries were looked at. ``complete`` is false where the log holds more than is read at once: then
    only the latest part of the time was looked at.
    """

    from_time: datetime
    to_time: datetime
    currency: str
    count: int
    fired: list[Firing]
    entry_count: int
    complete: bool


class _GoalBody(Body):
    name: Name
    currency: CurrencyCode
    target_minor: AmountMinor
    starts_on: Day | None = None
    marks: Marks = list(MARKS)
    again_after_refund: StrictBool = False


class BudgetBody(_GoalBody):
    """How much may be spent in each period on some categories, or on everything where none is named.

    ``starts_on``: the present period if nothing is said. ``carry_over``: what is left of a period is added to the
    next, and what was overspent is taken off it. ``marks`` are percents of the target, each told once a period.
    A category stands for itself only: name those under it too.
    """

    period: Period = Period.MONTH
    category_ids: CategoryIds = []
    carry_over: StrictBool = False


class SavingsGoalBody(_GoalBody):
    """How much is to be on some accounts of yours together, and by when, if it matters."""

    account_ids: Annotated[list[Id], Field(min_length=1, max_length=GOAL_ACCOUNTS_MAX)]
    target_date: Day | None = None


class SpendingGoalBody(_GoalBody):
    """How much may be spent once, until ``ends_on``, on some categories or on everything."""

    ends_on: Day
    category_ids: CategoryIds = []


class BudgetProgress(BaseModel):
    """How a budget stands in the present period, whose first and last day are told.

    ``target_minor`` is the budget with ``carried_minor`` in it. ``percent`` of it is spent; null where nothing could be
    spent. ``left_minor`` is below 0 where too much was spent. ``as_of``: the entry that was counted last.
    """

    period_start: date
    period_end: date
    target_minor: int
    carried_minor: int
    amount_minor: int
    left_minor: int
    percent: int | None
    as_of: datetime | None


class SavingsProgress(BaseModel):
    """How far a savings goal is.

    With a target date: ``expected_minor`` is what would be saved by now at an even pace, and ``status`` compares with
    it, give or take what a month saves. ``needed_per_month_minor``: what is to be saved in each month that is left.
    """

    amount_minor: int
    left_minor: int
    percent: int
    expected_minor: int | None
    needed_per_month_minor: int | None
    status: SavingsStatus
    as_of: datetime


class SpendingProgress(BaseModel):
    """How a spending goal stands. ``days_left`` counts today; it is 0 once the last day is over."""

    amount_minor: int
    left_minor: int
    percent: int
    days_left: int
    status: Literal["ahead-of-time", "running", "over"]
    as_of: datetime | None


class _GoalView(BaseModel):
    id: str
    name: str
    currency: str
    target_minor: int
    starts_on: date
    marks: list[int]
    again_after_refund: bool
    version: int


class BudgetView(_GoalView):
    """A budget, and how it stands."""

    period: Period
    category_ids: list[str]
    carry_over: bool
    progress: BudgetProgress


class SavingsGoalView(_GoalView):
    """A savings goal, and how far it is; ``progress`` is null until it is known what is on its accounts."""

    account_ids: list[str]
    target_date: date | None
    progress: SavingsProgress | None


class SpendingGoalView(_GoalView):
    """A spending goal, and how it stands."""

    ends_on: date
    category_ids: list[str]
    progress: SpendingProgress


class BudgetList(BaseModel):
    """A user's budgets, in the order in which they were made."""

    items: list[BudgetView]


class SavingsGoalList(BaseModel):
    """A user's savings goals, in the order in which they were made."""

    items: list[SavingsGoalView]


class SpendingGoalList(BaseModel):
    """A user's spending goals, in the order in which they were made."""

    items: list[SpendingGoalView]


class PaymentLimitBody(Body):
    """How much may go out in transfers of a currency; null: the bank's own limit. All days are in your time zone.

    A payee is new for ``new_payee_hours`` after the first transfer to them, and gets no more than ``new_payee_minor``
    until then.
    """

    per_transfer_minor: UnsignedMinor | None = None
    per_day_minor: UnsignedMinor | None = None
    per_day_count: Annotated[StrictInt, Field(ge=0, le=COUNT_MAX)] | None = None
    new_payee_minor: UnsignedMinor | None = None
    new_payee_hours: Annotated[StrictInt, Field(ge=0, le=HOURS_MAX)] = 24


class PaymentLimitView(PaymentLimitBody):
    """The limits of a currency; without any it is version 0, or the one that took them away."""

    # As an answer, not as a body: what is added later must not break who reads it.
    model_config = ConfigDict(extra="ignore")

    currency: str
    version: int


class PaymentLimitList(BaseModel):
    """A user's payment limits, by currency."""

    items: list[PaymentLimitView]
