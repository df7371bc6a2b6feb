"""Which events the service makes, each with the names and texts that its sides may read."""

from dataclasses import dataclass

from iso4217 import Currency
from sqlalchemy import Connection

from streambank.bank.events import (
    PAYMENT_REQUEST,
    TRANSFER_INSTRUCTED,
    TRANSFER_REQUESTED,
    TRANSFER_STATUS,
    PaymentRequested,
    RequestState,
    TransferAction,
    TransferChanged,
    TransferInstruction,
    TransferParty,
    TransferRequested,
)
from streambank.bank.payments import people
from streambank.bank.payments.people import Person
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.states import STATES, Step
from streambank.clock import to_datetime
from streambank.ids import derived_id
from streambank.service.outbox import OutgoingRecord, outgoing

_TOLD = frozenset({Step.POSTING, Step.POSTED, Step.REFUNDED})
"""From when on the payer reads the payee's name, and not only what they wrote themselves."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The two of a transfer, as far as they are known; who was erased is not."""

    debtor: Person | None
    creditor: Person | None

    @classmethod
    def of(cls, connection: Connection, debtor_id: str | None, creditor_id: str | None) -> "Sides":
        """Look them up."""
        return cls(people.known(connection, debtor_id), people.known(connection, creditor_id))


def payee_name(row: AnyRow, creditor: Person | None) -> str | None:
    """What the payer calls the payee: their name once they are paid, until then what the payer wrote."""
    told: str | None = row.payee_text
    if (told is None or Step(row.step) in _TOLD) and creditor is not None and creditor.name is not None:
        return creditor.name
    return told


def transfer_requested(row: AnyRow, event_id: str, now_ms: int) -> OutgoingRecord:
    """Screening is asked."""
    now = to_datetime(now_ms)
    event = TransferRequested(
        user_id=row.debtor_user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        transfer_id=row.transfer_id,
        debtor_account_id=row.debtor_account_id,
        creditor_user_id=row.creditor_user_id,
        payee_ref=derived_id("payee", row.debtor_user_id, row.payee_key),
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        is_new_payee=bool(row.is_new_payee),
        respond_by=to_datetime(row.due_at),
    )
    return outgoing(TRANSFER_REQUESTED, row.transfer_id, event, now_ms)


def instruction(
    row: AnyRow, sides: Sides, action: TransferAction, event_id: str, now_ms: int, hold_margin_ms: int
) -> OutgoingRecord:
    """The ledger is asked."""
    now = to_datetime(now_ms)
    debtor, creditor = _parties(row, sides)
    event = TransferInstruction(
        user_id=row.debtor_user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        transfer_id=row.transfer_id,
        action=action,
        debtor=debtor,
        creditor=creditor,
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        end_to_end_id=row.end_to_end_id,
        held_until=to_datetime(row.expires_at + hold_margin_ms) if action is TransferAction.RESERVE else None,
        refunds_transfer_id=row.refunds_id,
    )
    return outgoing(TRANSFER_INSTRUCTED, row.transfer_id, event, now_ms)


def transfer_changed(row: AnyRow, sides: Sides, event_id: str, now_ms: int) -> OutgoingRecord:
    """A transfer came to another state. Nothing of the payee is told before the money is held for them."""
    now = to_datetime(now_ms)
    debtor, creditor = _parties(row, sides)
    event = TransferChanged(
        user_id=row.debtor_user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        transfer_id=row.transfer_id,
        state=STATES[Step(row.step)],
        debtor=debtor,
        creditor=TransferParty() if row.reserved_at is None else creditor,
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        reason=row.reason,
        end_to_end_id=row.end_to_end_id,
        expires_at=to_datetime(row.expires_at),
        refunds_transfer_id=row.refunds_id,
    )
    return outgoing(TRANSFER_STATUS, row.transfer_id, event, now_ms)


def payment_requested(row: AnyRow, sides: Sides, event_id: str, now_ms: int) -> OutgoingRecord:
    """A request for money was made, or changed."""
    now = to_datetime(now_ms)
    asker, asked = sides.creditor, sides.debtor
    event = PaymentRequested(
        user_id=row.creditor_user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        request_id=row.request_id,
        state=RequestState(row.state),
        debtor=TransferParty(
            user_id=row.debtor_user_id,
            other_name=None if asked is None or asker is None else asked.sealed(asker.name),
            remittance=None if asked is None else asked.sealed(row.remittance),
        ),
        creditor=TransferParty(
            user_id=row.creditor_user_id,
            account_id=row.creditor_account_id,
            other_name=None if asker is None else asker.sealed(row.payer_text),
            remittance=None if asker is None else asker.sealed(row.remittance),
        ),
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        transfer_id=row.transfer_id,
        expires_at=to_datetime(row.expires_at),
    )
    return outgoing(PAYMENT_REQUEST, row.request_id, event, now_ms)


def _parties(row: AnyRow, sides: Sides) -> tuple[TransferParty, TransferParty]:
    payer, payee = sides.debtor, sides.creditor
    debtor = TransferParty(
        user_id=row.debtor_user_id,
        account_id=row.debtor_account_id,
        other_name=None if payer is None else payer.sealed(payee_name(row, payee)),
        remittance=None if payer is None else payer.sealed(row.remittance),
    )
    creditor = TransferParty(
        user_id=row.creditor_user_id,
        account_id=row.creditor_account_id,
        other_name=None if payee is None or payer is None else payee.sealed(payer.name),
        remittance=None if payee is None else payee.sealed(row.remittance),
    )
    return debtor, creditor
