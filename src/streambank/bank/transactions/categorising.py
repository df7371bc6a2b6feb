"""Which categories a booked entry counts into, and that it is published when this changes after it was recorded.

An entry and what takes it back count into the same categories, so that together they always come to nothing: where one
of the two is changed, the other follows.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, union, update

from streambank.bank.events import EntryStatus
from streambank.bank.transactions import repository
from streambank.bank.transactions.ledger import Books
from streambank.bank.transactions.models import ACCOUNT, ENTRY_DETAIL, ENTRY_SPLIT, POSTING
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.shares import Shares, shares

CHUNK_ENTRIES = 500
"""Entries of a removed category that are read at once."""

Entry: TypeAlias = Row[Any]
"""A row with the columns of ``posting``, and ``kind``."""

_BOOKED = EntryStatus.BOOKED.value

_CATEGORY = select(ENTRY_DETAIL.c.category_num, ENTRY_DETAIL.c.by_rule).where(
    ENTRY_DETAIL.c.posting_num == bindparam("num")
)
_ENTRY = select(POSTING, ENTRY_DETAIL.c.kind).outerjoin(ENTRY_DETAIL, ENTRY_DETAIL.c.posting_num == POSTING.c.num)
_TWIN = _ENTRY.where(or_(POSTING.c.num == bindparam("reverses"), POSTING.c.reverses_num == bindparam("num")))
_ACCOUNTS = select(ACCOUNT.c.num).where(ACCOUNT.c.owner_id == bindparam("owner")).scalar_subquery()
_NUMS = union(
    *(
        select(beside.c.posting_num).where(
            # With the accounts, so that an index leads there.
            beside.c.account_num.in_(_ACCOUNTS),
            beside.c.category_num == bindparam("of"),
            beside.c.posting_num > bindparam("after"),
        )
        for beside in (ENTRY_DETAIL, ENTRY_SPLIT)
    )
)
_IN_CATEGORY = (
    _ENTRY.add_columns(ENTRY_DETAIL.c.category_num)
    .where(POSTING.c.num.in_(_NUMS), POSTING.c.status == _BOOKED)
    .order_by(POSTING.c.num)
    .limit(CHUNK_ENTRIES)
)


def present(connection: Connection, entry: Entry) -> Shares:
    """What the entry counts into as it is in the database now."""
    row = connection.execute(_CATEGORY, {"num": entry.num}).one_or_none()
    parts = repository.splits_of(connection, [entry.num]).get(entry.num, [])
    return shares(entry.signed_minor, None if row is None else row.category_num, _pairs(parts))


def changed(books: Books, account: LedgerAccount, entry: Entry, before: Shares) -> Entry | None:
    """Publish that the entry counted into ``before``, if it does no longer. Returns the other entry that followed.

    That is what takes the entry back, or what it takes back.
    """
    connection = books.connection
    after = present(connection, entry)
    if after == before:
        return None
    books.recategorised(account, entry, entry.kind, before, after)
    twin = connection.execute(_TWIN, {"num": entry.num, "reverses": entry.reverses_num}).one_or_none()
    if twin is None or twin.status != _BOOKED:
        return None
    was = present(connection, twin)
    _copy(connection, entry.num, twin.num)
    books.recategorised(account, twin, twin.kind, was, present(connection, twin))
    return twin


def removing(books: Books, owner_id: str, category_num: int) -> None:
    """Publish of all entries of a category that is about to be removed that they count into none instead."""
    wanted = {"owner": owner_id, "of": category_num, "after": 0}
    while rows := books.connection.execute(_IN_CATEGORY, wanted).all():
        parts = repository.splits_of(books.connection, [row.num for row in rows])
        for row in rows:
            before = shares(row.signed_minor, row.category_num, _pairs(parts.get(row.num, [])))
            left = {num: minor for num, minor in before.items() if num != category_num}
            left[None] = left.get(None, 0) + before[category_num]
            books.recategorised(books.account_by_num(row.account_num), row, row.kind, before, left)
        wanted["after"] = rows[-1].num


def _copy(connection: Connection, from_num: int, to_num: int) -> None:
    """Give one entry the category and the parts of another of the same amount."""
    category = connection.execute(_CATEGORY, {"num": from_num}).one()
    connection.execute(
        update(ENTRY_DETAIL)
        .where(ENTRY_DETAIL.c.posting_num == to_num)
        .values(**category._mapping, version=ENTRY_DETAIL.c.version + 1)
    )
    connection.execute(delete(ENTRY_SPLIT).where(ENTRY_SPLIT.c.posting_num == to_num))
    parts = repository.splits_of(connection, [from_num]).get(from_num, [])
    if parts:
        connection.execute(insert(ENTRY_SPLIT), [{**part._mapping, "posting_num": to_num} for part in parts])


def _pairs(parts: Iterable[Row[Any]]) -> list[tuple[int | None, int]]:
    return [(part.category_num, part.amount_minor) for part in parts]
