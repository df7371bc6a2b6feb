"""People, accounts, transfers, standing orders and requests for money."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    _people()
    _transfers()
    _orders()
    _requests()


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _id(name: str, *, key: bool = False, required: bool = True) -> "sa.Column[str]":
    return sa.Column(name, sa.String(64), primary_key=key, nullable=not (key or required))


def _number(name: str, *, required: bool = True) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=not required)


def _people() -> None:
    op.create_table(
        "person",
        _id("user_id", key=True),
        sa.Column("key", sa.LargeBinary),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("profile", sa.LargeBinary),
        sa.Column("limits", sa.LargeBinary),
        sa.Column("address_key", sa.Text),
        sa.Column("verified", sa.Boolean, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("timezone", sa.Text),
        _number("zone_changed_at", required=False),
        sa.Column("alias", sa.String(30)),
        sa.Column("alias_key", sa.String(30), unique=True),
    )
    op.create_index("person_by_address", "person", ["address_key"])
    op.create_table(
        "account",
        _id("account_id", key=True),
        _id("opener_id"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
    )
    op.create_index("account_by_opener", "account", ["opener_id", "currency"])
    op.create_table(
        "account_member",
        sa.Column(
            "account_id", sa.String(64), sa.ForeignKey("account.account_id", ondelete="CASCADE"), primary_key=True
        ),
        _id("user_id", key=True),
        sa.Column("role", sa.String(6), nullable=False),
    )
    op.create_index("account_member_by_user", "account_member", ["user_id"])
    op.create_table(
        "receiving_account",
        _id("user_id", key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        _id("account_id"),
    )


def _transfers() -> None:
    op.create_table(
        "transfer",
        _id("transfer_id", key=True),
        sa.Column("step", sa.String(10), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _number("created_at"),
        _number("changed_at"),
        _number("reserved_at", required=False),
        _number("expires_at"),
        _number("due_at", required=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        _id("debtor_user_id"),
        _id("debtor_account_id"),
        _id("creditor_user_id", required=False),
        _id("creditor_account_id", required=False),
        sa.Column("payee_kind", sa.String(7), nullable=False),
        sa.Column("payee_text", sa.Text),
        sa.Column("payee_key", sa.Text),
        _number("amount_minor"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("remittance", sa.Text),
        sa.Column("end_to_end_id", sa.String(35)),
        sa.Column("limited", sa.Boolean, nullable=False),
        sa.Column("is_new_payee", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String(4)),
        _id("refunds_id", required=False),
        _id("refunded_by_id", required=False),
        *(sa.Column(name, sa.String(36)) for name in ("order_id", "request_id", "transaction_id")),
        *(sa.Column(name, sa.String(36)) for name in ("debtor_entry_id", "creditor_entry_id")),
    )
    op.create_index("transfer_by_debtor", "transfer", ["debtor_user_id", "created_at", "transfer_id"])
    op.create_index("transfer_by_creditor", "transfer", ["creditor_user_id", "created_at", "transfer_id"])
    _partial("transfer_by_due", "transfer", ["due_at"], "due_at IS NOT NULL")
    op.create_index("transfer_by_payee", "transfer", ["payee_key"])
    op.create_index("transfer_to_payee", "transfer", ["debtor_user_id", "payee_key", "created_at"])


def _orders() -> None:
    op.create_table(
        "standing_order",
        sa.Column("order_id", sa.String(36), primary_key=True),
        _id("user_id"),
        _id("debtor_account_id"),
        _id("creditor_user_id", required=False),
        _id("creditor_account_id", required=False),
        sa.Column("payee_kind", sa.String(7), nullable=False),
        sa.Column("payee_text", sa.Text),
        sa.Column("payee_key", sa.Text),
        _number("amount_minor"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("remittance", sa.Text),
        sa.Column("every", sa.String(5), nullable=False),
        sa.Column("starts_on", sa.String(10), nullable=False),
        sa.Column("day", sa.Integer),
        sa.Column("until", sa.String(10)),
        sa.Column("times", sa.Integer),
        sa.Column("made", sa.Integer, nullable=False),
        _number("due_at", required=False),
        _number("created_at"),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("standing_order_by_user", "standing_order", ["user_id", "order_id"])
    _partial("standing_order_by_due", "standing_order", ["due_at"], "due_at IS NOT NULL")
    _partial("standing_order_by_creditor", "standing_order", ["creditor_user_id"], "creditor_user_id IS NOT NULL")
    op.create_index("standing_order_by_payee", "standing_order", ["payee_key"])


def _requests() -> None:
    op.create_table(
        "payment_request",
        sa.Column("request_id", sa.String(36), primary_key=True),
        sa.Column("state", sa.String(9), nullable=False),
        _id("creditor_user_id"),
        _id("creditor_account_id", required=False),
        _id("debtor_user_id", required=False),
        sa.Column("payer_text", sa.Text),
        sa.Column("payer_key", sa.Text),
        _number("amount_minor"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("remittance", sa.Text),
        _id("transfer_id", required=False),
        _number("created_at"),
        _number("expires_at"),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("payment_request_by_creditor", "payment_request", ["creditor_user_id", "request_id"])
    op.create_index("payment_request_by_debtor", "payment_request", ["debtor_user_id", "request_id"])
    _partial("payment_request_by_expiry", "payment_request", ["expires_at"], "state = 'open'")
    op.create_index("payment_request_by_payer", "payment_request", ["payer_key"])
