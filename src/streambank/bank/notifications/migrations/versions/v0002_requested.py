"""E-mails that services ask for, beside those of alerts; and the keys of personal data."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_UNSENT = sa.text("state IN ('pending', 'sending')")


def upgrade() -> None:
    """Say which topic each e-mail's record is of, and add the table of keys."""
    op.execute("ALTER TABLE email RENAME COLUMN alert_id TO cause_id")
    topic = sa.Column("record_topic", sa.Text, nullable=False, server_default="alert.notification")
    op.add_column("email", topic)
    op.drop_index("email_unsent_by_age", "email")
    op.create_index(
        "email_unsent_by_age", "email", ["record_topic", "id"], sqlite_where=_UNSENT, postgresql_where=_UNSENT
    )
    op.create_table(
        "user_key",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("key", sa.LargeBinary),
        sa.Column("erased_at", sa.BigInteger),
        sa.CheckConstraint("(key IS NULL) = (erased_at IS NOT NULL)", name="user_key_or_erased"),
    )
