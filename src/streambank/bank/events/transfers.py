"""Payments between people: what is asked for, what the ledger did, and how it stands.

The payments service owns a transfer and its state. It asks the ledger by TransferInstruction, at most one at a time for
each transfer, and every instruction is answered by a TransferOutcome; one that is repeated, with the same answer.
"""

from datetime import datetime
from enum import Enum

import msgspec
from iso4217 import Currency

from streambank.bank.events.money import Amount
from streambank.bank.events.types import Event


class TransferState(Enum):
    """How far a transfer is. ``posted``, ``rejected``, ``expired``, ``cancelled`` and ``refunded`` are final.

    ``requested``: waits for screening. ``screened``: the ledger was asked to reserve. ``reserved``: the money is held,
    and the payee is waited for. ``confirmed``: the ledger was asked to post. ``cancelling``: it was asked to void.
    ``refunded`` follows ``posted``, once another transfer has brought all of it back.
    """

    REQUESTED = "requested"
    SCREENED = "screened"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    POSTED = "posted"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REFUNDED = "refunded"


class TransferAction(Enum):
    """What the ledger is asked to do with a transfer."""

    RESERVE = "reserve"
    POST = "post"
    VOID = "void"


class TransferResult(Enum):
    """What the ledger did. ``rejected``: nothing; ``reason`` says why. Whatever was held is free again then."""

    RESERVED = "reserved"
    POSTED = "posted"
    VOIDED = "voided"
    REJECTED = "rejected"


class Verdict(Enum):
    """What screening says."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class RequestState(Enum):
    """How far a request for money is; all but ``open`` are final."""

    OPEN = "open"
    PAID = "paid"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class TransferParty(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One side of a transfer. None: not known yet, where a payee has not signed up.

    ``other_name`` (what this side is to read as the other's name) and ``remittance`` are personal, and sealed with the
    key of this side's user: see :mod:`.personal`.
    """

    user_id: str | None = None
    account_id: str | None = None
    other_name: str | None = None
    remittance: str | None = None


class TransferRequested(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Somebody wants to pay. Topic ``transfer.requested``, key ``transfer_id``. ``user_id`` is the payer.

    Whoever screens transfers answers with a TransferScreened by ``respond_by``. ``payee_ref`` is equal where a payer
    names the same payee again, whether or not anybody has the address: a verdict that went by ``creditor_user_id``
    would tell the payer who has an account.
    """

    event_id: str
    transfer_id: str
    debtor_account_id: str
    creditor_user_id: str | None = None
    payee_ref: str | None = None
    amount_minor: Amount
    currency: Currency
    is_new_payee: bool
    respond_by: datetime


class TransferScreened(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A transfer was looked at. Topic ``transfer.screened``, key ``transfer_id``. ``reason``: an ISO 20022 code."""

    event_id: str
    transfer_id: str
    verdict: Verdict
    reason: str | None = None


class TransferInstruction(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The ledger is asked to do something. Topic ``transfer.instructed``, key ``transfer_id``; the payer's ``user_id``.

    ``held_until``: when a reservation ends by itself, should nobody ask for anything further.
    """

    event_id: str
    transfer_id: str
    action: TransferAction
    debtor: TransferParty
    creditor: TransferParty
    amount_minor: Amount
    currency: Currency
    end_to_end_id: str | None = None
    held_until: datetime | None = None
    refunds_transfer_id: str | None = None


class TransferOutcome(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What the ledger did. Topic ``transfer.outcome``, key ``transfer_id``; ``reason`` is an ISO 20022 code."""

    event_id: str
    transfer_id: str
    action: TransferAction
    result: TransferResult
    reason: str | None = None
    transaction_id: str | None = None
    debtor_entry_id: str | None = None
    creditor_entry_id: str | None = None


class TransferChanged(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A transfer came to another state. Topic ``transfer.status``, key ``transfer_id``. ``user_id`` is the payer.

    ``reason`` is a code of ISO 20022's ExternalStatusReason1Code, such as AM04. ``refunds_transfer_id``: what it gives
    back.
    """

    event_id: str
    transfer_id: str
    state: TransferState
    debtor: TransferParty
    creditor: TransferParty
    amount_minor: Amount
    currency: Currency
    reason: str | None = None
    end_to_end_id: str | None = None
    expires_at: datetime | None = None
    refunds_transfer_id: str | None = None


class PaymentRequested(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Somebody asks another for money, or such a request changed. Topic ``payment.request``, key ``request_id``.

    ``user_id`` is who asks. ``creditor`` is their side and ``debtor`` that of who is asked.
    """

    event_id: str
    request_id: str
    state: RequestState
    debtor: TransferParty
    creditor: TransferParty
    amount_minor: Amount
    currency: Currency
    transfer_id: str | None = None
    expires_at: datetime | None = None
