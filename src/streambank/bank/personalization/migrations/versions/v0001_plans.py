"""People, their accounts, thresholds, goals and payment limits."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ID = sa.String(200)
_SCOPE_ID = sa.String(204)


def upgrade() -> None:
    """Create the tables and their indexes."""
    _known()
    _thresholds()
    _plans()


def _known() -> None:
    op.create_table(
        "person",
        sa.Column("user_id", _ID, primary_key=True),
        sa.Column("key", sa.LargeBinary),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("erased_at", sa.BigInteger),
    )
    op.create_table(
        "account",
        sa.Column("account_id", _ID, primary_key=True),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("member_ids", sa.LargeBinary, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
    )
    op.create_index("account_by_owner", "account", ["owner_id"])


def _thresholds() -> None:
    op.create_table(
        "threshold_scope",
        sa.Column("scope_id", _SCOPE_ID, primary_key=True),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("scope", sa.String(7), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
    )
    op.create_index("threshold_scope_by_user", "threshold_scope", ["user_id"])
    op.create_table(
        "threshold",
        sa.Column("scope_id", _SCOPE_ID, primary_key=True),
        sa.Column("threshold_id", _ID, primary_key=True),
        sa.Column("definition", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "unread_record",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(36), nullable=False, unique=True),
        sa.Column("scope_id", _SCOPE_ID, nullable=False),
    )
    op.create_index("unread_record_by_scope", "unread_record", ["scope_id"])


def _plans() -> None:
    op.create_table(
        "goal",
        sa.Column("goal_id", sa.String(36), primary_key=True),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("definition", sa.LargeBinary, nullable=False),
        sa.Column("told", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("goal_by_user", "goal", ["user_id"])
    op.create_table(
        "payment_limit",
        sa.Column("user_id", _ID, primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("definition", sa.LargeBinary),
        sa.Column("version", sa.Integer, nullable=False),
    )
