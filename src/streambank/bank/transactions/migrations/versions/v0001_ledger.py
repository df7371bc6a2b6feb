"""Accounts, the ledger that can only be appended to, and what stands beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY = ("journal", "posting")


def upgrade() -> None:
    """Create the tables, their indexes, and the triggers that keep the ledger as it was written."""
    _accounts()
    _categories()
    _ledger()
    _beside_entries()
    _imports()
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()
    op.execute("INSERT INTO ledger_state (id, last_num) VALUES (1, 0)")


def _partial(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _key(name: str, references: str | None = None) -> "sa.Column[int]":
    foreign = [] if references is None else [sa.ForeignKey(references)]
    return sa.Column(name, sa.BigInteger, *foreign, primary_key=True, autoincrement=False)


def _number(name: str, references: str, *, nullable: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(references), nullable=nullable)


def _accounts() -> None:
    op.create_table(
        "person",
        sa.Column("user_id", sa.String(64), primary_key=True),
        sa.Column("key", sa.LargeBinary),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("rules_tag", sa.String(36)),
    )
    op.create_table(
        "account",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.String(64), nullable=False, unique=True),
        sa.Column("owner_id", sa.String(64)),
        sa.Column("purpose", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("number_last4", sa.String(4)),
        sa.Column("overdraft_limit_minor", sa.BigInteger),
        sa.Column("search_key", sa.LargeBinary),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("version", sa.Integer, nullable=False),
    )
    _partial("account_counter", "account", ["owner_id", "currency", "purpose"], "purpose <> 'user'", unique=True)
    op.create_index("account_by_owner", "account", ["owner_id"])
    op.create_table(
        "account_member",
        _key("account_num", "account.num"),
        sa.Column("user_id", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(6), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index("account_member_by_user", "account_member", ["user_id"])
    op.create_table(
        "balance",
        _key("account_num", "account.num"),
        sa.Column("booked_minor", sa.BigInteger, nullable=False),
        sa.Column("pending_debits_minor", sa.BigInteger, nullable=False),
        sa.Column("pending_credits_minor", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def _categories() -> None:
    op.create_table(
        "category",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("category_id", sa.String(36), nullable=False, unique=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        _number("parent_num", "category.num", nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("category_by_user", "category", ["user_id"])
    op.create_table(
        "rule",
        sa.Column("rule_id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("definition", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("rule_by_user", "rule", ["user_id", "position"])


def _ledger() -> None:
    op.create_table(
        "ledger_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_num", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "posting",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=False),
        _number("journal_num", "journal.num"),
        _number("account_num", "account.num"),
        sa.Column("account_seq", sa.BigInteger, nullable=False),
        sa.Column("entry_id", sa.String(36)),
        sa.Column("signed_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(4), nullable=False),
        sa.Column("origin", sa.String(6), nullable=False),
        sa.Column("booking_date", sa.String(10), nullable=False),
        sa.Column("value_date", sa.String(10)),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        _number("reverses_num", "posting.num", nullable=True),
    )
    op.create_index("posting_by_journal", "posting", ["journal_num"])
    of_users = "entry_id IS NOT NULL"
    _partial("posting_by_entry", "posting", ["entry_id"], of_users, unique=True)
    _partial("posting_by_seq", "posting", ["account_num", "account_seq"], of_users, unique=True)
    _partial("posting_by_num", "posting", ["account_num", "num"], of_users)
    _partial("posting_by_date", "posting", ["account_num", "booking_date", "num"], of_users)
    _partial("posting_reversed", "posting", ["reverses_num"], "reverses_num IS NOT NULL", unique=True)


def _beside_entries() -> None:
    op.create_table(
        "hold",
        _key("posting_num", "posting.num"),
        _number("account_num", "account.num"),
        sa.Column("expires_at", sa.BigInteger),
    )
    op.create_index("hold_by_account", "hold", ["account_num"])
    op.create_index("hold_by_expiry", "hold", ["expires_at"])
    op.create_table(
        "entry_detail",
        _key("posting_num", "posting.num"),
        sa.Column("account_num", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(35)),
        sa.Column("counterparty", sa.Text),
        sa.Column("counterparty_account", sa.Text),
        sa.Column("end_to_end_id", sa.Text),
        sa.Column("remittance", sa.Text),
        sa.Column("notes", sa.Text),
        _number("category_num", "category.num", nullable=True),
        sa.Column("by_rule", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    by_category = ["account_num", "category_num", "posting_num"]
    _partial("entry_by_category", "entry_detail", by_category, "category_num IS NOT NULL")
    op.create_table(
        "entry_tag",
        _key("posting_num", "posting.num"),
        sa.Column("tag", sa.String(64), primary_key=True),
        sa.Column("account_num", sa.BigInteger, nullable=False),
    )
    op.create_index("entry_by_tag", "entry_tag", ["account_num", "tag", "posting_num"])
    op.create_table(
        "entry_split",
        _key("posting_num", "posting.num"),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account_num", sa.BigInteger, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        _number("category_num", "category.num", nullable=True),
        sa.Column("note", sa.Text),
    )
    op.create_index("split_by_category", "entry_split", ["account_num", "category_num"])


def _imports() -> None:
    op.create_table(
        "external_id",
        _key("account_num", "account.num"),
        sa.Column("external_id", sa.String(128), primary_key=True),
        _number("posting_num", "posting.num"),
        sa.Column("content_hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("external_id_by_posting", "external_id", ["posting_num"])
    op.create_table(
        "import",
        sa.Column("num", _BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("import_id", sa.String(64), nullable=False, unique=True),
        _number("account_num", "account.num"),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("undone_at", sa.BigInteger),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("booked", "duplicates", "differing")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("reversed", "kept", "version")),
    )
    op.create_table("import_entry", _key("import_num", "import.num"), _key("posting_num", "posting.num"))


def _sqlite() -> None:
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the ledger can only be appended to'); END"
            )
    op.execute(
        "CREATE VIRTUAL TABLE entry_words USING fts5(words, content='', detail=none, columnsize=0, tokenize='ascii')"
    )


def _postgresql() -> None:
    op.execute(
        "CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger can only be appended to'; END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"
        )
    op.create_table(
        "entry_words",
        _key("posting_num"),
        sa.Column("words", sa.ARRAY(sa.Text), nullable=False),
    )
    op.create_index("entry_words_by_word", "entry_words", ["words"], postgresql_using="gin")
