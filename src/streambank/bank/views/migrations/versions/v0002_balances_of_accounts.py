"""A balance is its account's, whoever owns that."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forget who owned the account at its latest entry."""
    op.drop_index("balance_by_user", "balance")
    op.drop_column("balance", "user_id")
