"""The payments service's tables. Times are ms since the epoch; amounts are in minor units."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from streambank.service.database import KIT_MIGRATIONS, Migrations

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.payments:migrations/versions", "payments_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()

PERSON = Table(
    "person",
    METADATA,
    Column("user_id", String(64), primary_key=True),
    Column("key", LargeBinary),
    Column("erased_at", BigInteger),
    Column("profile", LargeBinary),
    Column("limits", LargeBinary),
    Column("address_key", Text),
    Column("verified", Boolean, nullable=False),
    Column("name", Text),
    Column("timezone", Text),
    Column("zone_changed_at", BigInteger),
    Column("alias", String(30)),
    Column("alias_key", String(30), unique=True),
)
"""Who is known, from ``user.key``, ``user.profile`` and ``user.limits``: the last events as they came.

``address_key``, ``verified``, ``name`` and ``timezone`` are the profile opened with the key, once both are there;
``zone_changed_at``: when another profile last had another time zone than the one before.
"""

PERSON_BY_ADDRESS = Index("person_by_address", PERSON.c.address_key)

ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", String(64), primary_key=True),
    Column("opener_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("closed", Boolean, nullable=False),
)
"""Accounts, from ``account``. Their ids are UUIDv7: by id they are in the order in which they were opened."""

ACCOUNT_BY_OPENER = Index("account_by_opener", ACCOUNT.c.opener_id, ACCOUNT.c.currency)

ACCOUNT_MEMBER = Table(
    "account_member",
    METADATA,
    Column("account_id", String(64), ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String(64), primary_key=True),
    Column("role", String(6), nullable=False),
)
"""Who may use or see an account, its opener among them."""

MEMBER_BY_USER = Index("account_member_by_user", ACCOUNT_MEMBER.c.user_id)

RECEIVING_ACCOUNT = Table(
    "receiving_account",
    METADATA,
    Column("user_id", String(64), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("account_id", String(64), nullable=False),
)
"""Where a user wants to be paid to; without a row it is the first checking account that they opened."""

TRANSFER = Table(
    "transfer",
    METADATA,
    Column("transfer_id", String(64), primary_key=True),
    Column("step", String(10), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("reserved_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("debtor_user_id", String(64), nullable=False),
    Column("debtor_account_id", String(64), nullable=False),
    Column("creditor_user_id", String(64)),
    Column("creditor_account_id", String(64)),
    Column("payee_kind", String(7), nullable=False),
    Column("payee_text", Text),
    Column("payee_key", Text),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("remittance", Text),
    Column("end_to_end_id", String(35)),
    Column("limited", Boolean, nullable=False),
    Column("is_new_payee", Boolean, nullable=False),
    Column("reason", String(4)),
    Column("refunds_id", String(64)),
    Column("refunded_by_id", String(64)),
    Column("order_id", String(36)),
    Column("request_id", String(36)),
    Column("transaction_id", String(36)),
    Column("debtor_entry_id", String(36)),
    Column("creditor_entry_id", String(36)),
)
"""Transfers. ``step`` is a :class:`.states.Step`; ``due_at``: when its wait is over, None once it is final.

``reserved_at``: since when the payee may see it. ``limited``: it counts into the payer's limits, as all do but those
between own accounts and refunds. ``refunded_by_id``: the refund that is done or on its way.
"""

TRANSFER_BY_DEBTOR = Index(
    "transfer_by_debtor", TRANSFER.c.debtor_user_id, TRANSFER.c.created_at, TRANSFER.c.transfer_id
)
TRANSFER_BY_CREDITOR = Index(
    "transfer_by_creditor", TRANSFER.c.creditor_user_id, TRANSFER.c.created_at, TRANSFER.c.transfer_id
)


def _partial(name: str, condition: str, *columns: "Column[object] | ColumnElement[object]") -> Index:
    where = text(condition)
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


DUE = "due_at IS NOT NULL"
TRANSFER_BY_DUE = _partial("transfer_by_due", DUE, TRANSFER.c.due_at)
TRANSFER_BY_PAYEE = Index("transfer_by_payee", TRANSFER.c.payee_key)
TRANSFER_TO_PAYEE = Index("transfer_to_payee", TRANSFER.c.debtor_user_id, TRANSFER.c.payee_key, TRANSFER.c.created_at)

STANDING_ORDER = Table(
    "standing_order",
    METADATA,
    Column("order_id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("debtor_account_id", String(64), nullable=False),
    Column("creditor_user_id", String(64)),
    Column("creditor_account_id", String(64)),
    Column("payee_kind", String(7), nullable=False),
    Column("payee_text", Text),
    Column("payee_key", Text),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("remittance", Text),
    Column("every", String(5), nullable=False),
    Column("starts_on", String(10), nullable=False),
    Column("day", Integer),
    Column("until", String(10)),
    Column("times", Integer),
    Column("made", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)
"""Transfers that come by themselves. ``made`` of ``times`` are behind; ``due_at``: of the next, None: it has ended."""

ORDER_BY_USER = Index("standing_order_by_user", STANDING_ORDER.c.user_id, STANDING_ORDER.c.order_id)
ORDER_BY_DUE = _partial("standing_order_by_due", DUE, STANDING_ORDER.c.due_at)
ORDER_BY_CREDITOR = _partial(
    "standing_order_by_creditor", "creditor_user_id IS NOT NULL", STANDING_ORDER.c.creditor_user_id
)
ORDER_BY_PAYEE = Index("standing_order_by_payee", STANDING_ORDER.c.payee_key)

PAYMENT_REQUEST = Table(
    "payment_request",
    METADATA,
    Column("request_id", String(36), primary_key=True),
    Column("state", String(9), nullable=False),
    Column("creditor_user_id", String(64), nullable=False),
    Column("creditor_account_id", String(64)),
    Column("debtor_user_id", String(64)),
    Column("payer_text", Text),
    Column("payer_key", Text),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("remittance", Text),
    Column("transfer_id", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)
"""Requests for money. ``transfer_id``: the transfer that pays it, done or on its way."""

REQUEST_BY_CREDITOR = Index(
    "payment_request_by_creditor", PAYMENT_REQUEST.c.creditor_user_id, PAYMENT_REQUEST.c.request_id
)
REQUEST_BY_DEBTOR = Index("payment_request_by_debtor", PAYMENT_REQUEST.c.debtor_user_id, PAYMENT_REQUEST.c.request_id)
OPEN = "state = 'open'"
REQUEST_BY_EXPIRY = _partial("payment_request_by_expiry", OPEN, PAYMENT_REQUEST.c.expires_at)
REQUEST_BY_PAYER = Index("payment_request_by_payer", PAYMENT_REQUEST.c.payer_key)
