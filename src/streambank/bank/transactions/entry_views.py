"""Entries as the API shows them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from streambank.bank.events import EntryStatus, Origin
from streambank.bank.transactions import categories, repository
from streambank.bank.transactions.ledger import Posted, direction
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.schemas import EntryState, MoneyView, SplitView, TransactionView
from streambank.clock import to_datetime

_PENDING = EntryStatus.PENDING.value


def of_rows(
    connection: Connection, accounts: Mapping[int, LedgerAccount], rows: Sequence[Row[Any]]
) -> list[TransactionView]:
    """The entries of rows of :data:`streambank.bank.transactions.repository.ENTRIES`."""
    if not rows:
        return []
    nums = [row.num for row in rows]
    tags, splits = repository.tags_of(connection, nums), repository.splits_of(connection, nums)
    reversed_ids = repository.entry_ids(connection, [row.reverses_num for row in rows if row.reverses_num is not None])
    category_nums = {row.category_num for row in rows} | {s.category_num for parts in splits.values() for s in parts}
    category_ids = categories.ids(connection, [num for num in category_nums if num is not None])
    return [
        _view(
            accounts[row.account_num],
            row._mapping,
            tags=tags.get(row.num, []),
            splits=[
                SplitView(amount_minor=s.amount_minor, category_id=category_ids.get(s.category_num), note=s.note)
                for s in splits.get(row.num, ())
            ],
            category_id=category_ids.get(row.category_num),
            reverses_id=reversed_ids.get(row.reverses_num),
            is_open=row.hold_num is not None,
        )
        for row in rows
    ]


def of_posted(posted: Posted, category_id: str | None) -> TransactionView:
    """An entry that was posted right now, without reading it back."""
    told: dict[str, Any] = {
        **msgspec.structs.asdict(posted.detail),
        **msgspec.structs.asdict(posted.posting),
        "version": 1,
        "transaction_id": posted.transaction_id,
        "recorded_at": posted.recorded_at,
        "expires_at": posted.expires_at,
        "reversed_by_id": None,
    }
    return _view(
        posted.account,
        told,
        tags=sorted(posted.tags),
        splits=[],
        category_id=category_id,
        reverses_id=posted.reverses_entry_id,
        is_open=posted.posting.reverses_num is None,
    )


def _view(
    account: LedgerAccount,
    row: Mapping[Any, Any],
    *,
    tags: Sequence[str],
    splits: list[SplitView],
    category_id: str | None,
    reverses_id: str | None,
    is_open: bool,
) -> TransactionView:
    state: EntryState = "booked" if row["status"] != _PENDING else "pending" if is_open else "ended"
    value_date, expires_at = row["value_date"], row["expires_at"]
    return TransactionView(
        id=row["entry_id"],
        transaction_id=row["transaction_id"],
        account_id=account.account_id,
        account_seq=row["account_seq"],
        state=state,
        credit_debit=direction(row["signed_minor"]),
        amount=MoneyView(amount_minor=abs(row["signed_minor"]), currency=row["currency"]),
        booking_date=date.fromisoformat(row["booking_date"]),
        value_date=None if value_date is None else date.fromisoformat(value_date),
        occurred_at=to_datetime(row["occurred_at"]),
        recorded_at=to_datetime(row["recorded_at"]),
        expires_at=None if expires_at is None else to_datetime(expires_at),
        origin=Origin(row["origin"]),
        kind=row["kind"],
        counterparty=row["counterparty"],
        counterparty_account=row["counterparty_account"],
        end_to_end_id=row["end_to_end_id"],
        remittance=row["remittance"],
        notes=row["notes"],
        category_id=category_id,
        tags=tags,
        splits=splits,
        reverses_id=reverses_id,
        reversed_by_id=row["reversed_by_id"],
        version=row["version"],
    )
