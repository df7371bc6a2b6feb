"""Rules against the past: what one would change, and changing it, step by step."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, update

from streambank.bank.transactions import categories, categorising, entry_views, listing, repository, rule_store
from streambank.bank.transactions.entries import TAGS_MAX
from streambank.bank.transactions.ledger import Books, direction
from streambank.bank.transactions.models import ENTRY_DETAIL, ENTRY_TAG
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.rules import Facts, Outcome, RuleBook, facts
from streambank.bank.transactions.schemas import RuleApplied, RuleBody, RuleChange, RulePreview

PREVIEW_ENTRIES_MAX = 10_000
"""The latest entries that a preview looks at: about 0.3 s of reading."""

PREVIEW_EXAMPLES_MAX = 50

APPLY_ENTRIES_MAX = 1_000
"""Entries of one step of applying: nobody else writes meanwhile."""

_CHUNK = 1_000


def preview(connection: Connection, user_id: str, body: RuleBody) -> RulePreview:
    """What a rule would change of the entries that are there, the latest first."""
    nums = categories.numbers(connection, user_id)
    book = RuleBook([rule_store.rule_of(connection, user_id, body)], nums)
    accounts = {account.num: account for account in _own(connection, user_id)}
    scanned = matched = would_change = 0
    complete, found = True, list[tuple[Row[Any], int | None, list[str]]]()
    chunk: list[Row[Any]] = []

    def look() -> None:
        nonlocal matched, would_change
        tags = repository.tags_of(connection, [row.num for row in chunk])
        for row in chunk:
            outcome = _outcome(book, accounts[row.account_num], row)
            if outcome is None:
                continue
            matched += 1
            category_num, new_tags = _change(row, tags.get(row.num, []), outcome)
            if category_num is None and not new_tags:
                continue
            would_change += 1
            if len(found) < PREVIEW_EXAMPLES_MAX:
                found.append((row, category_num or row.category_num, [*tags.get(row.num, []), *new_tags]))
        chunk.clear()

    for row in listing.newest_first(connection, list(accounts.values()), None, _CHUNK):
        if scanned == PREVIEW_ENTRIES_MAX:
            complete = False
            break
        scanned += 1
        chunk.append(row)
        if len(chunk) == _CHUNK:
            look()
    look()
    ids = {num: category_id for category_id, num in nums.items()}
    views = entry_views.of_rows(connection, accounts, [row for row, _, _ in found])
    return RulePreview(
        scanned=scanned,
        matched=matched,
        would_change=would_change,
        complete=complete,
        examples=[
            RuleChange(transaction=view, category_id=None if num is None else ids.get(num), tags=tags)
            for view, (_, num, tags) in zip(views, found, strict=True)
        ],
    )


def apply(books: Books, user_id: str, rule_id: str, before_num: int | None) -> tuple[RuleApplied, int | None]:
    """Hold a rule against the entries before a number, at most :data:`APPLY_ENTRIES_MAX`; and where to go on."""
    connection = books.connection
    body = RuleBody.model_validate(rule_store.one(connection, user_id, rule_id).model_dump(exclude={"id", "version"}))
    body = body.model_copy(update={"enabled": True})
    book = RuleBook([rule_store.rule_of(connection, user_id, body)], categories.numbers(connection, user_id))
    accounts = {account.num: account for account in _own(connection, user_id)}
    rows: list[Row[Any]] = []
    following: int | None = None
    for row in listing.newest_first(connection, list(accounts.values()), before_num, _CHUNK):
        if len(rows) == APPLY_ENTRIES_MAX:
            following = rows[-1].num
            break
        rows.append(row)
    tags = repository.tags_of(connection, [row.num for row in rows])
    changed, followed = 0, set[int]()
    for row in rows:
        account = accounts[row.account_num]
        outcome = _outcome(book, account, row)
        if outcome is not None:
            category_num, new_tags = _change(row, tags.get(row.num, []), outcome)
            changed += _apply_to(books, account, row, None if row.num in followed else category_num, new_tags, followed)
    return RuleApplied(scanned=len(rows), changed=changed, next=None), following


def _own(connection: Connection, user_id: str) -> Sequence[LedgerAccount]:
    """Rules are held against the accounts that their user opened, as when entries arrive."""
    return [account for account in repository.accounts_of(connection, user_id) if account.owner_id == user_id]


def _outcome(book: RuleBook, account: LedgerAccount, row: Row[Any]) -> Outcome | None:
    """What the rule does to an entry; None if it does not match."""
    told: Facts = facts(
        account.account_id, direction(row.signed_minor), abs(row.signed_minor), row.counterparty, row.remittance
    )
    outcome = book.apply(told)
    return outcome if outcome.category_num is not None or outcome.tags else None


def _change(row: Row[Any], tags: Sequence[str], outcome: Outcome) -> tuple[int | None, list[str]]:
    """The category to set and the tags to add; what a person has set is left alone."""
    may_set = row.category_num is None or bool(row.by_rule)
    is_new = outcome.category_num is not None and outcome.category_num != row.category_num
    new_tags = [tag for tag in outcome.tags if tag not in tags][: max(0, TAGS_MAX - len(tags))]
    return (outcome.category_num if may_set and is_new else None), new_tags


def _apply_to(
    books: Books,
    account: LedgerAccount,
    row: Row[Any],
    category_num: int | None,
    new_tags: Sequence[str],
    followed: set[int],
) -> bool:
    """Change an entry; one that takes it back, or is taken back by it, follows and is remembered in ``followed``."""
    connection = books.connection
    if category_num is not None and repository.splits_of(connection, [row.num]):
        category_num = None
    if category_num is None and not new_tags:
        return False
    values: dict[str, Any] = {"version": ENTRY_DETAIL.c.version + 1}
    if category_num is not None:
        values |= {"category_num": category_num, "by_rule": True}
    before = categorising.present(connection, row) if category_num is not None else None
    connection.execute(update(ENTRY_DETAIL).where(ENTRY_DETAIL.c.posting_num == row.num).values(values))
    if new_tags:
        new = [{"posting_num": row.num, "tag": tag, "account_num": row.account_num} for tag in new_tags]
        connection.execute(insert(ENTRY_TAG), new)
    if before is not None and (twin := categorising.changed(books, account, row, before)) is not None:
        followed.add(twin.num)
    return True
