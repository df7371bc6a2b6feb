"""How entries end: a pending one is booked, voided or expires; a booked one is reversed."""

from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from streambank.bank.events import EntryStatus, Origin, Role
from streambank.bank.events.money import INT64_MAX, INT64_MIN
from streambank.bank.transactions import repository
from streambank.bank.transactions.entries import out_of_range
from streambank.bank.transactions.ledger import Books, Ledger, Posted, check_funds
from streambank.bank.transactions.models import HOLD, POSTING, JournalKind
from streambank.bank.transactions.repository import LedgerAccount
from streambank.errors import check
from streambank.service.http.problems import conflict, forbidden, not_found

POSTINGS_MAX = 4
"""Of booking a pending entry: both sides of its end and of what was booked."""

EXPIRED_MAX = 500
"""Pending entries ended in one transaction: some ten milliseconds in which nobody else writes."""

_BOOKED, _PENDING = EntryStatus.BOOKED.value, EntryStatus.PENDING.value
_DETAILS = (
    "kind",
    "counterparty",
    "counterparty_account",
    "end_to_end_id",
    "remittance",
    "notes",
    "category_num",
    "by_rule",
)


def find(books: Books, caller_id: str, entry_id: str) -> tuple[LedgerAccount, Row[Any]]:
    """An entry of an account that the caller may change. Raises a problem for any other."""
    row = repository.entry(books.connection, entry_id)
    account = None if row is None else books.account_by_num(row.account_num)
    if row is None or account is None or account.role is None:
        raise not_found("transaction")
    if account.role is not Role.OWNER:
        raise forbidden("a viewer of an account cannot change its entries")
    return account, row


def book(
    books: Books, caller_id: str, entry_id: str, *, amount_minor: int | None, booking_date: date | None, asked: bool
) -> Posted:
    """Settle a pending entry: it ends, and is booked, possibly with another amount. ``asked``: the limit holds."""
    account, hold = find(books, caller_id, entry_id)
    _check_pending(books, account, hold)
    sign = 1 if hold.signed_minor > 0 else -1
    signed = hold.signed_minor if amount_minor is None else sign * amount_minor
    if asked and signed < 0:
        # What was held is free again, so that only the rest has to be there.
        check_funds(account, max(0, -signed + hold.signed_minor))
    counter = _other_side(books, hold)
    for side, change in ((account, signed), (counter, -signed)):
        if not INT64_MIN <= side.booked_minor + change <= INT64_MAX:
            raise out_of_range("/amount_minor")
    journal_num, transaction_id = books.journal(JournalKind.BOOKING)
    tags = repository.tags_of(books.connection, [hold.num]).get(hold.num, [])
    splits = repository.splits_of(books.connection, [hold.num]).get(hold.num, []) if signed == hold.signed_minor else []
    posting = {
        "signed_minor": signed,
        "status": _BOOKED,
        "origin": hold.origin,
        "booking_date": (booking_date or books.today).isoformat(),
        "value_date": hold.value_date,
        "occurred_at": hold.occurred_at,
    }
    _release(books, account, counter, hold, journal_num, transaction_id)
    posted = books.post(account, counter, journal_num, transaction_id, posting, _details(hold), tags)
    books.split({**part._asdict(), "posting_num": posted.posting["num"]} for part in splits)
    return posted


def void(books: Books, caller_id: str, entry_id: str) -> Posted:
    """End a pending entry: it does not come after all."""
    account, hold = find(books, caller_id, entry_id)
    _check_pending(books, account, hold)
    return void_row(books, account, hold)


def expire(connection: Connection, ledger: Ledger) -> int:
    """End pending entries whose time is over, at most :data:`EXPIRED_MAX`; how many."""
    now_ms = ledger.clock()
    due = list(connection.execute(_DUE, {"now_ms": now_ms}))
    if not due:
        return 0
    books = ledger.books(connection, "", 2 * len(due))
    # Again, now that nobody else writes: somebody may have booked one meanwhile.
    still_due = list(connection.scalars(_DUE, {"now_ms": now_ms}))[: len(due)]
    for num in still_due:
        row = connection.execute(_BY_NUM, {"num": num}).one()
        void_row(books, books.account_by_num(row.account_num), row)
    books.close()
    return len(still_due)


_BY_NUM = repository.ENTRIES.where(POSTING.c.num == bindparam("num"))
_DUE = (
    select(HOLD.c.posting_num)
    .where(HOLD.c.expires_at <= bindparam("now_ms"))
    .order_by(HOLD.c.expires_at, HOLD.c.posting_num)
    .limit(EXPIRED_MAX)
)


def reverse(books: Books, caller_id: str, entry_id: str, *, notes: str | None, asked: bool) -> Posted:
    """Take back a booked entry, once, by one of the opposite sign that names it."""
    account, row = find(books, caller_id, entry_id)
    books.check_open(account)
    if row.status != _BOOKED:
        raise conflict("entry-pending", "a pending entry is not reversed: void it")
    if row.reverses_num is not None:
        raise conflict("entry-is-reversal", "a reversal is not reversed: record the entry anew")
    if row.reversed_by_id is not None:
        raise conflict("already-reversed", f"the entry was reversed by {row.reversed_by_id}")
    if asked and row.signed_minor > 0:
        check_funds(account, row.signed_minor)
    return take_back(books, account, row, origin=Origin.LIVE, notes=notes)


def take_back(
    books: Books, account: LedgerAccount, row: Row[Any], *, origin: Origin, notes: str | None = None
) -> Posted:
    """Reverse an entry that can be."""
    counter = _other_side(books, row)
    for side, change in ((account, -row.signed_minor), (counter, row.signed_minor)):
        if not INT64_MIN <= side.booked_minor + change <= INT64_MAX:
            raise out_of_range("/id")
    tags = repository.tags_of(books.connection, [row.num]).get(row.num, [])
    journal_num, transaction_id = books.journal(JournalKind.REVERSAL)
    posting = {
        "signed_minor": -row.signed_minor,
        "status": _BOOKED,
        "origin": origin.value,
        "booking_date": books.today.isoformat(),
        "value_date": row.value_date,
        "occurred_at": books.now_ms,
    }
    detail = {**_details(row), "notes": notes}
    reverses = (row.num, _other_num(books, row), row.entry_id)
    posted = books.post(account, counter, journal_num, transaction_id, posting, detail, tags, reverses=reverses)
    parts = repository.splits_of(books.connection, [row.num]).get(row.num, [])
    books.split({**part._asdict(), "posting_num": posted.posting["num"]} for part in parts)
    return posted


def void_row(books: Books, account: LedgerAccount, hold: Row[Any]) -> Posted:
    """End a pending entry that has not ended."""
    journal_num, transaction_id = books.journal(JournalKind.RELEASE)
    return _release(books, account, _other_side(books, hold), hold, journal_num, transaction_id)


def _release(
    books: Books,
    account: LedgerAccount,
    counter: LedgerAccount,
    hold: Row[Any],
    journal_num: int,
    transaction_id: str,
) -> Posted:
    posting = {
        "signed_minor": -hold.signed_minor,
        "status": _PENDING,
        "origin": hold.origin,
        "booking_date": books.today.isoformat(),
        "value_date": None,
        "occurred_at": books.now_ms,
    }
    reverses = (hold.num, _other_num(books, hold), hold.entry_id)
    books.end_hold(hold.num)
    return books.post(account, counter, journal_num, transaction_id, posting, _details(hold), [], reverses=reverses)


def _check_pending(books: Books, account: LedgerAccount, hold: Row[Any]) -> None:
    books.check_open(account)
    if hold.status != _PENDING or hold.reverses_num is not None:
        raise conflict("entry-not-pending", "only a pending entry is booked or voided")
    if hold.hold_num is None:
        raise conflict("entry-ended", "the pending entry has ended already")


def _details(row: Row[Any]) -> dict[str, Any]:
    details = {name: row._mapping[name] for name in _DETAILS}
    details["by_rule"] = bool(details["by_rule"])
    return details


def _other(books: Books, row: Row[Any]) -> Row[Any]:
    postings = repository.journal_postings(books.connection, row.journal_num)
    # Both sides of an entry are posted one after the other.
    others = [p for p in postings if p.num == row.num + 1]
    check(len(others) == 1 and others[0].signed_minor == -row.signed_minor, f"entry {row.entry_id} has no other side")
    return others[0]


def _other_num(books: Books, row: Row[Any]) -> int:
    return int(_other(books, row).num)


def _other_side(books: Books, row: Row[Any]) -> LedgerAccount:
    return books.account_by_num(_other(books, row).account_num)
