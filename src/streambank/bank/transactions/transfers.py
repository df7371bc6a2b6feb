r"""Transfers between people: the ledger's side of what the payments service asks for.

::

    (nothing) --RESERVE--> reserved --POST--> posted
        |          |           |  \
        |          |         VOID  POST that fails, hold that expired
        |          v           v          v
        |      rejected     voided     rejected
        +--VOID--> voided: a RESERVE that comes later is refused

RESERVE holds the money by a pending debit; POST ends it and books both sides in one ledger transaction; VOID ends it.
Each instruction is answered once in the database transaction that did it, by way of the outbox; one that comes again
gets the recorded answer again, and does nothing. What cannot be done is answered with a reason, and leaves nothing
held.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Row, bindparam, insert, select, update

from streambank.bank import spending
from streambank.bank.events import (
    TRANSFER_OUTCOME,
    CreditDebit,
    EntryStatus,
    TransferAction,
    TransferInstruction,
    TransferOutcome,
    TransferParty,
    TransferResult,
)
from streambank.bank.events.personal import SealError, unseal
from streambank.bank.reasons import Reason
from streambank.bank.transactions import people, repository, settling
from streambank.bank.transactions.entries import (
    COUNTERPARTY_CHARACTERS_MAX,
    REMITTANCE_CHARACTERS_MAX,
    Money,
    NewEntry,
)
from streambank.bank.transactions.ledger import Ledger, Posted, check_room
from streambank.bank.transactions.models import POSTING, TRANSFER, TRANSFER_ANSWER, JournalKind, TransferStanding
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.settling import Beside
from streambank.clock import to_datetime
from streambank.service.http.problems import Problem
from streambank.service.outbox import outgoing

logger = structlog.get_logger(__name__)

T = TypeVar("T")

POSTINGS_MAX = 4
"""Of one instruction: both sides of the hold's end, and both of what is booked."""

_REASONS = {
    "insufficient-funds": Reason.INSUFFICIENT_FUNDS,
    "account-closed": Reason.CLOSED_ACCOUNT,
    "not-found": Reason.CLOSED_ACCOUNT,
    "user-erased": Reason.CLOSED_ACCOUNT,
    "forbidden": Reason.FORBIDDEN,
    "amount-out-of-range": Reason.WRONG_AMOUNT,
}


def follow(connection: Connection, ledger: Ledger, instructions: Sequence[TransferInstruction]) -> None:
    """Do what is asked, in this order, and answer each."""
    for instruction in instructions:
        known = connection.scalar(_ANSWER, {"id": instruction.transfer_id, "of_action": instruction.action.value})
        if known is None:
            outcome = _Transfer(connection, ledger, instruction).done()
            values = {"transfer_id": instruction.transfer_id, "action": instruction.action.value}
            connection.execute(
                insert(TRANSFER_ANSWER), {**values, "outcome": TRANSFER_OUTCOME.value.serialize(outcome)}
            )
        else:
            outcome = TRANSFER_OUTCOME.value.deserialize(bytes(known))
        ledger.outbox.add(connection, [outgoing(TRANSFER_OUTCOME, outcome.transfer_id, outcome, ledger.clock())])


_ANSWER = select(TRANSFER_ANSWER.c.outcome).where(
    TRANSFER_ANSWER.c.transfer_id == bindparam("id"), TRANSFER_ANSWER.c.action == bindparam("of_action")
)
_TRANSFER = select(TRANSFER).where(TRANSFER.c.transfer_id == bindparam("id"))


class _Refused(Exception):  # noqa: N818 - an answer more than an error
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class _Transfer:
    """One instruction, and the transfer that it is about."""

    def __init__(self, connection: Connection, ledger: Ledger, instruction: TransferInstruction) -> None:
        self._connection = connection
        self._ledger = ledger
        self._told = instruction
        self._books = ledger.books(connection, instruction.user_id, POSTINGS_MAX)
        # Read with the ledger locked: nobody else changes it now.
        self._row = connection.execute(_TRANSFER, {"id": instruction.transfer_id}).one_or_none()

    def done(self) -> TransferOutcome:
        """Do it; the answer."""
        work = {TransferAction.RESERVE: self._reserve, TransferAction.POST: self._post, TransferAction.VOID: self._void}
        return work[self._told.action]()

    def _reserve(self) -> TransferOutcome:
        if self._row is not None:
            return self._answer(TransferResult.REJECTED, Reason(self._row.reason or Reason.CANCELLED.value))
        try:
            hold = self._refusing(self._hold)
        except _Refused as refused:
            self._add(TransferStanding.REJECTED, refused.reason)
            return self._answer(TransferResult.REJECTED, refused.reason)
        self._books.close()
        self._add(TransferStanding.RESERVED, None, hold.num)
        return self._answer(TransferResult.RESERVED)

    def _post(self) -> TransferOutcome:
        row = self._row
        if row is None:
            # Nothing was reserved, and a RESERVE that comes later must not hold what nobody waits for.
            self._add(TransferStanding.REJECTED, Reason.UNEXPLAINED)
            return self._answer(TransferResult.REJECTED, Reason.UNEXPLAINED)
        if row.standing != TransferStanding.RESERVED:
            return self._answer(TransferResult.REJECTED, Reason(row.reason or Reason.UNEXPLAINED.value))
        hold = self._open_hold()
        try:
            if hold is None:
                raise _Refused(self._why_ended(row))
            debit, credit = self._refusing(lambda: self._book(hold))
        except _Refused as refused:
            if hold is not None:
                self._release(hold)
            self._set(TransferStanding.REJECTED, refused.reason)
            return self._answer(TransferResult.REJECTED, refused.reason)
        self._books.close()
        self._set(TransferStanding.POSTED, None, debit, credit)
        return self._answer(TransferResult.POSTED, None, debit.transaction_id, debit.entry_id, credit.entry_id)

    def _void(self) -> TransferOutcome:
        row = self._row
        if row is None:
            self._add(TransferStanding.VOIDED, Reason.CANCELLED)
        elif row.standing == TransferStanding.POSTED:
            # Too late: the answer is what stands.
            ids = (row.transaction_id, row.debtor_entry_id, row.creditor_entry_id)
            return self._answer(TransferResult.POSTED, None, *ids)
        elif row.standing == TransferStanding.RESERVED:
            hold = self._open_hold()
            if hold is not None:
                self._release(hold)
            self._set(TransferStanding.VOIDED, Reason.CANCELLED)
        return self._answer(TransferResult.VOIDED)

    def _why_ended(self, row: Row[Any]) -> Reason:
        [posting] = repository.postings(self._connection, [row.hold_num])
        is_erased = self._books.account_by_num(posting.account_num).owner_id is None
        return Reason.CLOSED_ACCOUNT if is_erased else Reason.TOO_LATE

    def _hold(self) -> Posted:
        """Hold the money on the payer's account."""
        told = self._told
        people.key_of(self._connection, told.user_id)
        account = self._books.account(told.debtor.account_id or "")
        if account.currency is not told.currency:
            raise _Refused(Reason.WRONG_CURRENCY)
        if told.amount_minor == 0:
            raise _Refused(Reason.WRONG_AMOUNT)
        entry = self._entry(told.debtor, CreditDebit.DEBIT, EntryStatus.PENDING)
        return self._books.record(account, entry, asked=True, kind=JournalKind.TRANSFER)

    def _book(self, hold: Row[Any]) -> list[Posted]:
        """End the hold and book both sides. All is checked before anything is posted.

        The payer's limit is not looked at again: what was held is free for this, and available stays what it was.
        """
        told, books = self._told, self._books
        debtor = books.account_by_num(hold.account_num)
        books.check_open(debtor)
        if told.amount_minor != -hold.signed_minor or told.currency is not debtor.currency:
            raise _Refused(Reason.WRONG_AMOUNT)
        creditor = self._creditor()
        if creditor.num == debtor.num:
            raise _Refused(Reason.UNFIT_CREDITOR)
        check_room(debtor, creditor, hold.signed_minor, EntryStatus.BOOKED)
        journal_num, transaction_id = books.journal(JournalKind.TRANSFER)
        other = Beside(self._connection, [hold]).other(hold)
        settling.release(books, debtor, hold, other, journal_num, transaction_id)
        debit = self._entry(told.debtor, CreditDebit.DEBIT, EntryStatus.BOOKED)
        credit = self._entry(told.creditor, CreditDebit.CREDIT, EntryStatus.BOOKED)
        sides = [(debtor, debit), (creditor, credit)]
        return books.post_between(sides, journal_num, transaction_id, held_minor=told.amount_minor)

    def _creditor(self) -> LedgerAccount:
        """The payee's account, which they have to own."""
        payee = self._told.creditor
        if payee.user_id is None or payee.account_id is None:
            raise _Refused(Reason.UNKNOWN_PAYEE)
        people.key_of(self._connection, payee.user_id)
        self._books.serve(payee.user_id)
        account = self._books.account(payee.account_id)
        if account.currency is not self._told.currency:
            raise _Refused(Reason.WRONG_CURRENCY)
        self._books.check_open(account)
        return account

    def _entry(self, side: TransferParty, credit_debit: CreditDebit, status: EntryStatus) -> NewEntry:
        """The entry of one side, with what its user is to read."""
        told, pending = self._told, status is EntryStatus.PENDING
        name, remittance = self._opened(side, side.other_name), self._opened(side, side.remittance)
        return NewEntry(
            credit_debit=credit_debit,
            amount=Money(told.amount_minor, told.currency),
            booking_date=self._books.today,
            status=status,
            occurred_at=to_datetime(self._books.now_ms),
            expires_at=told.held_until if pending else None,
            kind=self._kind(),
            counterparty=None if name is None else name[:COUNTERPARTY_CHARACTERS_MAX],
            end_to_end_id=told.end_to_end_id,
            remittance=None if remittance is None else remittance[:REMITTANCE_CHARACTERS_MAX],
        )

    def _kind(self) -> str:
        """What the entries are to who looks at spending."""
        told = self._told
        if told.debtor.user_id == told.creditor.user_id:
            return spending.INTERNAL_TRANSFER
        return spending.TRANSFER if told.refunds_transfer_id is None else spending.REFUND

    def _opened(self, side: TransferParty, text: str | None) -> str | None:
        """A text that was sealed for a side's user; None where there is none, or it cannot be read any more."""
        if text is None or side.user_id is None:
            return None
        try:
            return unseal(people.key_or_none(self._connection, side.user_id), side.user_id, text) or None
        except SealError:
            logger.warning("a transfer's text cannot be opened", transfer_id=self._told.transfer_id)
            return None

    def _open_hold(self) -> Row[Any] | None:
        """The pending entry; None where it has ended by itself, or with its account."""
        row = self._row
        hold = None if row is None else self._connection.execute(_HOLD, {"num": row.hold_num}).one_or_none()
        return None if hold is None or hold.hold_num is None else hold

    def _release(self, hold: Row[Any]) -> None:
        account = self._books.account_by_num(hold.account_num)
        settling.void_row(self._books, account, hold, Beside(self._connection, [hold]))
        self._books.close()

    def _refusing(self, work: Callable[[], T]) -> T:
        """What the work comes to; a problem of the ledger becomes a reason."""
        try:
            return work()
        except Problem as problem:
            reason = _REASONS.get(problem.slug)
            if reason is None:
                logger.warning("a transfer is refused", transfer_id=self._told.transfer_id, problem=problem.slug)
            raise _Refused(reason or Reason.UNEXPLAINED) from None

    def _add(self, standing: TransferStanding, reason: Reason | None, hold_num: int | None = None) -> None:
        values = {"transfer_id": self._told.transfer_id, "standing": standing.value, "hold_num": hold_num}
        self._connection.execute(insert(TRANSFER), {**values, "reason": None if reason is None else reason.value})

    def _set(self, standing: TransferStanding, reason: Reason | None = None, *entries: Posted) -> None:
        values: dict[str, object] = {"standing": standing.value, "reason": None if reason is None else reason.value}
        if entries:
            debit, credit = entries
            values["transaction_id"] = debit.transaction_id
            values["debtor_entry_id"], values["creditor_entry_id"] = debit.entry_id, credit.entry_id
        place = TRANSFER.c.transfer_id == self._told.transfer_id
        self._connection.execute(update(TRANSFER).where(place).values(values))

    def _answer(self, result: TransferResult, reason: Reason | None = None, *posted: str) -> TransferOutcome:
        """``posted``: the ids of the transaction and of both entries."""
        transaction_id, debtor_entry_id, creditor_entry_id = posted or (None, None, None)
        told, now = self._told, to_datetime(self._books.now_ms)
        return TransferOutcome(
            user_id=told.user_id,
            occurred_at=now,
            recorded_at=now,
            event_id=self._ledger.new_id(self._books.now_ms),
            transfer_id=told.transfer_id,
            action=told.action,
            result=result,
            reason=None if reason is None else reason.value,
            transaction_id=transaction_id,
            debtor_entry_id=debtor_entry_id,
            creditor_entry_id=creditor_entry_id,
        )


_HOLD = repository.ENTRIES.where(POSTING.c.num == bindparam("num"))
