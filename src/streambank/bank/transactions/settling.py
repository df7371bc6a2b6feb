"""How entries end: a pending one is booked, voided or expires; a booked one is reversed."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, select

from streambank.bank.events import EntryStatus, Origin, Role
from streambank.bank.events.money import INT64_MAX, INT64_MIN
from streambank.bank.transactions import repository
from streambank.bank.transactions.entries import out_of_range
from streambank.bank.transactions.ledger import Books, Ledger, Posted, check_funds
from streambank.bank.transactions.models import HOLD, POSTING, JournalKind
from streambank.bank.transactions.repository import Detail, LedgerAccount, Terms
from streambank.errors import check
from streambank.service.http.problems import conflict, forbidden, not_found

POSTINGS_MAX = 4
"""Of booking a pending entry: both sides of its end and of what was booked."""

EXPIRED_MAX = 500
"""Pending entries ended in one transaction: some ten milliseconds in which nobody else writes."""

_BOOKED, _PENDING = EntryStatus.BOOKED.value, EntryStatus.PENDING.value
_CHUNK = 500

_DETAILS = Detail.__struct_fields__


class Beside:
    """What goes with entries that are to end: the other side of each, its tags and its parts; read at once."""

    def __init__(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        self.tags: dict[int, list[str]] = {}
        self.parts: dict[int, list[Row[Any]]] = {}
        self._others: dict[int, Row[Any]] = {}
        for start in range(0, len(rows), _CHUNK):
            nums = [row.num for row in rows[start : start + _CHUNK]]
            self.tags.update(repository.tags_of(connection, nums))
            self.parts.update(repository.splits_of(connection, nums))
            # Both sides of an entry are posted one after the other.
            others = repository.postings(connection, [num + 1 for num in nums])
            self._others.update((other.num - 1, other) for other in others)

    def other(self, row: Row[Any]) -> Row[Any]:
        """The posting on the other side."""
        other = self._others[row.num]
        paired = other.journal_num == row.journal_num and other.signed_minor == -row.signed_minor
        check(paired, f"entry {row.entry_id} has no other side")
        return other


def find(books: Books, caller_id: str, entry_id: str) -> tuple[LedgerAccount, Row[Any]]:
    """An entry of an account that the caller may change. Raises a problem for any other."""
    row = repository.entry(books.connection, entry_id)
    account = None if row is None else books.account_by_num(row.account_num)
    role = None if account is None else books.role(account.account_id)
    if row is None or account is None or role is None:
        raise not_found("transaction")
    if role is not Role.OWNER:
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
    if asked and signed < min(0, hold.signed_minor):
        # What was held is free again, so that only the rest has to be there: nothing, if all of it was held.
        check_funds(account, hold.signed_minor - signed)
    beside = Beside(books.connection, [hold])
    counter = books.account_by_num(beside.other(hold).account_num)
    for side, change in ((account, signed), (counter, -signed)):
        if not INT64_MIN <= side.booked_minor + change <= INT64_MAX:
            raise out_of_range("/amount_minor")
    journal_num, transaction_id = books.journal(JournalKind.BOOKING)
    day = (booking_date or books.today).isoformat()
    terms = Terms(signed, _BOOKED, hold.origin, day, hold.value_date, hold.occurred_at)
    release(books, account, hold, beside.other(hold), journal_num, transaction_id)
    tags = beside.tags.get(hold.num, [])
    held_minor = -hold.signed_minor if signed < 0 else 0
    posted = books.post(
        account, counter, journal_num, transaction_id, terms, _details(hold), tags, held_minor=held_minor
    )
    if signed == hold.signed_minor:
        books.split(posted, beside.parts.get(hold.num, []))
    return posted


def void(books: Books, caller_id: str, entry_id: str) -> Posted:
    """End a pending entry: it does not come after all."""
    account, hold = find(books, caller_id, entry_id)
    _check_pending(books, account, hold)
    return void_row(books, account, hold, Beside(books.connection, [hold]))


def expire(connection: Connection, ledger: Ledger) -> int:
    """End pending entries whose time is over, at most :data:`EXPIRED_MAX`; how many."""
    now_ms = ledger.clock()
    due = list(connection.execute(_DUE, {"now_ms": now_ms}))
    if not due:
        return 0
    books = ledger.books(connection, "", 2 * len(due))
    # Again, now that nobody else writes: somebody may have booked one meanwhile.
    still_due = list(connection.scalars(_DUE, {"now_ms": now_ms}))[: len(due)]
    rows = connection.execute(_BY_NUMS, {"nums": still_due}).all()
    beside = Beside(connection, rows)
    for row in sorted(rows, key=lambda row: still_due.index(row.num)):
        void_row(books, books.account_by_num(row.account_num), row, beside)
    books.close()
    return len(still_due)


_BY_NUMS = repository.ENTRIES.where(POSTING.c.num.in_(bindparam("nums", expanding=True)))
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
    _check_not_transfer(row)
    if row.status != _BOOKED:
        raise conflict("entry-pending", "a pending entry is not reversed: void it")
    if row.reverses_num is not None:
        raise conflict("entry-is-reversal", "a reversal is not reversed: record the entry anew")
    if row.reversed_by_id is not None:
        raise conflict("already-reversed", f"the entry was reversed by {row.reversed_by_id}")
    if asked and row.signed_minor > 0:
        check_funds(account, row.signed_minor)
    return take_back(books, account, row, Beside(books.connection, [row]), origin=Origin.LIVE, notes=notes)


def take_back(
    books: Books, account: LedgerAccount, row: Row[Any], beside: Beside, *, origin: Origin, notes: str | None = None
) -> Posted:
    """Reverse an entry that can be."""
    other = beside.other(row)
    counter = books.account_by_num(other.account_num)
    for side, change in ((account, -row.signed_minor), (counter, row.signed_minor)):
        if not INT64_MIN <= side.booked_minor + change <= INT64_MAX:
            raise out_of_range("/id")
    journal_num, transaction_id = books.journal(JournalKind.REVERSAL)
    today = books.today.isoformat()
    terms = Terms(-row.signed_minor, _BOOKED, origin.value, today, row.value_date, books.now_ms)
    detail = msgspec.structs.replace(_details(row), notes=notes)
    reverses = (row.num, other.num, row.entry_id)
    tags = beside.tags.get(row.num, [])
    posted = books.post(account, counter, journal_num, transaction_id, terms, detail, tags, reverses=reverses)
    books.split(posted, beside.parts.get(row.num, []))
    return posted


def void_row(books: Books, account: LedgerAccount, hold: Row[Any], beside: Beside) -> Posted:
    """End a pending entry that has not ended."""
    journal_num, transaction_id = books.journal(JournalKind.RELEASE)
    return release(books, account, hold, beside.other(hold), journal_num, transaction_id)


def release(
    books: Books, account: LedgerAccount, hold: Row[Any], other: Row[Any], journal_num: int, transaction_id: str
) -> Posted:
    """End a pending entry within a journal transaction that was begun. ``other``: its other side."""
    counter = books.account_by_num(other.account_num)
    terms = Terms(-hold.signed_minor, _PENDING, hold.origin, books.today.isoformat(), None, books.now_ms)
    reverses = (hold.num, other.num, hold.entry_id)
    books.end_hold(hold.num)
    return books.post(account, counter, journal_num, transaction_id, terms, _details(hold), [], reverses=reverses)


def _check_pending(books: Books, account: LedgerAccount, hold: Row[Any]) -> None:
    books.check_open(account)
    _check_not_transfer(hold)
    if hold.status != _PENDING or hold.reverses_num is not None:
        raise conflict("entry-not-pending", "only a pending entry is booked or voided")
    if hold.hold_num is None:
        raise conflict("entry-ended", "the pending entry has ended already")


def _check_not_transfer(row: Row[Any]) -> None:
    # One side alone would leave the other with money that nobody gave.
    if row.journal_kind == JournalKind.TRANSFER:
        raise conflict("entry-of-transfer", "the entry is one of a transfer's: cancel or refund that")


def _details(row: Row[Any]) -> Detail:
    return Detail(**{name: row._mapping[name] for name in _DETAILS} | {"by_rule": bool(row.by_rule)})
