"""What users are told, however they are reached: inboxes, profiles, webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_HELD = sa.text("held_until IS NOT NULL")
_UNREAD = sa.text("read_at IS NULL")
_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.add_column("email", sa.Column("bounced_at", sa.BigInteger))
    op.create_table(
        "secret",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("link_key", sa.LargeBinary, nullable=False),
    )
    _people()
    _webhooks()


def _people() -> None:
    op.create_table(
        "recipient",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("email", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("locale", sa.Text),
        sa.Column("timezone", sa.Text),
        sa.Column("is_verified", sa.Boolean),
        sa.Column("quiet_from", sa.Integer),
        sa.Column("quiet_to", sa.Integer),
        sa.Column("digest", sa.String(6)),
        sa.Column("address_since", sa.BigInteger),
        sa.Column("window_started_at", sa.BigInteger, nullable=False),
        sa.Column("window_count", sa.Integer, nullable=False),
        sa.Column("refusals", sa.Integer, nullable=False),
        sa.Column("refused_at", sa.BigInteger),
        sa.Column("suppressed_at", sa.BigInteger),
        sa.Column("muted", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "notice",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("notice_id", sa.Text, nullable=False, unique=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("read_at", sa.BigInteger),
        sa.Column("held_until", sa.BigInteger),
    )
    op.create_index("notice_by_user", "notice", ["user_id", "num"])
    op.create_index("notice_by_age", "notice", ["received_at"])
    op.create_index("notice_unread", "notice", ["user_id"], sqlite_where=_UNREAD, postgresql_where=_UNREAD)
    op.create_index("notice_held", "notice", ["held_until"], sqlite_where=_HELD, postgresql_where=_HELD)
    op.create_index("notice_waiting", "notice", ["user_id", "num"], sqlite_where=_HELD, postgresql_where=_HELD)


def _webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("webhook_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("categories", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("old_secret", sa.LargeBinary),
        sa.Column("old_secret_until", sa.BigInteger),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("webhook_by_user", "webhook", ["user_id"])
    op.create_table(
        "delivery",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("notice_id", sa.Text),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_until", sa.BigInteger, nullable=False),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
    )
    op.create_index("delivery_due", "delivery", ["due_at"], sqlite_where=_PENDING, postgresql_where=_PENDING)
    op.create_index("delivery_by_webhook", "delivery", ["webhook_id", "num"])
    op.create_index(
        "delivery_waiting", "delivery", ["webhook_id", "num"], sqlite_where=_PENDING, postgresql_where=_PENDING
    )
    op.create_index("delivery_by_age", "delivery", ["created_at"])
