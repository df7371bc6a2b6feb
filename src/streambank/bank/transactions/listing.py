"""Lists of entries: the latest recorded first, narrowed down by what a user remembers of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from heapq import nlargest
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
    union_all,
)

from streambank.bank.events import EntryStatus
from streambank.bank.transactions import categories, entry_views, repository
from streambank.bank.transactions.models import ENTRY_DETAIL, ENTRY_SPLIT, ENTRY_TAG, HOLD, POSTING
from streambank.bank.transactions.repository import ENTRIES, LedgerAccount
from streambank.bank.transactions.schemas import TransactionView
from streambank.bank.transactions.words import (
    POSTGRESQL_WORDS,
    QUERY_WORDS_MAX,
    SQLITE_WORDS,
    WordHasher,
    words_of,
)
from streambank.service.http.problems import not_found, unprocessable

_PENDING = EntryStatus.PENDING.value

State = Literal["booked", "pending", "current", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries. ``current``: booked ones and pending ones that have not ended. Amounts are without sign.

    ``words``: all of them are in counterparty, remittance or notes, whatever their case and accents.
    """

    account_id: str | None = None
    words: str | None = None
    category_id: str | None = None
    tag: str | None = None
    amount_min_minor: int | None = None
    amount_max_minor: int | None = None
    from_date: date | None = None
    to_date: date | None = None
    state: State = "current"


def page(
    connection: Connection, user_id: str, wanted: Wanted, before_num: int | None, limit: int
) -> tuple[list[TransactionView], int | None]:
    """Up to ``limit`` entries recorded before the number, and the number to go on from."""
    accounts = visible(connection, user_id, wanted.account_id)
    conditions = _conditions(connection, accounts, wanted)
    if conditions is None:
        return [], None
    if wanted.words is not None:
        rows = _by_words(connection, accounts, wanted.words, conditions, before_num, limit + 1)
    else:
        rows = _by_account(connection, accounts, conditions, before_num, limit + 1)
    following = rows[limit - 1].num if len(rows) > limit else None
    return entry_views.of_rows(connection, {a.num: a for a in accounts}, rows[:limit]), following


def visible(connection: Connection, user_id: str, account_id: str | None) -> list[LedgerAccount]:
    """The accounts that a user may see, or the one that is asked for. Raises a problem if it is not one of them."""
    if account_id is None:
        return repository.accounts_of(connection, user_id)
    account = repository.account(connection, user_id, account_id)
    if account is None or account.role is None:
        raise not_found("account")
    return [account]


def one(connection: Connection, user_id: str, entry_id: str) -> TransactionView:
    """An entry that the user may see. Raises a problem for any other."""
    row = repository.entry(connection, entry_id)
    if row is None:
        raise not_found("transaction")
    [account] = repository.accounts_by_num(connection, user_id, [row.account_num])
    if account.role is None:
        raise not_found("transaction")
    return entry_views.of_rows(connection, {account.num: account}, [row])[0]


def tags(connection: Connection, user_id: str) -> list[tuple[str, int]]:
    """The tags in a user's accounts, and how many entries have each."""
    nums = [account.num for account in repository.accounts_of(connection, user_id)]
    counted = select(ENTRY_TAG.c.tag, func.count()).where(ENTRY_TAG.c.account_num.in_(nums)).group_by(ENTRY_TAG.c.tag)
    return sorted((row[0], int(row[1])) for row in connection.execute(counted))


def last_num(connection: Connection, user_id: str) -> int:
    """The number of the latest entry in the user's accounts; 0 if there is none."""
    rows = _by_account(connection, repository.accounts_of(connection, user_id), [], None, 1)
    return rows[0].num if rows else 0


def export_page(
    connection: Connection, user_id: str, after_num: int, until_num: int, limit: int
) -> tuple[list[TransactionView], int | None]:
    """All entries in the order of the ledger, those that ended too, page by page."""
    accounts = repository.accounts_of(connection, user_id)
    rows: list[Row[Any]] = []
    for account in accounts:
        values = {"account": account.num, "after": after_num, "until": until_num, "limit_rows": limit + 1}
        rows.extend(connection.execute(_EXPORT, values))
    rows.sort(key=lambda row: row.num)
    following = rows[limit - 1].num if len(rows) > limit else None
    return entry_views.of_rows(connection, {a.num: a for a in accounts}, rows[:limit]), following


_EXPORT = (
    ENTRIES.where(
        POSTING.c.account_num == bindparam("account"),
        POSTING.c.num > bindparam("after"),
        POSTING.c.num <= bindparam("until"),
    )
    .order_by(POSTING.c.num)
    .limit(bindparam("limit_rows"))
)


def _conditions(
    connection: Connection, accounts: Sequence[LedgerAccount], wanted: Wanted
) -> list[ColumnElement[bool]] | None:
    """What narrows the entries down; None if nothing can be found."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.state == "booked":
        conditions.append(POSTING.c.status == literal_column("'BOOK'"))
    elif wanted.state == "pending":
        conditions.append(HOLD.c.posting_num.is_not(None))
    elif wanted.state == "current":
        conditions.append(or_(POSTING.c.status == literal_column("'BOOK'"), HOLD.c.posting_num.is_not(None)))
    if wanted.from_date is not None:
        conditions.append(POSTING.c.booking_date >= wanted.from_date.isoformat())
    if wanted.to_date is not None:
        conditions.append(POSTING.c.booking_date <= wanted.to_date.isoformat())
    if wanted.amount_min_minor is not None:
        conditions.append(func.abs(POSTING.c.signed_minor) >= wanted.amount_min_minor)
    if wanted.amount_max_minor is not None:
        conditions.append(func.abs(POSTING.c.signed_minor) <= wanted.amount_max_minor)
    account_nums = [account.num for account in accounts]
    if wanted.tag is not None:
        tagged = select(ENTRY_TAG.c.posting_num).where(
            ENTRY_TAG.c.account_num.in_(account_nums), ENTRY_TAG.c.tag == wanted.tag
        )
        conditions.append(POSTING.c.num.in_(tagged))
    if wanted.category_id is not None:
        owners = sorted({account.owner_id or "" for account in accounts})
        nums = categories.with_children(connection, owners, wanted.category_id)
        if not nums:
            return None
        # From the index of categories, not by a walk through the account: what is rare would be looked for to its end.
        found = [
            select(beside.c.posting_num).where(beside.c.account_num.in_(account_nums), beside.c.category_num.in_(nums))
            for beside in (ENTRY_DETAIL, ENTRY_SPLIT)
        ]
        conditions.append(POSTING.c.num.in_(union_all(*found)))
    return conditions


def _by_account(
    connection: Connection,
    accounts: Sequence[LedgerAccount],
    conditions: Sequence[ColumnElement[bool]],
    before_num: int | None,
    limit: int,
) -> list[Row[Any]]:
    """Each account's latest, put together: every one is a walk along an index that ends after ``limit``."""
    statement = ENTRIES.where(POSTING.c.account_num == bindparam("account"), *conditions)
    if before_num is not None:
        statement = statement.where(POSTING.c.num < bindparam("before"))
    statement = statement.order_by(POSTING.c.num.desc()).limit(bindparam("limit_rows"))
    rows: list[Row[Any]] = []
    for account in accounts:
        values = {"account": account.num, "limit_rows": limit}
        if before_num is not None:
            values["before"] = before_num
        rows.extend(connection.execute(statement, values))
    return nlargest(limit, rows, key=lambda row: row.num) if len(accounts) > 1 else rows


def _by_words(
    connection: Connection,
    accounts: Sequence[LedgerAccount],
    asked: str,
    conditions: Sequence[ColumnElement[bool]],
    before_num: int | None,
    limit: int,
) -> list[Row[Any]]:
    words = words_of([asked])
    if not words:
        raise unprocessable("q", "there is no word to search for")
    if len(words) > QUERY_WORDS_MAX:
        raise unprocessable("q", f"at most {QUERY_WORDS_MAX} words are searched for at once")
    tokens = [WordHasher(account.search_key)(words) for account in accounts if account.search_key is not None]
    if not tokens:
        return []
    matching = _matching_sqlite if connection.dialect.name == "sqlite" else _matching_postgresql
    statement = matching(tokens, before_num).where(
        POSTING.c.account_num.in_([account.num for account in accounts]), *conditions
    )
    return list(connection.execute(statement.limit(limit)))


def _matching_sqlite(tokens: Sequence[Sequence[str]], before_num: int | None) -> Select[Any]:
    query = " OR ".join(f"({' AND '.join(of_account)})" for of_account in tokens)
    rowid = SQLITE_WORDS.c.rowid
    # The index of words leads: SQLite walks it from the latest entry backwards, and stops after a page.
    found = ENTRIES.join_from(POSTING, SQLITE_WORDS, rowid == POSTING.c.num)
    found = found.where(text("entry_words MATCH :query").bindparams(query=query)).order_by(rowid.desc())
    return found if before_num is None else found.where(rowid < before_num)


def _matching_postgresql(tokens: Sequence[Sequence[str]], before_num: int | None) -> Select[Any]:
    words = POSTGRESQL_WORDS.c
    found = ENTRIES.join_from(POSTING, POSTGRESQL_WORDS, words.posting_num == POSTING.c.num)
    found = found.where(or_(*(words.words.contains(list(of_account)) for of_account in tokens)))
    found = found.order_by(POSTING.c.num.desc())
    return found if before_num is None else found.where(POSTING.c.num < before_num)


def newest_first(
    connection: Connection, accounts: Sequence[LedgerAccount], before_num: int | None, chunk: int
) -> Iterator[Row[Any]]:
    """All entries of the accounts, the latest first, read in chunks."""
    while True:
        rows = _by_account(connection, accounts, [], before_num, chunk)
        yield from rows
        if len(rows) < chunk:
            return
        before_num = rows[-1].num
