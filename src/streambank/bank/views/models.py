"""The views service's tables: the figures of the topologies, and what it takes to show them to people.

Figures name nobody. Names of accounts and counterparties are stored sealed, as they came, and opened when their owner
reads them. Days are ISO 8601 text, which sorts as days do.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, String, Table

from streambank.service.database import KIT_MIGRATIONS, Migrations
from streambank.service.tables import PlainText

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.views:migrations/versions", "views_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()

PERSON = Table(
    "person",
    METADATA,
    Column("user_id", String(64), primary_key=True),
    Column("key", LargeBinary),
    Column("timezone", PlainText),
    Column("erased_at", BigInteger),
)
"""Who is known from ``user.key`` and ``user.profile``; of who was erased only that they were."""

ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("name", PlainText, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("is_closed", Boolean, nullable=False),
)

BALANCE = Table(
    "balance",
    METADATA,
    Column("account_id", String(64), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("booked_minor", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
"""Of each account after its latest entry, whoever owns it. ``changed_at`` is when that happened, in ms since the epoch.

It goes with the account, not with its owner: an account that is shared passes on to somebody else.
"""

NET_WORTH_DAY = Table(
    "net_worth_day",
    METADATA,
    Column("figure_id", PlainText, primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("day", String(10), nullable=False),
    Column("change_minor", BigInteger, nullable=False),
)

CASH_FLOW_MONTH = Table(
    "cash_flow_month",
    METADATA,
    Column("figure_id", PlainText, primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("month", String(10), nullable=False),
    Column("in_minor", BigInteger, nullable=False),
    Column("out_minor", BigInteger, nullable=False),
)

SPENDING_DAY = Table(
    "spending_day",
    METADATA,
    Column("figure_id", PlainText, primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("day", String(10), nullable=False),
    Column("category", PlainText),
    Column("spent_minor", BigInteger, nullable=False),
)

RECURRING = Table(
    "recurring",
    METADATA,
    Column("recurring_id", String(36), primary_key=True),
    Column("group_id", String(36), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("account_id", String(64), nullable=False),
    Column("counterparty", PlainText, nullable=False),
    Column("credit_debit", String(4), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("next_on", String(10), nullable=False),
    Column("payment", LargeBinary, nullable=False),
)
"""``payment`` is the whole RecurringPayment as JSON."""

RECURRING_GROUP = Table(
    "recurring_group",
    METADATA,
    Column("group_id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
)
"""Every group that something was found in once: its record stays in the topic, also where nothing recurs any more."""

RATE = Table(
    "rate",
    METADATA,
    Column("rate_id", PlainText, primary_key=True),
    Column("base", String(3), nullable=False),
    Column("quote", String(3), nullable=False),
    Column("day", String(10), nullable=False),
    Column("rate_e9", BigInteger, nullable=False),
)

INDEXES = (
    Index("account_by_user", ACCOUNT.c.user_id),
    Index("net_worth_day_by_user", NET_WORTH_DAY.c.user_id, NET_WORTH_DAY.c.day),
    Index("cash_flow_month_by_user", CASH_FLOW_MONTH.c.user_id, CASH_FLOW_MONTH.c.month),
    Index("spending_day_by_user", SPENDING_DAY.c.user_id, SPENDING_DAY.c.day),
    Index("recurring_by_user", RECURRING.c.user_id, RECURRING.c.next_on, RECURRING.c.recurring_id),
    Index("recurring_by_group", RECURRING.c.group_id),
    Index("recurring_group_by_user", RECURRING_GROUP.c.user_id),
    Index("rate_by_pair", RATE.c.base, RATE.c.quote, RATE.c.day),
)
