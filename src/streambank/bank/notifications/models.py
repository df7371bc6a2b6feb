"""The sent-log: one row for each e-mail, from its cause's arrival until it is sent or given up; and the users' keys."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from streambank.service.database import KIT_MIGRATIONS, Migrations
from streambank.service.tables import BigKey, PlainText

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.notifications:migrations/versions", "notifications_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()


class State(StrEnum):
    """How far an e-mail is. ``pending`` -> ``sending`` -> ``sent`` or ``dead``; a failure that passes leads back.

    ``erased``: its user was erased before it was sent, and it never will be.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    ERASED = "erased"


EMAIL = Table(
    "email",
    METADATA,
    Column("id", BigKey, primary_key=True, autoincrement=True),
    Column("cause_id", PlainText, nullable=False, unique=True),
    Column("user_id", PlainText, nullable=False),
    Column("state", String(7), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("suspected_repeats", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("first_attempt_at", BigInteger),
    Column("settled_at", BigInteger),
    Column("claimed_by", PlainText),
    Column("message_id", PlainText),
    Column("last_error", PlainText),
    Column("record_topic", PlainText, nullable=False, server_default="alert.notification"),
    Column("record_partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("record_timestamp", BigInteger, nullable=False),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary),
    Column("record_headers", LargeBinary),
)
"""Times are ms since the epoch. ``suspected_repeats`` counts the handovers whose outcome nobody lived to see.

``cause_id`` is the alert's id, or the event's that asked for the e-mail. ``record_*`` is the record of
``alert.notification`` or ``mail.requested`` as it came. Key, value and headers hold names, addresses and amounts; they
are deleted once the e-mail is sent, has become a dead letter, or its user is erased.
"""

USER_KEY = Table(
    "user_key",
    METADATA,
    Column("user_id", PlainText, primary_key=True),
    Column("key", LargeBinary),
    Column("erased_at", BigInteger),
    CheckConstraint("(key IS NULL) = (erased_at IS NOT NULL)", name="user_key_or_erased"),
)
"""What users' personal data is sealed with. Without a key: the user was erased, and nothing is sent any more."""

_UNSENT = text("state IN ('pending', 'sending')")

_SENDING = text("state = 'sending'")

SENDING = Index("email_sending", EMAIL.c.claimed_by, sqlite_where=_SENDING, postgresql_where=_SENDING)
UNSENT_BY_AGE = Index(
    "email_unsent_by_age", EMAIL.c.record_topic, EMAIL.c.id, sqlite_where=_UNSENT, postgresql_where=_UNSENT
)
UNSENT_BY_USER = Index(
    "email_unsent_by_user", EMAIL.c.user_id, EMAIL.c.id, sqlite_where=_UNSENT, postgresql_where=_UNSENT
)
