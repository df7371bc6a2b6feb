"""What webhooks are sent: the notice in words, and as data. Pure."""

from typing import Any

import msgspec

from streambank.bank.notifications.facts import (
    AlertFacts,
    Facts,
    GoalFacts,
    PaymentFacts,
    SecurityFacts,
    WebhookFacts,
)
from streambank.bank.notifications.inbox import Kept
from streambank.bank.notifications.telling import Reader, tell
from streambank.clock import to_datetime

TEST_TYPE = "webhook.test"


def type_of(facts: Facts) -> str:
    """The message's type: parts with dots between, as the specification wants it, such as ``alert.below``."""
    return facts.told.replace("-", ".", 1)


def payload(kept: Kept, reader: Reader) -> bytes:
    """The body of the message that tells of a notice.

    Raises:
        KeyMissingError: something is sealed, and there is no key for it.
    """
    telling = tell(kept.facts, kept.occurred_at, reader)
    data = {
        "notice_id": kept.notice_id,
        "category": kept.facts.category,
        "critical": kept.facts.is_critical,
        "title": telling.title,
        "text": telling.text,
        **{name: value for name, value in about(kept.facts).items() if value is not None},
    }
    return _body(type_of(kept.facts), kept.occurred_at, data)


def ping_payload(webhook_id: str, created_at: int) -> bytes:
    """The body of a test."""
    return _body(TEST_TYPE, created_at, {"webhook_id": webhook_id})


def about(facts: Facts) -> dict[str, Any]:
    """The facts that are no text: ids of what the notice is about, and amounts."""
    match facts:
        case AlertFacts(alert):
            return {
                "alert_id": alert.alert_id,
                "scope": alert.scope.value,
                "scope_id": alert.scope_id,
                "threshold_id": alert.threshold.threshold_id,
                "currency": alert.currency.value,
                "level_minor": alert.threshold.level_minor,
                "before_minor": alert.before_minor,
                "after_minor": alert.after_minor,
                "entry_id": alert.entry.entry_id,
            }
        case GoalFacts(mark):
            return {
                "goal_id": mark.goal_id,
                "kind": mark.kind.value,
                "mark": mark.mark,
                "currency": mark.currency.value,
                "amount_minor": mark.amount_minor,
                "target_minor": mark.target_minor,
                "entry_id": mark.entry.entry_id,
            }
        case PaymentFacts():
            return {
                "transfer_id": facts.transfer_id,
                "request_id": facts.request_id,
                "currency": facts.currency.value,
                "amount_minor": facts.amount_minor,
                "reason": facts.reason,
            }
        case SecurityFacts(kind):
            return {"kind": kind.value}
        case WebhookFacts(webhook_id):
            return {"webhook_id": webhook_id}


def _body(type_: str, occurred_at: int, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": type_, "timestamp": to_datetime(occurred_at), "data": data})
