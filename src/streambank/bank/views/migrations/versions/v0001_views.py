"""Who is known, their accounts and balances, the figures of the topologies, what recurs, and rates."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    _people()
    _figures()
    _rates()


def _id(name: str, kind: "sa.types.TypeEngine[str] | None" = None) -> "sa.Column[str]":
    return sa.Column(name, kind or sa.String(64), primary_key=True)


def _text(name: str, length: int) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length), nullable=False)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False)


def _people() -> None:
    op.create_table(
        "person",
        _id("user_id"),
        sa.Column("key", sa.LargeBinary),
        sa.Column("timezone", sa.Text),
        sa.Column("erased_at", sa.BigInteger),
    )
    op.create_table(
        "account",
        _id("account_id"),
        _text("user_id", 64),
        sa.Column("name", sa.Text, nullable=False),
        _text("kind", 16),
        _text("currency", 3),
        sa.Column("is_closed", sa.Boolean, nullable=False),
    )
    op.create_index("account_by_user", "account", ["user_id"])
    op.create_table(
        "balance",
        _id("account_id"),
        _text("user_id", 64),
        _text("currency", 3),
        _number("booked_minor"),
        _number("changed_at"),
    )
    op.create_index("balance_by_user", "balance", ["user_id"])


def _figures() -> None:
    def figures(name: str, period: str, *columns: "sa.Column[int] | sa.Column[str]") -> None:
        op.create_table(
            name, _id("figure_id", sa.Text()), _text("user_id", 64), _text("currency", 3), _text(period, 10), *columns
        )
        op.create_index(f"{name}_by_user", name, ["user_id", period])

    figures("net_worth_day", "day", _number("change_minor"))
    figures("cash_flow_month", "month", _number("in_minor"), _number("out_minor"))
    figures("spending_day", "day", sa.Column("category", sa.Text), _number("spent_minor"))
    op.create_table(
        "recurring",
        _id("recurring_id", sa.String(36)),
        _text("group_id", 36),
        _text("user_id", 64),
        _text("account_id", 64),
        sa.Column("counterparty", sa.Text, nullable=False),
        _text("credit_debit", 4),
        _text("currency", 3),
        _text("next_on", 10),
        sa.Column("payment", sa.LargeBinary, nullable=False),
    )
    op.create_index("recurring_by_user", "recurring", ["user_id", "next_on", "recurring_id"])
    op.create_index("recurring_by_group", "recurring", ["group_id"])


def _rates() -> None:
    op.create_table(
        "rate", _id("rate_id", sa.Text()), _text("base", 3), _text("quote", 3), _text("day", 10), _number("rate_e9")
    )
    op.create_index("rate_by_pair", "rate", ["base", "quote", "day"])
