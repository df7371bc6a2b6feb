"""The ledger's statements, built once: to build them costs more than to execute them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec
from iso4217 import Currency
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Row,
    Select,
    TableValuedAlias,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from streambank.bank.events import AccountKind, Role
from streambank.bank.transactions.models import (
    ACCOUNT,
    ACCOUNT_MEMBER,
    BALANCE,
    ENTRY_DETAIL,
    ENTRY_SPLIT,
    ENTRY_TAG,
    EXTERNAL_ID,
    HOLD,
    JOURNAL,
    LEDGER_STATE,
    PERSON,
    POSTING,
    Purpose,
)
from streambank.errors import check
from streambank.service.bulk import BulkInsert


@dataclass(slots=True)
class LedgerAccount:
    """An account with its balance. The balance is changed here first, and written when the books are closed.

    ``role`` is the caller's, ``key`` that of the owner's personal data, ``currency_code`` as in ISO 4217.
    """

    num: int
    account_id: str
    owner_id: str | None
    purpose: Purpose
    kind: AccountKind
    currency: Currency
    name: str | None
    number_last4: str | None
    overdraft_limit_minor: int | None
    search_key: bytes | None
    opened_at: int
    closed_at: int | None
    version: int
    booked_minor: int
    pending_debits_minor: int
    pending_credits_minor: int
    last_seq: int
    balance_version: int
    role: Role | None
    key: bytes | None
    rules_tag: str | None
    currency_code: str = field(init=False)

    def __post_init__(self) -> None:
        self.currency_code = self.currency.value

    @property
    def available_minor(self) -> int:
        """What may still be spent: booked, less pending debits, plus the overdraft limit if there is one.

        Pending credits do not count before they are booked: what is expected may fail to come.
        """
        return self.booked_minor - self.pending_debits_minor + (self.overdraft_limit_minor or 0)


_ROLES = {role.value: role for role in Role}
_KINDS = {kind.value: kind for kind in AccountKind}
_PURPOSES = {purpose.value: purpose for purpose in Purpose}
_CURRENCIES = {currency.value: currency for currency in Currency}


def ledger_account(row: Sequence[Any]) -> LedgerAccount:
    """The account of a row of the statements below."""
    values = list(row)
    # A dictionary is several times as quick as an enumeration's own look-up by value.
    values[3], values[4], values[5] = _PURPOSES[values[3]], _KINDS[values[4]], _CURRENCIES[values[5]]
    values[18] = None if values[18] is None else _ROLES[values[18]]
    return LedgerAccount(*values)


_COLUMNS = (
    ACCOUNT.c.num,
    ACCOUNT.c.account_id,
    ACCOUNT.c.owner_id,
    ACCOUNT.c.purpose,
    ACCOUNT.c.kind,
    ACCOUNT.c.currency,
    ACCOUNT.c.name,
    ACCOUNT.c.number_last4,
    ACCOUNT.c.overdraft_limit_minor,
    ACCOUNT.c.search_key,
    ACCOUNT.c.opened_at,
    ACCOUNT.c.closed_at,
    ACCOUNT.c.version,
    BALANCE.c.booked_minor,
    BALANCE.c.pending_debits_minor,
    BALANCE.c.pending_credits_minor,
    BALANCE.c.last_seq,
    BALANCE.c.version.label("balance_version"),
    ACCOUNT_MEMBER.c.role,
    PERSON.c.key,
    PERSON.c.rules_tag,
)


def _accounts_with_role_of(callers: ColumnElement[bool]) -> Select[Any]:
    return select(*_COLUMNS).select_from(
        ACCOUNT.join(BALANCE, BALANCE.c.account_num == ACCOUNT.c.num)
        .outerjoin(ACCOUNT_MEMBER, and_(ACCOUNT_MEMBER.c.account_num == ACCOUNT.c.num, callers))
        .outerjoin(PERSON, PERSON.c.user_id == ACCOUNT.c.owner_id)
    )


_ACCOUNTS = _accounts_with_role_of(ACCOUNT_MEMBER.c.user_id == bindparam("caller_id"))
_ACCOUNT = _ACCOUNTS.where(ACCOUNT.c.account_id == bindparam("account_id"))
_ACCOUNTS_IN = (
    _accounts_with_role_of(ACCOUNT_MEMBER.c.user_id.in_(bindparam("caller_ids", expanding=True)))
    .add_columns(ACCOUNT_MEMBER.c.user_id)
    .where(ACCOUNT.c.account_id.in_(bindparam("account_ids", expanding=True)))
)
_ACCOUNTS_NUM = _ACCOUNTS.where(ACCOUNT.c.num.in_(bindparam("nums", expanding=True)))
_ACCOUNTS_OF = _ACCOUNTS.where(ACCOUNT_MEMBER.c.role.is_not(None)).order_by(ACCOUNT.c.num)
_COUNTERS = _ACCOUNTS.where(
    ACCOUNT.c.owner_id.in_(bindparam("owner_ids", expanding=True)),
    ACCOUNT.c.purpose != literal_column(f"'{Purpose.USER.value}'"),
)


def account(connection: Connection, caller_id: str, account_id: str) -> LedgerAccount | None:
    """An account, with the caller's role in it."""
    row = connection.execute(_ACCOUNT, {"caller_id": caller_id, "account_id": account_id}).one_or_none()
    return None if row is None else ledger_account(row)


def accounts(connection: Connection, places: Collection[tuple[str, str]]) -> Iterator[tuple[str | None, LedgerAccount]]:
    """Those of the accounts that exist; ``places`` are pairs of a caller and an account's id.

    An account comes once for each of the callers with a role in it, and with that; with None if it is none of them.
    """
    callers, account_ids = zip(*places, strict=True)
    values = {"caller_ids": list(dict.fromkeys(callers)), "account_ids": list(dict.fromkeys(account_ids))}
    for row in connection.execute(_ACCOUNTS_IN, values):
        yield row[-1], ledger_account(row[:-1])


def accounts_by_num(connection: Connection, caller_id: str, nums: Sequence[int]) -> list[LedgerAccount]:
    """Accounts by their numbers."""
    found = connection.execute(_ACCOUNTS_NUM, {"caller_id": caller_id, "nums": list(nums)})
    return [ledger_account(row) for row in found]


def accounts_of(connection: Connection, user_id: str) -> list[LedgerAccount]:
    """The accounts that a user may see, in the order in which they were opened."""
    return [ledger_account(row) for row in connection.execute(_ACCOUNTS_OF, {"caller_id": user_id})]


def counter_accounts(connection: Connection, owner_ids: Iterable[str]) -> list[LedgerAccount]:
    """The accounts on the other side of users' entries."""
    values = {"caller_id": "", "owner_ids": list(owner_ids)}
    return [ledger_account(row) for row in connection.execute(_COUNTERS, values)]


_ADD_ACCOUNT = insert(ACCOUNT).returning(ACCOUNT.c.num)
_ADD_BALANCE = insert(BALANCE)


def add_account(connection: Connection, values: dict[str, Any]) -> int:
    """Open an account with nothing in it; its number."""
    num = connection.execute(_ADD_ACCOUNT, values).scalar_one()
    sums = dict.fromkeys(("booked_minor", "pending_debits_minor", "pending_credits_minor", "last_seq"), 0)
    connection.execute(_ADD_BALANCE, {"account_num": num, **sums, "version": 0})
    return int(num)


_TAKE_NUMBERS = (
    update(LEDGER_STATE)
    .values(last_num=LEDGER_STATE.c.last_num + bindparam("count"))
    .returning(LEDGER_STATE.c.last_num)
)


def take_numbers(connection: Connection, count: int) -> int:
    """Take ``count`` numbers for postings; the first. Whoever else writes waits until this transaction ends."""
    return int(connection.execute(_TAKE_NUMBERS, {"count": count}).scalar_one()) - count + 1


def lock(connection: Connection) -> None:
    """Let no one else write to the ledger, or change an account, until this transaction ends."""
    take_numbers(connection, 0)


_ADD_JOURNALS = BulkInsert(JOURNAL)
_ADD_POSTINGS = BulkInsert(POSTING)
_ADD_DETAILS = BulkInsert(ENTRY_DETAIL)
_ADD_TAGS = BulkInsert(ENTRY_TAG)
_ADD_SPLITS = BulkInsert(ENTRY_SPLIT)
_ADD_HOLDS = BulkInsert(HOLD)
_ADD_EXTERNALS = BulkInsert(EXTERNAL_ID)
_split_row = itemgetter(*_ADD_SPLITS.columns)
_END_HOLD = delete(HOLD).where(HOLD.c.posting_num == bindparam("num"))
_SET_BALANCE = (
    update(BALANCE)
    .where(BALANCE.c.account_num == bindparam("num"), BALANCE.c.version == bindparam("was_version"))
    .values(
        booked_minor=bindparam("booked"),
        pending_debits_minor=bindparam("debits"),
        pending_credits_minor=bindparam("credits"),
        last_seq=bindparam("seq"),
        version=BALANCE.c.version + 1,
    )
)


class Detail(msgspec.Struct, frozen=True, gc=False):
    """What an entry was about: the columns of ``entry_detail`` between its key and its version."""

    kind: str | None
    counterparty: str | None
    counterparty_account: str | None
    end_to_end_id: str | None
    remittance: str | None
    notes: str | None
    category_num: int | None
    by_rule: bool


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What is posted to an account: the columns of ``posting`` that do not follow from where it stands."""

    signed_minor: int
    status: str
    origin: str
    booking_date: str
    value_date: str | None
    occurred_at: int


class PostingRow(msgspec.Struct, frozen=True, gc=False):
    """A row of ``posting``, in the order of its columns."""

    num: int
    journal_num: int
    account_num: int
    account_seq: int
    entry_id: str | None
    signed_minor: int
    currency: str
    status: str
    origin: str
    booking_date: str
    value_date: str | None
    occurred_at: int
    reverses_num: int | None


@dataclass(slots=True)
class LedgerRows:
    """What is to be written to the ledger and beside it. Tuples are in the order of their table's columns."""

    journals: list[tuple[int, str, str, int]] = field(default_factory=list)
    postings: list[tuple[Any, ...]] = field(default_factory=list)
    details: list[tuple[Any, ...]] = field(default_factory=list)
    tags: list[tuple[int, str, int]] = field(default_factory=list)
    splits: list[Mapping[str, object]] = field(default_factory=list)
    holds: list[tuple[int, int, int | None]] = field(default_factory=list)
    ended_holds: list[int] = field(default_factory=list)
    externals: list[tuple[int, str, int, bytes]] = field(default_factory=list)


def add_rows(connection: Connection, rows: LedgerRows) -> None:
    """Write them."""
    _ADD_JOURNALS(connection, rows.journals)
    _ADD_POSTINGS(connection, rows.postings)
    _ADD_DETAILS(connection, rows.details)
    _ADD_TAGS(connection, rows.tags)
    _ADD_SPLITS(connection, [_split_row(row) for row in rows.splits])
    _ADD_HOLDS(connection, rows.holds)
    _ADD_EXTERNALS(connection, rows.externals)
    for num in rows.ended_holds:
        ended = connection.execute(_END_HOLD, {"num": num})
        check(ended.rowcount == 1, f"the pending entry {num} ended twice")


def set_balances(connection: Connection, touched: Sequence[LedgerAccount]) -> None:
    """Write the balances of accounts that got entries."""
    values = [
        {
            "num": a.num,
            "was_version": a.balance_version,
            "booked": a.booked_minor,
            "debits": a.pending_debits_minor,
            "credits": a.pending_credits_minor,
            "seq": a.last_seq,
        }
        for a in touched
    ]
    done = connection.execute(_SET_BALANCE, values)
    check(done.rowcount == len(values), "a balance was changed while its account was locked")
    for a in touched:
        a.balance_version += 1


def _known_external(external_ids: TableValuedAlias) -> Select[Any]:
    return select(
        EXTERNAL_ID.c.account_num, EXTERNAL_ID.c.external_id, EXTERNAL_ID.c.content_hash, POSTING.c.entry_id
    ).where(
        EXTERNAL_ID.c.account_num.in_(bindparam("nums", expanding=True)),
        EXTERNAL_ID.c.external_id.in_(select(external_ids.c.value)),
        POSTING.c.num == EXTERNAL_ID.c.posting_num,
    )


# Hundreds of names as one array in JSON: each as a parameter of its own costs more than its look-up.
_KNOWN_EXTERNAL = {
    "sqlite": _known_external(func.json_each(bindparam("ids", type_=Text)).table_valued("value")),
    "postgresql": _known_external(
        func.json_array_elements_text(cast(bindparam("ids", type_=Text), JSON)).table_valued("value")
    ),
}
_json = msgspec.json.Encoder().encode

Names: TypeAlias = dict[tuple[int, str], tuple[bytes, str]]
"""Entries by the number of their account and their external id: the hash of what was told, and the entry's id."""


def known_externals(connection: Connection, names: Collection[tuple[int, str]]) -> Names:
    """Which of the names there are: pairs of an account's number and an external id."""
    if not names:
        return {}
    nums, ids = zip(*names, strict=True)
    values = {"nums": list(dict.fromkeys(nums)), "ids": _json(ids).decode()}
    found = connection.execute(_KNOWN_EXTERNAL[connection.dialect.name], values)
    return {(row[0], row[1]): (bytes(row[2]), row[3]) for row in found}


REVERSING = POSTING.alias("reversing")

_ENTRY_ID = select(POSTING.c.entry_id).where(POSTING.c.num == bindparam("of_num"))


def entry_id(connection: Connection, num: int) -> str | None:
    """The id of the entry that a posting is; None for the other side of one."""
    found: str | None = connection.scalar(_ENTRY_ID, {"of_num": num})
    return found


ENTRIES = (
    select(
        POSTING,
        JOURNAL.c.transaction_id,
        JOURNAL.c.recorded_at,
        JOURNAL.c.kind.label("journal_kind"),
        ENTRY_DETAIL.c.kind,
        ENTRY_DETAIL.c.counterparty,
        ENTRY_DETAIL.c.counterparty_account,
        ENTRY_DETAIL.c.end_to_end_id,
        ENTRY_DETAIL.c.remittance,
        ENTRY_DETAIL.c.notes,
        ENTRY_DETAIL.c.category_num,
        ENTRY_DETAIL.c.by_rule,
        func.coalesce(ENTRY_DETAIL.c.version, 1).label("version"),
        HOLD.c.posting_num.label("hold_num"),
        HOLD.c.expires_at,
        REVERSING.c.entry_id.label("reversed_by_id"),
    )
    .select_from(
        POSTING.join(JOURNAL, JOURNAL.c.num == POSTING.c.journal_num)
        .outerjoin(ENTRY_DETAIL, ENTRY_DETAIL.c.posting_num == POSTING.c.num)
        .outerjoin(HOLD, HOLD.c.posting_num == POSTING.c.num)
        .outerjoin(REVERSING, REVERSING.c.reverses_num == POSTING.c.num)
    )
    .where(POSTING.c.entry_id.is_not(None))
)
"""Entries of users' accounts with what stands beside them, to be narrowed down."""

_ENTRY = ENTRIES.where(POSTING.c.entry_id == bindparam("id"))
_TAGS = (
    select(ENTRY_TAG.c.posting_num, ENTRY_TAG.c.tag)
    .where(ENTRY_TAG.c.posting_num.in_(bindparam("nums", expanding=True)))
    .order_by(ENTRY_TAG.c.posting_num, ENTRY_TAG.c.tag)
)
_SPLITS = (
    select(ENTRY_SPLIT)
    .where(ENTRY_SPLIT.c.posting_num.in_(bindparam("nums", expanding=True)))
    .order_by(ENTRY_SPLIT.c.posting_num, ENTRY_SPLIT.c.part)
)
_POSTINGS = select(POSTING).where(POSTING.c.num.in_(bindparam("nums", expanding=True)))
_ENTRY_IDS = select(POSTING.c.num, POSTING.c.entry_id).where(POSTING.c.num.in_(bindparam("nums", expanding=True)))


def entry(connection: Connection, entry_id: str) -> Row[Any] | None:
    """A row of :data:`ENTRIES`."""
    return connection.execute(_ENTRY, {"id": entry_id}).one_or_none()


def tags_of(connection: Connection, nums: Sequence[int]) -> dict[int, list[str]]:
    """The tags of postings."""
    found: dict[int, list[str]] = {}
    for num, tag in connection.execute(_TAGS, {"nums": list(nums)}):
        found.setdefault(num, []).append(tag)
    return found


def splits_of(connection: Connection, nums: Sequence[int]) -> dict[int, list[Row[Any]]]:
    """The parts of postings."""
    found: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(_SPLITS, {"nums": list(nums)}):
        found.setdefault(row.posting_num, []).append(row)
    return found


def entry_ids(connection: Connection, nums: Sequence[int]) -> dict[int, str]:
    """The entry ids of postings."""
    return {row[0]: row[1] for row in connection.execute(_ENTRY_IDS, {"nums": list(nums)})} if nums else {}


def postings(connection: Connection, nums: Sequence[int]) -> Sequence[Row[Any]]:
    """Postings by their numbers."""
    return connection.execute(_POSTINGS, {"nums": list(nums)}).all()
