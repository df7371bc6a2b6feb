"""The sent-log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNSENT = sa.text("state IN ('pending', 'sending')")
_SENDING = sa.text("state = 'sending'")


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "email",
        sa.Column("id", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("alert_id", sa.Text, nullable=False, unique=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("state", sa.String(7), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("suspected_repeats", sa.Integer, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("first_attempt_at", sa.BigInteger),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("claimed_by", sa.Text),
        sa.Column("message_id", sa.Text),
        sa.Column("last_error", sa.Text),
        sa.Column("record_partition", sa.Integer, nullable=False),
        sa.Column("record_offset", sa.BigInteger, nullable=False),
        sa.Column("record_timestamp", sa.BigInteger, nullable=False),
        sa.Column("record_key", sa.LargeBinary),
        sa.Column("record_value", sa.LargeBinary),
        sa.Column("record_headers", sa.LargeBinary),
    )
    op.create_index("email_sending", "email", ["claimed_by"], sqlite_where=_SENDING, postgresql_where=_SENDING)
    op.create_index("email_unsent_by_age", "email", ["id"], sqlite_where=_UNSENT, postgresql_where=_UNSENT)
    op.create_index("email_unsent_by_user", "email", ["user_id", "id"], sqlite_where=_UNSENT, postgresql_where=_UNSENT)
