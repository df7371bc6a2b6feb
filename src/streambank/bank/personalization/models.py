"""The personalization service's tables. Times are ms since the epoch; ids that come from elsewhere are bounded."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

from streambank.service.database import KIT_MIGRATIONS, Migrations
from streambank.service.tables import BigKey

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.personalization:migrations/versions", "personalization_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()

ID_CHARS_MAX = 200
"""Of ids that come from the log. Ours have 36; a longer one than this would not fit into an index of PostgreSQL."""

SCOPE_ID_CHARS_MAX = ID_CHARS_MAX + len(":EUR")
"""A total is named by its user and its currency."""

PERSON = Table(
    "person",
    METADATA,
    Column("user_id", String(ID_CHARS_MAX), primary_key=True),
    Column("key", LargeBinary),
    Column("timezone", String(64), nullable=False),
    Column("erased_at", BigInteger),
)
"""Who is known from ``user.key`` and ``user.profile``, whichever came first."""

ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", String(ID_CHARS_MAX), primary_key=True),
    Column("owner_id", String(ID_CHARS_MAX), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("member_ids", LargeBinary, nullable=False),
    Column("closed_at", BigInteger),
)
"""What is known from ``account``. ``member_ids`` is a JSON list of those who share it, without its owner."""

ACCOUNT_BY_OWNER = Index("account_by_owner", ACCOUNT.c.owner_id)

THRESHOLD_SCOPE = Table(
    "threshold_scope",
    METADATA,
    Column("scope_id", String(SCOPE_ID_CHARS_MAX), primary_key=True),
    Column("user_id", String(ID_CHARS_MAX), nullable=False),
    Column("scope", String(7), nullable=False),
    Column("currency", String(3), nullable=False),
)
"""An account, or a total, that thresholds were set on. It stays when the last of them is removed."""

SCOPE_BY_USER = Index("threshold_scope_by_user", THRESHOLD_SCOPE.c.user_id)

THRESHOLD = Table(
    "threshold",
    METADATA,
    Column("scope_id", String(SCOPE_ID_CHARS_MAX), primary_key=True),
    Column("threshold_id", String(ID_CHARS_MAX), primary_key=True),
    Column("definition", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
)
"""``definition`` is JSON of :class:`streambank.bank.events.Threshold`."""

UNREAD_RECORD = Table(
    "unread_record",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=True),
    Column("event_id", String(36), nullable=False, unique=True),
    Column("scope_id", String(SCOPE_ID_CHARS_MAX), nullable=False),
)
"""Records of ``account.thresholds`` that this service has published and not read back yet."""

UNREAD_BY_SCOPE = Index("unread_record_by_scope", UNREAD_RECORD.c.scope_id)

GOAL = Table(
    "goal",
    METADATA,
    Column("goal_id", String(36), primary_key=True),
    Column("user_id", String(ID_CHARS_MAX), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("definition", LargeBinary, nullable=False),
    Column("told", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
)
"""``definition`` is JSON of the :class:`streambank.bank.events.Goal`, its name as its user wrote it.

``told`` is JSON of what ``goal.progress`` last said: a list of :class:`streambank.bank.personalization.progress.Told`.
"""

GOAL_BY_USER = Index("goal_by_user", GOAL.c.user_id)

PAYMENT_LIMIT = Table(
    "payment_limit",
    METADATA,
    Column("user_id", String(ID_CHARS_MAX), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("definition", LargeBinary),
    Column("version", Integer, nullable=False),
)
"""``definition`` is JSON of :class:`streambank.bank.events.PaymentLimit`; None: taken away, so that versions go on."""
