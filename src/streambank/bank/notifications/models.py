"""The sent-log: one row for each alert, from its arrival until its e-mail is sent or given up."""

from enum import StrEnum

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, text

from streambank.service.database import KIT_MIGRATIONS, Migrations
from streambank.service.tables import BigKey, PlainText

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.notifications:migrations/versions", "notifications_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()


class State(StrEnum):
    """How far an e-mail is. ``pending`` -> ``sending`` -> ``sent`` or ``dead``; a failure that passes leads back."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


EMAIL = Table(
    "email",
    METADATA,
    Column("id", BigKey, primary_key=True, autoincrement=True),
    Column("alert_id", PlainText, nullable=False, unique=True),
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
    Column("record_partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("record_timestamp", BigInteger, nullable=False),
    Column("record_key", LargeBinary),
    Column("record_value", LargeBinary),
    Column("record_headers", LargeBinary),
)
"""Times are ms since the epoch. ``suspected_repeats`` counts the handovers whose outcome nobody lived to see.

``record_*`` is the record of ``alert.notification`` as it came. Key, value and headers hold names, addresses and
amounts; they are deleted once the e-mail is sent or has become a dead letter.
"""

_UNSENT = text("state IN ('pending', 'sending')")

_SENDING = text("state = 'sending'")

SENDING = Index("email_sending", EMAIL.c.claimed_by, sqlite_where=_SENDING, postgresql_where=_SENDING)
UNSENT_BY_AGE = Index("email_unsent_by_age", EMAIL.c.id, sqlite_where=_UNSENT, postgresql_where=_UNSENT)
UNSENT_BY_USER = Index(
    "email_unsent_by_user", EMAIL.c.user_id, EMAIL.c.id, sqlite_where=_UNSENT, postgresql_where=_UNSENT
)
