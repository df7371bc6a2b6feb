"""What may be changed of an entry: notes, tags, category, parts. The ledger is never touched.

What takes an entry back follows it in category and parts: see :mod:`.categorising`.
"""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, update

from streambank.bank.transactions import categorising, repository
from streambank.bank.transactions.ledger import Books
from streambank.bank.transactions.models import ENTRY_DETAIL, ENTRY_SPLIT, ENTRY_TAG
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.schemas import ChangeTransaction, SplitBody
from streambank.bank.transactions.words import WordHasher, add_words, remove_words, words_of
from streambank.errors import check
from streambank.service.http.answers import check_version
from streambank.service.http.problems import unprocessable


def change(books: Books, account: LedgerAccount, row: Row[Any], body: ChangeTransaction, expected: int | None) -> None:
    """Change what stands beside an entry. Fields that were not sent stay as they are."""
    check_version(row.version, expected)
    connection, sent = books.connection, body.model_fields_set
    before = categorising.present(connection, row) if sent & {"category_id", "splits"} else None
    values: dict[str, Any] = {}
    if "notes" in sent:
        values["notes"] = body.notes
        reindex(connection, account, row, body.notes)
    if "category_id" in sent:
        values["category_num"] = None if body.category_id is None else books.category_num(account, body.category_id)
        values["by_rule"] = False
    if "splits" in sent:
        _set_splits(books, account, row, body.splits or [])
        if body.splits:
            if values.get("category_num") is not None:
                raise unprocessable("/category_id", "an entry with parts has the categories of its parts")
            values |= {"category_num": None, "by_rule": False}
    elif values.get("category_num") is not None and repository.splits_of(connection, [row.num]):
        raise unprocessable("/category_id", "an entry with parts has the categories of its parts: change these")
    if "tags" in sent:
        set_tags(connection, account, row.num, body.tags or [])
    _set_detail(connection, row, values)
    if before is not None:
        categorising.changed(books, account, row, before)


def set_tags(connection: Connection, account: LedgerAccount, num: int, tags: list[str]) -> None:
    """Give an entry these tags and no others."""
    if len(set(tags)) != len(tags):
        raise unprocessable("/tags", "a tag is there twice")
    connection.execute(delete(ENTRY_TAG).where(ENTRY_TAG.c.posting_num == num))
    if tags:
        rows = [{"posting_num": num, "tag": tag, "account_num": account.num} for tag in tags]
        connection.execute(insert(ENTRY_TAG), rows)


def reindex(connection: Connection, account: LedgerAccount, row: Row[Any], notes: str | None) -> None:
    """Make an entry findable by its new notes, and no longer by its old ones."""
    if account.search_key is None:
        return
    hasher = WordHasher(account.search_key)
    remove_words(connection, row.num, hasher(words_of((row.counterparty, row.remittance, row.notes))))
    words = words_of((row.counterparty, row.remittance, notes))
    if words:
        add_words(connection, [(row.num, hasher(words))])


def _set_splits(books: Books, account: LedgerAccount, row: Row[Any], parts: list[SplitBody]) -> None:
    total = sum(part.amount_minor for part in parts)
    if parts and total != abs(row.signed_minor):
        raise unprocessable("/splits", f"the parts sum to {total}, the entry is {abs(row.signed_minor)}")
    rows = [
        {
            "posting_num": row.num,
            "part": i,
            "account_num": account.num,
            "amount_minor": part.amount_minor,
            "category_num": None
            if part.category_id is None
            else books.category_num(account, part.category_id, f"/splits/{i}/category_id"),
            "note": part.note,
        }
        for i, part in enumerate(parts)
    ]
    books.connection.execute(delete(ENTRY_SPLIT).where(ENTRY_SPLIT.c.posting_num == row.num))
    if rows:
        books.connection.execute(insert(ENTRY_SPLIT), rows)


def _set_detail(connection: Connection, row: Row[Any], values: dict[str, Any]) -> None:
    changed = connection.execute(
        update(ENTRY_DETAIL)
        .where(ENTRY_DETAIL.c.posting_num == row.num, ENTRY_DETAIL.c.version == row.version)
        .values(**values, version=row.version + 1)
    )
    check(changed.rowcount == 1, f"entry {row.entry_id} was changed while the ledger was locked")
