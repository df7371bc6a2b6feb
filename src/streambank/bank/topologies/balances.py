"""balances: every account's balance, and every user's total in each currency, kept live.

balance.changed --booked entries and holds, by account--> account.balance
                --by user and currency--> user.balance

A hold is a pending debit: it counts into what is available, until it ends. Pending credits count nowhere.
"""

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    BALANCE_CHANGED,
    USER_BALANCE,
    Balance,
    BalanceChanged,
    CreditDebit,
    EntryStatus,
    Scope,
)
from streambank.bank.events.money import within_int64
from streambank.streams import StreamBuilder, Topology


def build() -> Topology:
    """The topology."""
    builder = StreamBuilder()
    changes = builder.stream(BALANCE_CHANGED).filter(counts)

    accounts = changes.group_by_key().aggregate(no_balance, account_balance, name="account-balance")
    accounts.to_stream().to(ACCOUNT_BALANCE)

    totals = changes.group_by(total_of).aggregate(no_balance, user_balance, name="user-balance")
    totals.to_stream().to(USER_BALANCE)
    return builder.build()


def counts(_account_id: str, change: BalanceChanged) -> bool:
    """Whether the entry changes the balance, or what is available of it.

    Of pending entries only a debit holds money, and a credit that names one frees it. A pending credit that names none
    is expected only, and a pending debit that names one ends such an expectation.
    """
    if change.status is EntryStatus.BOOKED:
        return True
    return (change.credit_debit is CreditDebit.DEBIT) == (change.reverses_entry_id is None)


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
    before, count = (balance.after_minor, balance.entry_count) if balance is not None else (0, 0)
    held = _held(balance)
    after, held_after = before, held
    if change.status is EntryStatus.BOOKED:
        count += 1
        after = within_int64(before + change.signed_minor)
        # What was held for it until now has been freed a moment ago: see BalanceChanged.
        held += change.held_minor
    else:
        held_after = held - change.signed_minor
    return Balance(
        user_id=change.user_id,
        occurred_at=change.occurred_at,
        recorded_at=change.recorded_at,
        scope=scope,
        scope_id=scope_id,
        currency=change.currency,
        before_minor=before,
        after_minor=after,
        entry_count=count,
        entry=change.summary,
        available_before_minor=within_int64(before - held) if held else None,
        available_after_minor=within_int64(after - held_after) if held_after else None,
    )


def _held(balance: Balance | None) -> int:
    """How much the pending debits come to that have not ended."""
    if balance is None or balance.available_after_minor is None:
        return 0
    return balance.after_minor - balance.available_after_minor
