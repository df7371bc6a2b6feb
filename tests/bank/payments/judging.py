"""What has to hold of the money, whatever happened: judged from the ledger, the log and the transfers."""

from collections import Counter, defaultdict

from sqlalchemy import select
from tests.bank.payments.support import Bank
from tests.bank.transactions.support import records

from streambank.bank import spending
from streambank.bank.events import TRANSFER_STATUS, BalanceChanged, EntryStatus, TransferState
from streambank.bank.payments.models import TRANSFER
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.settings import DAY_MS
from streambank.bank.payments.states import FINAL, STATES, Step

KINDS = (spending.TRANSFER, spending.INTERNAL_TRANSFER, spending.REFUND)

FOLLOWS: dict[str | None, set[str]] = {
    None: {"requested", "screened", "rejected"},
    "requested": {"screened", "rejected", "cancelled"},
    "screened": {"reserved", "rejected", "cancelling"},
    "reserved": {"confirmed", "cancelling"},
    "confirmed": {"posted", "rejected"},
    "cancelling": {"cancelled", "expired", "rejected", "posted"},
    "posted": {"refunded"},
}
"""What may be told of a transfer after what."""


def heal(bank: Bank) -> None:
    """Everything works again, and time passes: longer than anything waits."""
    bank.settle()
    for _ in range(3):
        bank.wait(bank.settings.payee_wait_ms)
    bank.wait(DAY_MS)


def rows(bank: Bank) -> list[AnyRow]:
    return bank.look(lambda c: list(c.execute(select(TRANSFER))))


def judge(bank: Bank, accounts: dict[str, str], total_minor: int) -> Counter[TransferState]:
    """Check all; how many transfers ended in which state. ``accounts``: each with its user."""
    assert bank.ledger.faults() == []
    balances = {account: bank.ledger.balance(account, user) for account, user in accounts.items()}
    assert sum(balance.booked_minor for balance in balances.values()) == total_minor
    assert [balance for balance in balances.values() if balance.pending_debits_minor] == []
    for account, user in accounts.items():
        limit = bank.ledger.account(account, user).overdraft_limit_minor
        assert limit is None or balances[account].booked_minor >= -limit
    entries: dict[str | None, list[BalanceChanged]] = defaultdict(list)
    for event in bank.ledger.published():
        if event.status is EntryStatus.BOOKED and event.kind in KINDS:
            entries[event.transaction_id].append(event)
    told: dict[str, list[str]] = defaultdict(list)
    for record in records(bank.log, TRANSFER_STATUS.name):
        event_told = TRANSFER_STATUS.value.deserialize(record.value or b"")
        told[event_told.transfer_id].append(event_told.state.value)
    found = rows(bank)
    for row in found:
        check_one(row, entries.pop(row.transaction_id, []) if row.transaction_id else [], told[row.transfer_id])
    # Nothing was booked that no transfer knows of.
    assert entries == {}
    by_id = {row.transfer_id: row for row in found}
    for row in found:
        refunds = [one for one in found if one.refunds_id == row.transfer_id and one.step == Step.POSTED.value]
        assert len(refunds) == (1 if row.step == Step.REFUNDED.value else 0)
        if row.refunded_by_id is not None:
            assert by_id[row.refunded_by_id].step == Step.POSTED.value
    return Counter(STATES[Step(row.step)] for row in found)


def check_one(row: AnyRow, entries: list[BalanceChanged], told: list[str]) -> None:
    """A transfer has ended, both of its sides are booked or none is, and its states came one after the other."""
    step = Step(row.step)
    assert step in FINAL, f"{row.transfer_id} is still {step.value}"
    if step in (Step.POSTED, Step.REFUNDED):
        assert sorted((e.account_id, e.signed_minor) for e in entries) == sorted(
            [(row.debtor_account_id, -row.amount_minor), (row.creditor_account_id, row.amount_minor)]
        )
        assert row.reason is None
    else:
        assert entries == []
        assert row.transaction_id is None
        assert row.reason is not None
    before: str | None = None
    for state in told:
        assert state in FOLLOWS[before], f"{row.transfer_id}: {told}"
        before = state
    assert before == STATES[step].value
