"""What the API gives. Money is minor units and a currency, days and months are those of the user's time zone.

Figures in one currency are sums of all currencies, each at the rates of its days. Where a rate is missing there is no
figure: ``missing`` says of which currencies.
"""

from datetime import date, datetime
from enum import Enum
from typing import Literal

from pydantic import BaseModel

from streambank.bank.events import AccountKind, Cadence, CreditDebit
from streambank.bank.recurrence import Status


class Every(Enum):
    """How far the points of a series lie apart."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class BalanceOf(BaseModel):
    """An account and what is booked on it. ``name`` is None where its owner's key is not known yet."""

    account_id: str
    name: str | None
    kind: AccountKind
    currency: str
    balance_minor: int
    is_closed: bool
    changed_at: datetime | None


class TotalOf(BaseModel):
    """A sum in one currency."""

    currency: str
    amount_minor: int | None
    missing: list[str]


class Balances(BaseModel):
    """Your accounts, their totals by currency, and all of it in the currency that was asked for."""

    accounts: list[BalanceOf]
    totals: list[TotalOf]
    total: TotalOf | None


class WorthPoint(BaseModel):
    """What there was at the end of a day."""

    day: date
    amount_minor: int | None
    missing: list[str]


class WorthSeries(BaseModel):
    """What there was in a currency over time."""

    currency: str
    points: list[WorthPoint]


class NetWorth(BaseModel):
    """Your net worth over time, by currency, and all of it in the currency that was asked for."""

    timezone: str
    from_date: date
    to_date: date
    every: Every
    currencies: list[WorthSeries]
    total: WorthSeries | None


class Flow(BaseModel):
    """What came in and went out in a currency; ``net_minor`` is the difference."""

    currency: str
    in_minor: int | None
    out_minor: int | None
    net_minor: int | None
    missing: list[str]


class FlowOfMonth(BaseModel):
    """A month's cash flow: by currency, and all of it in the currency that was asked for. ``month`` is YYYY-MM."""

    month: str
    currencies: list[Flow]
    total: Flow | None


class CashFlow(BaseModel):
    """Your cash flow, a month at a time. What moved between your own accounts is in neither direction."""

    timezone: str
    months: list[FlowOfMonth]


class Spent(BaseModel):
    """What was spent, beside what is usual: the mean of the full months before, and the month before up to that day.

    ``usual_minor`` is None where there is no full month.
    """

    currency: str
    spent_minor: int | None
    usual_minor: int | None
    month_before_minor: int | None
    missing: list[str]


class SpentOnCategory(Spent):
    """The same of a category; None: of what has none."""

    category_id: str | None


class Spending(BaseModel):
    """Your spending in a month up to a day, less refunds, the largest first.

    ``usual_months`` is how many full months the usual amounts are the mean of, at most six.
    """

    timezone: str
    month: str
    until: date
    usual_months: int
    categories: list[SpentOnCategory]
    totals: list[Spent]


class RecurringView(BaseModel):
    """A payment that comes again and again, and the one that is expected next.

    ``missed``: it is overdue; ``ended``: the one after it is, too. ``previous_minor``: what it cost until
    ``changed_on``. ``counterparty`` is None where its owner's key is not known yet.
    """

    id: str
    account_id: str
    counterparty: str | None
    credit_debit: CreditDebit
    currency: str
    cadence: Cadence
    status: Status
    count: int
    first_on: date
    last_on: date
    last_minor: int
    next_on: date
    next_minor: int
    varies: bool
    previous_minor: int | None
    changed_on: date | None


class RateView(BaseModel):
    """How much of ``quote`` one ``base`` is worth, as a decimal number, since a day."""

    base: str
    quote: str
    day: date
    rate: str


class RateList(BaseModel):
    """The rates that hold on a day."""

    day: date
    items: list[RateView]


FeedKind = Literal[
    "balance", "alert", "goal", "mark", "transfer", "net-worth", "cash-flow", "spending", "recurring", "ready", "reset"
]
"""``ready``: the stream is complete from its place on. ``reset``: it is not, so everything is to be loaded anew."""
