"""A balance is its account's, whoever owns that; and every group of recurring payments is known, also an empty one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forget who owned an account at its latest entry, and remember whose groups there are."""
    op.drop_index("balance_by_user", "balance")
    op.drop_column("balance", "user_id")
    op.create_table(
        "recurring_group",
        sa.Column("group_id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
    )
    op.create_index("recurring_group_by_user", "recurring_group", ["user_id"])
    op.execute("INSERT INTO recurring_group (group_id, user_id) SELECT DISTINCT group_id, user_id FROM recurring")
