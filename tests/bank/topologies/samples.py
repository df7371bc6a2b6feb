"""Balances, thresholds and entries to test with."""

from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

from streambank.bank.events import (
    AccountThresholds,
    Balance,
    BalanceChanged,
    CreditDebit,
    Currency,
    EntryStatus,
    EntrySummary,
    Origin,
    Scope,
    Threshold,
)

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
EUR = Currency("EUR")


def entry(
    number: int, signed_minor: int, *, account_id: str = "account", user_id: str = "anna", currency: Currency = EUR
) -> BalanceChanged:
    """The account's entry of that number."""
    return BalanceChanged(
        user_id=user_id,
        occurred_at=MOMENT,
        recorded_at=MOMENT,
        entry_id=f"{account_id}/{number}",
        account_id=account_id,
        account_seq=number,
        credit_debit=CreditDebit.CREDIT if signed_minor >= 0 else CreditDebit.DEBIT,
        amount_minor=abs(signed_minor),
        currency=currency,
        booking_date=date(2026, 3, 1),
    )


def hold(number: int, minor: int, **fields: Any) -> BalanceChanged:
    """The account's entry of that number: a pending debit, or with ``minor`` below nothing a pending credit."""
    return replace(entry(number, -minor), status=EntryStatus.PENDING, **fields)


def end(of: BalanceChanged, number: int) -> BalanceChanged:
    """The account's entry of that number: the end of a pending one."""
    ended = entry(number, -of.signed_minor)
    return replace(ended, status=EntryStatus.PENDING, reverses_entry_id=of.entry_id)


def balance(number: int, before: int, after: int, origin: Origin) -> Balance:
    """The account's balance after its entry of that number."""
    return Balance(
        user_id="anna",
        occurred_at=MOMENT,
        recorded_at=MOMENT,
        scope=Scope.ACCOUNT,
        scope_id="account",
        currency=EUR,
        before_minor=before,
        after_minor=after,
        entry_count=number,
        entry=EntrySummary(
            entry_id=f"account/{number}",
            account_id="account",
            signed_minor=after - before,
            occurred_at=MOMENT,
            origin=origin,
        ),
    )


def thresholds(
    *of: Threshold, scope: Scope = Scope.ACCOUNT, scope_id: str = "account", user_id: str = "anna"
) -> AccountThresholds:
    """The thresholds on one account or total."""
    return AccountThresholds(
        user_id=user_id,
        occurred_at=MOMENT,
        recorded_at=MOMENT,
        event_id=f"thresholds-{scope_id}",
        scope=scope,
        scope_id=scope_id,
        currency=EUR,
        thresholds=of,
    )
