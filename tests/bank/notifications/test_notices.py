"""Who hears of what, as a table of events; and that the same event is the same notice."""

from typing import Any

import pytest
from tests.bank.notifications.support import goal_mark, money_request, notification, request, transfer

from streambank.bank.events import (
    Direction,
    GoalKind,
    MailKind,
    RequestState,
    TransferParty,
    TransferState,
)
from streambank.bank.notifications.facts import decode_facts, encode_facts
from streambank.bank.notifications.notices import notices_of

NOBODY = TransferParty()

EVENTS: list[tuple[Any, dict[str, str]]] = [
    (notification(), {"user-1": "alert-below"}),
    (notification(direction=Direction.ABOVE), {"user-1": "alert-above"}),
    (goal_mark(), {"user-1": "goal-budget"}),
    (goal_mark(kind=GoalKind.SAVINGS), {"user-1": "goal-savings"}),
    (goal_mark(kind=GoalKind.SPENDING), {"user-1": "goal-spending"}),
    (transfer(state=TransferState.POSTED), {"user-1": "transfer-sent", "user-2": "transfer-received"}),
    (transfer(state=TransferState.REJECTED), {"user-1": "transfer-rejected"}),
    (transfer(state=TransferState.EXPIRED), {"user-1": "transfer-expired"}),
    (transfer(refunds_transfer_id="t0"), {"user-1": "refund-sent", "user-2": "transfer-refunded"}),
    # Told by the transfer that brought it back.
    (transfer(state=TransferState.REFUNDED), {}),
    (transfer(state=TransferState.REQUESTED), {}),
    (transfer(state=TransferState.SCREENED), {}),
    (transfer(state=TransferState.RESERVED), {}),
    (transfer(state=TransferState.RESERVED, creditor=NOBODY), {}),
    (transfer(state=TransferState.CONFIRMED), {}),
    (transfer(state=TransferState.CANCELLING), {}),
    (transfer(state=TransferState.CANCELLED), {}),
    (transfer(state=TransferState.POSTED, creditor=NOBODY), {"user-1": "transfer-sent"}),
    (money_request(state=RequestState.OPEN), {"user-2": "request-received"}),
    (money_request(state=RequestState.OPEN, debtor=NOBODY), {}),
    (money_request(state=RequestState.DECLINED), {"user-1": "request-declined"}),
    (money_request(state=RequestState.EXPIRED), {"user-1": "request-expired"}),
    # Told by the transfer that pays it.
    (money_request(state=RequestState.PAID), {}),
    (money_request(state=RequestState.CANCELLED), {}),
    (request(kind=MailKind.PASSWORD_CHANGED), {"user-1": "security"}),
    (request(kind=MailKind.RESET_PASSWORD), {"user-1": "security"}),
    (request(kind=MailKind.VERIFY_EMAIL), {}),
]


@pytest.mark.parametrize(("event", "told"), EVENTS)
def test_who_hears_what(event: Any, told: dict[str, str]) -> None:
    notices = notices_of(event)
    assert {notice.user_id: notice.facts.told.value for notice in notices} == told
    assert notices_of(event) == notices
    assert len({notice.notice_id for notice in notices}) == len({notice.cause_id for notice in notices}) == len(told)


@pytest.mark.parametrize("event", [event for event, _ in EVENTS])
def test_facts_are_kept_as_they_are(event: Any) -> None:
    for notice in notices_of(event):
        assert decode_facts(encode_facts(notice.facts)) == notice.facts


def test_of_the_other_side_nothing_is_kept() -> None:
    sent, received = notices_of(transfer())
    for mine, other in ((sent, transfer().creditor), (received, transfer().debtor)):
        kept = encode_facts(mine.facts).decode()
        assert (other.user_id or "") not in kept
        assert (other.other_name or "") not in kept


def test_a_code_is_not_kept() -> None:
    [notice] = notices_of(request(kind=MailKind.RESET_PASSWORD))
    assert b"tok-" not in encode_facts(notice.facts)


@pytest.mark.parametrize(
    ("event", "critical"),
    [
        (notification(after_minor=0), False),
        (notification(after_minor=-1), True),
        (notification(after_minor=-1, direction=Direction.ABOVE), False),
        (goal_mark(mark=100), False),
        (transfer(state=TransferState.REJECTED), True),
        (transfer(state=TransferState.EXPIRED), False),
        (transfer(), False),
        (request(kind=MailKind.PASSWORD_CHANGED), True),
    ],
)
def test_what_is_critical(event: Any, critical: bool) -> None:
    assert notices_of(event)[0].facts.is_critical is critical


def test_different_things_are_different_notices() -> None:
    events = (
        notification(1),
        notification(2),
        goal_mark(1),
        goal_mark(2),
        *(transfer(n, state) for n in (1, 2) for state in (TransferState.POSTED, TransferState.EXPIRED)),
        *(money_request(n, state) for n in (1, 2) for state in (RequestState.OPEN, RequestState.EXPIRED)),
    )
    ids = [notice.notice_id for event in events for notice in notices_of(event)]
    assert len(set(ids)) == len(ids) == 14
