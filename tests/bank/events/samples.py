"""Events to test with."""

from datetime import UTC, date, datetime

from streambank.bank.events import BalanceChanged, CreditDebit, Currency

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)

BALANCE_CHANGED_EVENT = BalanceChanged(
    user_id="anna",
    occurred_at=MOMENT,
    recorded_at=MOMENT,
    entry_id="entry-1",
    account_id="account-1",
    account_seq=1,
    credit_debit=CreditDebit.DEBIT,
    amount_minor=12_50,
    currency=Currency("EUR"),
    booking_date=date(2026, 3, 1),
    counterparty="Bakery",
)
