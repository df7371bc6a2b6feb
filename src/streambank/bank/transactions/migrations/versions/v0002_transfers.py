"""Transfers between people, and what was answered about them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables of transfers."""
    op.create_table(
        "transfer",
        sa.Column("transfer_id", sa.String(64), primary_key=True),
        sa.Column("standing", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(4)),
        sa.Column("hold_num", sa.BigInteger, sa.ForeignKey("posting.num")),
        sa.Column("transaction_id", sa.String(36)),
        sa.Column("debtor_entry_id", sa.String(36)),
        sa.Column("creditor_entry_id", sa.String(36)),
    )
    op.create_table(
        "transfer_answer",
        sa.Column("transfer_id", sa.String(64), primary_key=True),
        sa.Column("action", sa.String(8), primary_key=True),
        sa.Column("outcome", sa.LargeBinary, nullable=False),
    )
