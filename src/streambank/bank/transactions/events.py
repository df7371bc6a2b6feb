"""Which events the service makes: ACCOUNT at every change of an account, BALANCE_CHANGED for every entry of one.

ENTRY_CATEGORISED follows whenever a booked entry counts into other categories than these, or it, have said.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from streambank.bank.events import (
    ACCOUNT,
    BALANCE_CHANGED,
    ENTRY_CATEGORISED,
    Account,
    AccountMember,
    BalanceChanged,
    CategoryPart,
    CreditDebit,
    EntryCategorised,
    EntryStatus,
    Origin,
)
from streambank.bank.events.personal import seal
from streambank.bank.transactions.repository import Detail, LedgerAccount, PostingRow
from streambank.clock import to_datetime
from streambank.errors import check
from streambank.service.outbox import OutgoingRecord, outgoing

# An attribute of an enumeration takes several times as long to look up as a name of this module.
_CREDIT, _DEBIT = CreditDebit.CREDIT, CreditDebit.DEBIT
_STATUS = {status.value: status for status in EntryStatus}
_ORIGIN = {origin.value: origin for origin in Origin}


# The days and times of one batch repeat themselves.
_date = lru_cache(maxsize=1_000)(date.fromisoformat)
_moment = lru_cache(maxsize=1_000)(to_datetime)


def account_changed(
    account: LedgerAccount, members: Sequence[AccountMember], event_id: str, now_ms: int
) -> OutgoingRecord:
    """The account as it is now. ``members`` are all but its owner."""
    check(account.owner_id is not None and account.key is not None, f"account {account.account_id} has no owner")
    owner_id, key = str(account.owner_id), bytes(account.key or b"")
    now = to_datetime(now_ms)
    event = Account(
        event_id=event_id,
        user_id=owner_id,
        occurred_at=now,
        recorded_at=now,
        account_id=account.account_id,
        name=seal(key, owner_id, account.name or ""),
        currency=account.currency,
        number_last4=account.number_last4,
        kind=account.kind,
        overdraft_limit_minor=account.overdraft_limit_minor,
        members=tuple(members),
        closed_at=None if account.closed_at is None else to_datetime(account.closed_at),
    )
    return outgoing(ACCOUNT, account.account_id, event, now_ms)


def account_erased(account_id: str, now_ms: int) -> OutgoingRecord:
    """The tombstone of an account whose owner was erased."""
    return OutgoingRecord(ACCOUNT.name, ACCOUNT.key.serialize(account_id), None, None, now_ms)


def balance_changed(
    account: LedgerAccount,
    posting: PostingRow,
    detail: Detail,
    *,
    transaction_id: str,
    reverses_entry_id: str | None,
    held_minor: int,
    category_id: str | None,
    recorded_at: datetime,
    sealed: Callable[[str | None], str | None],
) -> OutgoingRecord:
    """The event of a posting to a user's account; ``recorded_at`` is the present, ``sealed`` seals for its owner."""
    signed, value_date, occurred_ms = posting.signed_minor, posting.value_date, posting.occurred_at
    event = BalanceChanged(
        user_id=account.owner_id or "",
        occurred_at=_moment(occurred_ms),
        recorded_at=recorded_at,
        entry_id=posting.entry_id or "",
        account_id=account.account_id,
        account_seq=posting.account_seq,
        credit_debit=_CREDIT if signed > 0 else _DEBIT,
        amount_minor=abs(signed),
        currency=account.currency,
        booking_date=_date(posting.booking_date),
        value_date=None if value_date is None else _date(value_date),
        kind=detail.kind,
        category=category_id,
        counterparty=sealed(detail.counterparty),
        counterparty_account=sealed(detail.counterparty_account),
        end_to_end_id=detail.end_to_end_id,
        remittance=sealed(detail.remittance),
        origin=_ORIGIN[posting.origin],
        status=_STATUS[posting.status],
        transaction_id=transaction_id,
        reverses_entry_id=reverses_entry_id,
        held_minor=held_minor,
    )
    return outgoing(BALANCE_CHANGED, account.account_id, event, occurred_ms)


def entry_categorised(
    account: LedgerAccount,
    entry: PostingRow | Row[Any],
    *,
    kind: str | None,
    reverses_entry_id: str | None,
    before: Iterable[tuple[str | None, int]],
    after: Iterable[tuple[str | None, int]],
    event_id: str,
    recorded_at: datetime,
) -> OutgoingRecord:
    """The event of a booked entry that counts into other categories: ids with signed amounts. ``recorded_at``: now."""
    event = EntryCategorised(
        user_id=account.owner_id or "",
        occurred_at=to_datetime(entry.occurred_at),
        recorded_at=recorded_at,
        event_id=event_id,
        entry_id=entry.entry_id or "",
        account_id=account.account_id,
        currency=account.currency,
        booking_date=_date(entry.booking_date),
        before=_parts(before),
        after=_parts(after),
        origin=_ORIGIN[entry.origin],
        kind=kind,
        reverses_entry_id=reverses_entry_id,
    )
    return outgoing(ENTRY_CATEGORISED, account.account_id, event, entry.occurred_at)


def _parts(shares: Iterable[tuple[str | None, int]]) -> tuple[CategoryPart, ...]:
    return tuple(CategoryPart(category=category_id, signed_minor=minor) for category_id, minor in shares)
