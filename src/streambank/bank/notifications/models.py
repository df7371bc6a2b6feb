"""The sent-log: one row for each e-mail, from its cause until it is sent or given up. How users are reached, what they
were told, and their webhooks."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
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

    ``erased``: its user was erased before it was sent, and it never will be. ``skipped``: its user did not want it any
    more, or their address is not to be written to.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    ERASED = "erased"
    SKIPPED = "skipped"


class DeliveryState(StrEnum):
    """How far a webhook's delivery is. ``failed``: given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


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
    Column("bounced_at", BigInteger),
)
"""Times are ms since the epoch. ``suspected_repeats`` counts the handovers whose outcome nobody lived to see.

``cause_id`` is the alert's id, the id of the event that asked for the e-mail, or that of another notice or a digest.
``record_*`` is the record that it follows from, as it came; a digest's names the notices that it lists. Key, value and
headers hold names, addresses and amounts; they are deleted once the e-mail is sent, has become a dead letter, or its
user is erased. ``bounced_at``: a report came in that it did not reach its mailbox.
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

RECIPIENT = Table(
    "recipient",
    METADATA,
    Column("user_id", PlainText, primary_key=True),
    Column("email", PlainText),
    Column("name", PlainText),
    Column("locale", PlainText),
    Column("timezone", PlainText),
    Column("is_verified", Boolean),
    Column("quiet_from", Integer),
    Column("quiet_to", Integer),
    Column("digest", String(6)),
    Column("address_since", BigInteger),
    Column("window_started_at", BigInteger, nullable=False),
    Column("window_count", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("refused_at", BigInteger),
    Column("suppressed_at", BigInteger),
    Column("muted", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
)
"""A user's profile as the users service published it, sealed as it is there (``email`` None: it has not come), and
beside it: the e-mails of the present hour, how often their address refused one, when last, and since when it is left
alone, the categories that they have no e-mails of (names with commas between), and the version of that choice."""

NOTICE = Table(
    "notice",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=True),
    Column("notice_id", PlainText, nullable=False, unique=True),
    Column("user_id", PlainText, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("read_at", BigInteger),
    Column("held_until", BigInteger),
)
"""What users were told: their inboxes. ``held_until``: it waits for a digest, which is due then.

``facts`` are those of :mod:`.facts`, with what is personal still sealed.
"""

WEBHOOK = Table(
    "webhook",
    METADATA,
    Column("webhook_id", PlainText, primary_key=True),
    Column("user_id", PlainText, nullable=False),
    Column("url", PlainText, nullable=False),
    Column("categories", PlainText, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("old_secret", LargeBinary),
    Column("old_secret_until", BigInteger),
    Column("disabled_reason", PlainText),
    Column("failing_since", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)
"""Where users want to be told by HTTP. ``categories``: names with commas between; none: all. ``old_secret`` still signs
until then. ``disabled_reason``: nothing is sent any more."""

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=True),
    Column("message_id", PlainText, nullable=False, unique=True),
    Column("webhook_id", PlainText, nullable=False),
    Column("notice_id", PlainText),
    Column("state", String(9), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("last_status", Integer),
    Column("last_error", PlainText),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
)
"""What is sent to webhooks. ``notice_id`` None: a test. ``message_id`` is the same at each attempt."""

SECRET = Table(
    "secret",
    METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("link_key", LargeBinary, nullable=False),
)
"""One row: what signs the links in e-mails, for all processes of the service."""

_HELD = text("held_until IS NOT NULL")
_UNREAD = text("read_at IS NULL")
_PENDING = text("state = 'pending'")

NOTICE_BY_USER = Index("notice_by_user", NOTICE.c.user_id, NOTICE.c.num)
NOTICE_BY_AGE = Index("notice_by_age", NOTICE.c.received_at)
NOTICE_UNREAD = Index("notice_unread", NOTICE.c.user_id, sqlite_where=_UNREAD, postgresql_where=_UNREAD)
NOTICE_HELD = Index("notice_held", NOTICE.c.held_until, sqlite_where=_HELD, postgresql_where=_HELD)
NOTICE_WAITING = Index("notice_waiting", NOTICE.c.user_id, NOTICE.c.num, sqlite_where=_HELD, postgresql_where=_HELD)
WEBHOOK_BY_USER = Index("webhook_by_user", WEBHOOK.c.user_id)
DELIVERY_DUE = Index("delivery_due", DELIVERY.c.due_at, sqlite_where=_PENDING, postgresql_where=_PENDING)
DELIVERY_BY_WEBHOOK = Index("delivery_by_webhook", DELIVERY.c.webhook_id, DELIVERY.c.num)
DELIVERY_WAITING = Index(
    "delivery_waiting", DELIVERY.c.webhook_id, DELIVERY.c.num, sqlite_where=_PENDING, postgresql_where=_PENDING
)
DELIVERY_BY_AGE = Index("delivery_by_age", DELIVERY.c.created_at)
