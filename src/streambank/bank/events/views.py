"""What a person wants to see of their money, kept up to date; the rates; and the feed that a page follows.

Figures are kept as what each day or month added, since sums do not depend on the order in which entries come in: one
that is late changes one record, and none of those behind it. ``figure_id`` names the figure: ``USER:CURRENCY:DAY``,
``USER:CURRENCY:YYYY-MM`` or ``USER:CURRENCY:DAY:CATEGORY``.
"""

from datetime import date, datetime
from enum import Enum
from typing import Annotated

import msgspec
from iso4217 import Currency

from streambank.bank.events.goals import GoalMarked, GoalProgress
from streambank.bank.events.money import INT64_MAX, Amount, Minor
from streambank.bank.events.transfers import TransferChanged
from streambank.bank.events.types import AlertRaised, Balance, CreditDebit, Event


class NetWorthDay(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a day added to a user's total. Topic ``net.worth.day``, key ``figure_id``, compacted.

    The total at the end of a day is the sum of all days up to it.
    """

    event_id: str
    figure_id: str
    currency: Currency
    day: date
    change_minor: Minor


class CashFlowMonth(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What came in and went out in a month. Topic ``cash.flow.month``, key ``figure_id``, compacted.

    ``month`` is its first day. What moved between a user's own accounts is in neither. A month in which more was taken
    back than came in, or went out, has a figure below zero.
    """

    event_id: str
    figure_id: str
    currency: Currency
    month: date
    in_minor: Minor
    out_minor: Minor


class SpendingDay(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a day's entries cost in a category, less refunds. Topic ``spending.day``, key ``figure_id``, compacted.

    ``category`` None: of what has none; ``*``: of all, which income in a category does not lower.
    """

    event_id: str
    figure_id: str
    currency: Currency
    day: date
    category: str | None = None
    spent_minor: Minor


class Cadence(Enum):
    """How often something recurs."""

    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class RecurringPayment(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A payment that comes again and again: the latest one, and when and how much is expected next.

    ``count`` is how many of them are known. ``previous_minor`` and ``changed_on``: another price, the day it came, and
    what it was before; amounts that vary have neither.
    """

    recurring_id: str
    cadence: Cadence
    count: int
    first_on: date
    last_on: date
    last_minor: Amount
    next_on: date
    next_minor: Amount
    varies: bool = False
    previous_minor: Amount | None = None
    changed_on: date | None = None


class RecurringFound(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What recurs between an account and a counterparty. Topic ``recurring.found``, key ``group_id``, compacted.

    No payments: what was found before is taken back. ``counterparty`` is personal: see :mod:`.personal`.
    """

    event_id: str
    group_id: str
    account_id: str
    counterparty: str
    credit_debit: CreditDebit
    currency: Currency
    payments: tuple[RecurringPayment, ...]


class FxRate(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How much of ``quote`` one ``base`` is worth from a day on. Topic ``fx.rate``, key ``rate_id``, compacted.

    ``rate_id`` is ``BASE/QUOTE/DAY``: with the day in the key, compaction keeps the history. ``rate_e9`` is in
    billionths: 1.0842 is 1,084,200,000. ``occurred_at`` is when the day begins, in UTC.
    """

    event_id: str
    rate_id: str
    base: Currency
    quote: Currency
    day: date
    rate_e9: Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]
    occurred_at: datetime
    recorded_at: datetime


class FeedItem(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Something that a user's page shows has changed. Topic ``user.feed``, key ``user_id``. One of the others is set.

    A transfer is in the feeds of both its sides.
    """

    event_id: str
    balance: Balance | None = None
    alert: AlertRaised | None = None
    goal: GoalProgress | None = None
    mark: GoalMarked | None = None
    transfer: TransferChanged | None = None
    net_worth: NetWorthDay | None = None
    cash_flow: CashFlowMonth | None = None
    spending: SpendingDay | None = None
    recurring: RecurringFound | None = None
