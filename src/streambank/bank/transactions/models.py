"""The transactions service's tables.

The ledger proper, ``journal`` and ``posting``, can only be appended to: triggers refuse the rest. It holds amounts and
dates and names nobody. What names people or says what they did stands beside it (``entry_detail``, ``entry_tag``,
``entry_split``, ``external_id``, the words to search by), where it can be changed, and deleted when a user is erased.
"""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from streambank.service.database import KIT_MIGRATIONS, Migrations
from streambank.service.tables import BigKey

DATABASE: tuple[Migrations, ...] = (
    KIT_MIGRATIONS,
    Migrations("streambank.bank.transactions:migrations/versions", "transactions_version"),
)
"""What to open the service's database with: ``Database.open(path, *DATABASE)``."""

METADATA = MetaData()


class Purpose(StrEnum):
    """What an account is in the ledger: a user's own, or one on the other side of its entries, which nobody sees."""

    USER = "user"
    EXTERNAL = "external"
    OPENING = "opening"
    ADJUSTMENT = "adjustment"


class JournalKind(StrEnum):
    """What a journal transaction does. ``transfer``: it holds or books what payments asked for, and stays as it is."""

    ENTRY = "entry"
    HOLD = "hold"
    BOOKING = "booking"
    RELEASE = "release"
    REVERSAL = "reversal"
    TRANSFER = "transfer"


class TransferStanding(StrEnum):
    """How a transfer between people stands in the ledger."""

    RESERVED = "reserved"
    POSTED = "posted"
    VOIDED = "voided"
    REJECTED = "rejected"


PERSON = Table(
    "person",
    METADATA,
    Column("user_id", String(64), primary_key=True),
    Column("key", LargeBinary),
    Column("erased_at", BigInteger),
    Column("rules_tag", String(36)),
)
"""Who is known from ``user.key``. ``rules_tag`` is another after each change of the rules; None: there are none."""

ACCOUNT = Table(
    "account",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=True),
    Column("account_id", String(64), nullable=False, unique=True),
    Column("owner_id", String(64)),
    Column("purpose", String(10), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("name", Text),
    Column("number_last4", String(4)),
    Column("overdraft_limit_minor", BigInteger),
    Column("search_key", LargeBinary),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("version", Integer, nullable=False),
)
"""``owner_id``: under whom its entries are published; None once that user was erased, and then it names nobody.

``search_key`` hashes the words of its entries. Times are ms since the epoch, here and in all tables.
"""

COUNTER_ACCOUNT = Index(
    "account_counter",
    ACCOUNT.c.owner_id,
    ACCOUNT.c.currency,
    ACCOUNT.c.purpose,
    unique=True,
    sqlite_where=text("purpose <> 'user'"),
    postgresql_where=text("purpose <> 'user'"),
)
ACCOUNT_BY_OWNER = Index("account_by_owner", ACCOUNT.c.owner_id)

ACCOUNT_MEMBER = Table(
    "account_member",
    METADATA,
    Column("account_num", BigInteger, ForeignKey("account.num"), primary_key=True, autoincrement=False),
    Column("user_id", String(64), primary_key=True),
    Column("role", String(6), nullable=False),
    Column("since", BigInteger, nullable=False),
)
"""Who may use or see an account, its opener among them."""

MEMBER_BY_USER = Index("account_member_by_user", ACCOUNT_MEMBER.c.user_id)

BALANCE = Table(
    "balance",
    METADATA,
    Column("account_num", BigInteger, ForeignKey("account.num"), primary_key=True, autoincrement=False),
    Column("booked_minor", BigInteger, nullable=False),
    Column("pending_debits_minor", BigInteger, nullable=False),
    Column("pending_credits_minor", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""What an account's postings come to. Pending sums are of what has not ended yet, and never negative."""

LEDGER_STATE = Table(
    "ledger_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_num", BigInteger, nullable=False),
)
"""One row: the last number given to a posting. It is locked by whoever writes, so that numbers commit in order."""

JOURNAL = Table(
    "journal",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=False),
    Column("transaction_id", String(36), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
"""A double entry: its postings sum to zero. Its number is that of its first posting."""

POSTING = Table(
    "posting",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=False),
    Column("journal_num", BigInteger, ForeignKey("journal.num"), nullable=False),
    Column("account_num", BigInteger, ForeignKey("account.num"), nullable=False),
    Column("account_seq", BigInteger, nullable=False),
    Column("entry_id", String(36)),
    Column("signed_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(4), nullable=False),
    Column("origin", String(6), nullable=False),
    Column("booking_date", String(10), nullable=False),
    Column("value_date", String(10)),
    Column("occurred_at", BigInteger, nullable=False),
    Column("reverses_num", BigInteger, ForeignKey("posting.num")),
)
"""One side of a double entry. Dates are ISO 8601. ``entry_id``: only the postings of users' accounts have one.

``reverses_num``: the posting of the same account that it takes back (booked) or ends (pending).
"""

_OF_USERS = text("entry_id IS NOT NULL")

Index("posting_by_journal", POSTING.c.journal_num)
Index("posting_by_entry", POSTING.c.entry_id, unique=True, sqlite_where=_OF_USERS, postgresql_where=_OF_USERS)
Index(
    "posting_by_seq",
    POSTING.c.account_num,
    POSTING.c.account_seq,
    unique=True,
    sqlite_where=_OF_USERS,
    postgresql_where=_OF_USERS,
)
Index("posting_by_num", POSTING.c.account_num, POSTING.c.num, sqlite_where=_OF_USERS, postgresql_where=_OF_USERS)
Index(
    "posting_by_date",
    POSTING.c.account_num,
    POSTING.c.booking_date,
    POSTING.c.num,
    sqlite_where=_OF_USERS,
    postgresql_where=_OF_USERS,
)
_REVERSING = text("reverses_num IS NOT NULL")
Index("posting_reversed", POSTING.c.reverses_num, unique=True, sqlite_where=_REVERSING, postgresql_where=_REVERSING)

HOLD = Table(
    "hold",
    METADATA,
    Column("posting_num", BigInteger, ForeignKey("posting.num"), primary_key=True, autoincrement=False),
    Column("account_num", BigInteger, ForeignKey("account.num"), nullable=False),
    Column("expires_at", BigInteger),
)
"""The pending entries that have not ended."""

Index("hold_by_account", HOLD.c.account_num)
Index("hold_by_expiry", HOLD.c.expires_at)

ENTRY_DETAIL = Table(
    "entry_detail",
    METADATA,
    Column("posting_num", BigInteger, ForeignKey("posting.num"), primary_key=True, autoincrement=False),
    Column("account_num", BigInteger, nullable=False),
    Column("kind", String(35)),
    Column("counterparty", Text),
    Column("counterparty_account", Text),
    Column("end_to_end_id", Text),
    Column("remittance", Text),
    Column("notes", Text),
    Column("category_num", BigInteger, ForeignKey("category.num")),
    Column("by_rule", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)
"""What an entry was about. ``by_rule``: its category was set by a rule, so that another rule may set it anew."""

_CATEGORISED = text("category_num IS NOT NULL")
Index(
    "entry_by_category",
    ENTRY_DETAIL.c.account_num,
    ENTRY_DETAIL.c.category_num,
    ENTRY_DETAIL.c.posting_num,
    sqlite_where=_CATEGORISED,
    postgresql_where=_CATEGORISED,
)

ENTRY_TAG = Table(
    "entry_tag",
    METADATA,
    Column("posting_num", BigInteger, ForeignKey("posting.num"), primary_key=True, autoincrement=False),
    Column("tag", String(64), primary_key=True),
    Column("account_num", BigInteger, nullable=False),
)
Index("entry_by_tag", ENTRY_TAG.c.account_num, ENTRY_TAG.c.tag, ENTRY_TAG.c.posting_num)

ENTRY_SPLIT = Table(
    "entry_split",
    METADATA,
    Column("posting_num", BigInteger, ForeignKey("posting.num"), primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("account_num", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("category_num", BigInteger, ForeignKey("category.num")),
    Column("note", Text),
)
"""The parts of an entry, each with the entry's sign; they sum to it."""

Index("split_by_category", ENTRY_SPLIT.c.account_num, ENTRY_SPLIT.c.category_num)

EXTERNAL_ID = Table(
    "external_id",
    METADATA,
    Column("account_num", BigInteger, ForeignKey("account.num"), primary_key=True, autoincrement=False),
    Column("external_id", String(128), primary_key=True),
    Column("posting_num", BigInteger, ForeignKey("posting.num"), nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
)
"""What an entry is called where it came from, and a hash of what was said about it then."""

Index("external_id_by_posting", EXTERNAL_ID.c.posting_num)

CATEGORY = Table(
    "category",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=True),
    Column("category_id", String(36), nullable=False, unique=True),
    Column("user_id", String(64), nullable=False),
    Column("parent_num", BigInteger, ForeignKey("category.num")),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
)
"""A user's tree of two levels."""

Index("category_by_user", CATEGORY.c.user_id)

RULE = Table(
    "rule",
    METADATA,
    Column("rule_id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    Column("definition", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
)
"""A rule that categorises; ``definition`` is JSON of :class:`streambank.bank.transactions.rules.Rule`."""

Index("rule_by_user", RULE.c.user_id, RULE.c.position)

IMPORT = Table(
    "import",
    METADATA,
    Column("num", BigKey, primary_key=True, autoincrement=True),
    Column("import_id", String(64), nullable=False, unique=True),
    Column("account_num", BigInteger, ForeignKey("account.num"), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("undone_at", BigInteger),
    Column("booked", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("differing", Integer, nullable=False),
    Column("reversed", Integer, nullable=False),
    Column("kept", Integer, nullable=False),
    Column("version", Integer, nullable=False),
)
"""A file that was read in. ``reversed`` and ``kept`` tell what undoing it did."""

IMPORT_ENTRY = Table(
    "import_entry",
    METADATA,
    Column("import_num", BigInteger, ForeignKey("import.num"), primary_key=True, autoincrement=False),
    Column("posting_num", BigInteger, ForeignKey("posting.num"), primary_key=True, autoincrement=False),
)

TRANSFER = Table(
    "transfer",
    METADATA,
    Column("transfer_id", String(64), primary_key=True),
    Column("standing", String(8), nullable=False),
    Column("reason", String(4)),
    Column("hold_num", BigInteger, ForeignKey("posting.num")),
    Column("transaction_id", String(36)),
    Column("debtor_entry_id", String(36)),
    Column("creditor_entry_id", String(36)),
)
"""Transfers between people, as payments asked for them. ``reason``: why it was not posted, an ISO 20022 code."""

TRANSFER_ANSWER = Table(
    "transfer_answer",
    METADATA,
    Column("transfer_id", String(64), primary_key=True),
    Column("action", String(8), primary_key=True),
    Column("outcome", LargeBinary, nullable=False),
)
"""What each instruction was answered: an event as it went out, so that one that is repeated gets the same."""
