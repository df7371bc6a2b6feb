"""From events to notices: who hears of what. Pure.

A transfer's two sides hear different things, and nobody hears of one thing twice: a refund is told to its receiver as
the transfer that it is, not once more when the first transfer's state follows. Who takes a request for money back, or
cancels a transfer, knows.

    transfer    rejected   expired    posted                       refund posted
    payer       rejected   expired    sent                         refunded
    payee                             received                     refund sent
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streambank.bank.events import (
    ALERT_NOTIFICATION,
    GOAL_MARKED,
    MAIL_REQUESTED,
    PAYMENT_REQUEST,
    TRANSFER_STATUS,
    AlertNotification,
    GoalMarked,
    MailKind,
    MailRequested,
    PaymentRequested,
    RequestState,
    TransferChanged,
    TransferParty,
    TransferState,
)
from streambank.bank.notifications.facts import (
    AlertFacts,
    Facts,
    GoalFacts,
    PaymentFacts,
    SecurityFacts,
    Told,
)
from streambank.ids import derived_id
from streambank.streams.topic import Topic

SOURCES: tuple[Topic[str, Any], ...] = (
    MAIL_REQUESTED,
    ALERT_NOTIFICATION,
    GOAL_MARKED,
    TRANSFER_STATUS,
    PAYMENT_REQUEST,
)
"""The topics that notices come from."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one user is told. Its id derives from what it is about: however often an event comes, it is one notice.

    ``cause_id`` names its e-mail in the sent-log. ``occurred_at`` is in ms since the epoch.
    """

    notice_id: str
    cause_id: str
    user_id: str
    occurred_at: int
    facts: Facts


def notices_of(event: object) -> Sequence[Notice]:
    """What follows from an event of one of the :data:`SOURCES`."""
    match event:
        case AlertNotification():
            return (_notice(event, event.user_id, AlertFacts(event.alert), event.alert_id, event.alert_id),)
        case GoalMarked():
            return (_notice(event, event.user_id, GoalFacts(event), event.mark_id),)
        case TransferChanged():
            return _of_transfer(event)
        case PaymentRequested():
            return _of_request(event)
        case MailRequested() if event.kind is not MailKind.VERIFY_EMAIL:
            return (_notice(event, event.user_id, SecurityFacts(event.kind), event.event_id, event.event_id),)
    return ()


def _of_transfer(event: TransferChanged) -> Sequence[Notice]:
    is_refund = event.refunds_transfer_id is not None
    heard: list[tuple[TransferParty, Told]] = []
    match event.state:
        case TransferState.POSTED:
            heard.append((event.debtor, Told.REFUND_SENT if is_refund else Told.TRANSFER_SENT))
            heard.append((event.creditor, Told.TRANSFER_REFUNDED if is_refund else Told.TRANSFER_RECEIVED))
        case TransferState.REJECTED:
            heard.append((event.debtor, Told.TRANSFER_REJECTED))
        case TransferState.EXPIRED:
            heard.append((event.debtor, Told.TRANSFER_EXPIRED))
    return [
        _notice(event, side.user_id, _payment(event, side, told, transfer_id=event.transfer_id), event.transfer_id)
        for side, told in heard
        if side.user_id is not None
    ]


def _of_request(event: PaymentRequested) -> Sequence[Notice]:
    heard = {
        RequestState.OPEN: (event.debtor, Told.REQUEST_RECEIVED),
        RequestState.DECLINED: (event.creditor, Told.REQUEST_DECLINED),
        RequestState.EXPIRED: (event.creditor, Told.REQUEST_EXPIRED),
    }.get(event.state)
    if heard is None or heard[0].user_id is None:
        return ()
    side, told = heard
    return (
        _notice(event, heard[0].user_id, _payment(event, side, told, request_id=event.request_id), event.request_id),
    )


def _payment(
    event: TransferChanged | PaymentRequested,
    side: TransferParty,
    told: Told,
    *,
    transfer_id: str | None = None,
    request_id: str | None = None,
) -> PaymentFacts:
    return PaymentFacts(
        told=told,
        amount_minor=event.amount_minor,
        currency=event.currency,
        transfer_id=transfer_id,
        request_id=request_id,
        other_name=side.other_name,
        remittance=side.remittance,
        reason=event.reason if isinstance(event, TransferChanged) else None,
    )


def _notice(event: Any, user_id: str, facts: Facts, about_id: str, cause_id: str | None = None) -> Notice:
    notice_id = derived_id("notice", facts.told, about_id, user_id)
    return Notice(notice_id, cause_id or notice_id, user_id, event.timestamp, facts)
