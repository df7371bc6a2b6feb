"""balances: every account's balance, and every user's total in each currency, kept live.

balance.changed --booked entries, by account--> account.balance
                --by user and currency--> user.balance
"""

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    BALANCE_CHANGED,
    USER_BALANCE,
    Balance,
    BalanceChanged,
    EntryStatus,
    EntrySummary,
    Scope,
)
from streambank.bank.events.money import within_int64
from streambank.streams import StreamBuilder, Topology


def build() -> Topology:
    """The topology."""
    builder = StreamBuilder()
    changes = builder.stream(BALANCE_CHANGED).filter(is_booked)

    accounts = changes.group_by_key().aggregate(no_balance, account_balance, name="account-balance")
    accounts.to_stream().to(ACCOUNT_BALANCE)

    totals = changes.group_by(total_of).aggregate(no_balance, user_balance, name="user-balance")
    totals.to_stream().to(USER_BALANCE)
    return builder.build()


def is_booked(_account_id: str, change: BalanceChanged) -> bool:
    """Whether the entry counts into the balance."""
    return change.status is EntryStatus.BOOKED


def no_balance() -> None:
    """What an account has before its first entry."""


def account_balance(account_id: str, change: BalanceChanged, balance: Balance | None) -> Balance:
    """The account's balance after the entry."""
    return _after(Scope.ACCOUNT, account_id, change, balance)


def user_balance(total_id: str, change: BalanceChanged, balance: Balance | None) -> Balance:
    """The user's total after the entry."""
    return _after(Scope.TOTAL, total_id, change, balance)


def total_of(_account_id: str, change: BalanceChanged) -> str:
    """The total that the entry counts into."""
    return change.total_id


def _after(scope: Scope, scope_id: str, change: BalanceChanged, balance: Balance | None) -> Balance:
    before = balance.after_minor if balance is not None else 0
    return Balance(
        user_id=change.user_id,
        occurred_at=change.occurred_at,
        recorded_at=change.recorded_at,
        scope=scope,
        scope_id=scope_id,
        currency=change.currency,
        before_minor=before,
        after_minor=within_int64(before + change.signed_minor),
        entry_count=balance.entry_count + 1 if balance is not None else 1,
        entry=EntrySummary(
            entry_id=change.entry_id,
            account_id=change.account_id,
            signed_minor=change.signed_minor,
            occurred_at=change.occurred_at,
            kind=change.kind,
            counterparty=change.counterparty,
            remittance=change.remittance,
            origin=change.origin,
        ),
    )
