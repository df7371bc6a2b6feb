"""People, and what lets them or their programs in."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NEVER_VERIFIED = sa.text("email_verified_at IS NULL")


def _owner() -> sa.Column[str]:
    return sa.Column("user_id", sa.String(36), sa.ForeignKey("person.user_id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Create the tables and their indexes."""
    _people()
    _credentials()
    _others()


def _people() -> None:
    op.create_table(
        "person",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False, unique=True),
        sa.Column("email_verified_at", sa.BigInteger),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("locale", sa.String(35), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("quiet_from_minute", sa.Integer),
        sa.Column("quiet_to_minute", sa.Integer),
        sa.Column("digest", sa.String(6), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("password_changed_at", sa.BigInteger, nullable=False),
        sa.Column("personal_key", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "person_never_verified",
        "person",
        ["created_at"],
        sqlite_where=_NEVER_VERIFIED,
        postgresql_where=_NEVER_VERIFIED,
    )
    op.create_table(
        "security_event",
        sa.Column("event_id", sa.String(36), primary_key=True),
        _owner(),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("detail", sa.Text),
    )
    op.create_index("security_event_by_user", "security_event", ["user_id", "event_id"])
    op.create_index("security_event_by_time", "security_event", ["occurred_at"])


def _credentials() -> None:
    op.create_table(
        "mail_token",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        _owner(),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("mail_token_by_user", "mail_token", ["user_id", "purpose"])
    op.create_index("mail_token_by_end", "mail_token", ["expires_at"])
    op.create_table(
        "page_session",
        sa.Column("session_id", sa.String(36), primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        _owner(),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("page_session_by_user", "page_session", ["user_id", "session_id"])
    op.create_index("page_session_by_end", "page_session", ["expires_at"])
    op.create_table(
        "token_grant",
        sa.Column("grant_id", sa.String(36), primary_key=True),
        _owner(),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("token_grant_by_user", "token_grant", ["user_id"])
    op.create_index("token_grant_by_end", "token_grant", ["expires_at"])
    op.create_table(
        "refresh_token",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("grant_id", sa.String(36), sa.ForeignKey("token_grant.grant_id", ondelete="CASCADE"), nullable=False),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("refresh_token_by_grant", "refresh_token", ["grant_id"])
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.String(36), primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False, unique=True),
        _owner(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
    )
    op.create_index("api_key_by_user", "api_key", ["user_id", "key_id"])
    op.create_index("api_key_by_end", "api_key", ["expires_at"])


def _others() -> None:
    op.create_table(
        "attempts",
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )
    op.create_index("attempts_by_time", "attempts", ["last_at"])
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("private_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("signs_from", sa.BigInteger, nullable=False),
    )
