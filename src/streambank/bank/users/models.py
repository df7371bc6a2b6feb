"""The users service's tables: people, and what lets them or their programs in. Secrets are here as hashes only."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

from streambank.service.database import KIT_MIGRATIONS, Migrations

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.users:migrations/versions", "users_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()


def _owner() -> Column[str]:
    return Column("user_id", String(36), ForeignKey("person.user_id", ondelete="CASCADE"), nullable=False)


PERSON = Table(
    "person",
    METADATA,
    Column("user_id", String(36), primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False, unique=True),
    Column("email_verified_at", BigInteger),
    Column("name", Text, nullable=False),
    Column("locale", String(35), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("quiet_from_minute", Integer),
    Column("quiet_to_minute", Integer),
    Column("digest", String(6), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("password_changed_at", BigInteger, nullable=False),
    Column("personal_key", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""Times, here and below, are ms since the epoch. ``email_key`` is what makes two addresses the same one.

``version`` counts the changes of profile, preferences, address and password. All other tables of a person go with the
row.
"""

_NEVER_VERIFIED = text("email_verified_at IS NULL")

NEVER_VERIFIED = Index(
    "person_never_verified", PERSON.c.created_at, sqlite_where=_NEVER_VERIFIED, postgresql_where=_NEVER_VERIFIED
)

MAIL_TOKEN = Table(
    "mail_token",
    METADATA,
    Column("token_hash", LargeBinary, primary_key=True),
    _owner(),
    Column("purpose", String(16), nullable=False),
    Column("email", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("mail_token_by_user", "user_id", "purpose"),
    Index("mail_token_by_end", "expires_at"),
)
"""What was mailed to prove that somebody reads ``email``. A token that was used is gone."""

PAGE_SESSION = Table(
    "page_session",
    METADATA,
    Column("session_id", String(36), primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    _owner(),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("page_session_by_user", "user_id", "session_id"),
    Index("page_session_by_end", "expires_at"),
)
"""Who is logged in on a page. A session that ended is gone."""

TOKEN_GRANT = Table(
    "token_grant",
    METADATA,
    Column("grant_id", String(36), primary_key=True),
    _owner(),
    Column("client_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("token_grant_by_user", "user_id"),
    Index("token_grant_by_end", "expires_at"),
)
"""A log-in of a program. A grant that was revoked is gone, and its refresh tokens with it."""

REFRESH_TOKEN = Table(
    "refresh_token",
    METADATA,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("grant_id", String(36), ForeignKey("token_grant.grant_id", ondelete="CASCADE"), nullable=False),
    Column("used_at", BigInteger),
    Index("refresh_token_by_grant", "grant_id"),
)
"""Each is good once. Used ones stay as long as their grant, so that one that comes again is known to be stolen."""

API_KEY = Table(
    "api_key",
    METADATA,
    Column("key_id", String(36), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    _owner(),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Index("api_key_by_user", "user_id", "key_id"),
    Index("api_key_by_end", "expires_at"),
)
"""Keys for a person's own programs. One that was revoked is gone."""

SECURITY_EVENT = Table(
    "security_event",
    METADATA,
    Column("event_id", String(36), primary_key=True),
    _owner(),
    Column("kind", String(32), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("address", Text),
    Column("detail", Text),
    Index("security_event_by_user", "user_id", "event_id"),
    Index("security_event_by_time", "occurred_at"),
)
"""What happened to somebody's credentials, for them to read."""

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("subject", LargeBinary, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Index("attempts_by_time", "last_at"),
)
"""How often something was tried lately. ``subject`` is a hash: what was tried may be somebody's address."""

SIGNING_KEY = Table(
    "signing_key",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("private_key", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("signs_from", BigInteger, nullable=False),
)
"""The keys that access tokens are signed with: 32 bytes each, Ed25519."""
