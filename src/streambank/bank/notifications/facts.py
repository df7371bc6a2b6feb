"""What a notice tells: the facts, in the form in which inboxes keep them. Texts are made of them when they are read.

What is personal in them is sealed as it was in the event that they come from, with the key of the notice's user.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec
from iso4217 import Currency

from streambank.bank.events import AlertRaised, Direction, GoalKind, GoalMarked, MailKind


class Category(StrEnum):
    """What a user can have no e-mails of, or a webhook for. Of ``security`` there are always e-mails."""

    ALERTS = "alerts"
    GOALS = "goals"
    PAYMENTS = "payments"
    SECURITY = "security"
    WEBHOOKS = "webhooks"


MUTABLE = (Category.ALERTS, Category.GOALS, Category.PAYMENTS)
"""Those that a user can have no e-mails of."""


class Told(StrEnum):
    """What a notice says; each has its texts in each language."""

    ALERT_BELOW = "alert-below"
    ALERT_ABOVE = "alert-above"
    GOAL_BUDGET = "goal-budget"
    GOAL_SAVINGS = "goal-savings"
    GOAL_SPENDING = "goal-spending"
    TRANSFER_SENT = "transfer-sent"
    TRANSFER_RECEIVED = "transfer-received"
    TRANSFER_REJECTED = "transfer-rejected"
    TRANSFER_EXPIRED = "transfer-expired"
    TRANSFER_REFUNDED = "transfer-refunded"
    REFUND_SENT = "refund-sent"
    REQUEST_RECEIVED = "request-received"
    REQUEST_DECLINED = "request-declined"
    REQUEST_EXPIRED = "request-expired"
    SECURITY = "security"
    WEBHOOK_DISABLED = "webhook-disabled"


class AlertFacts(msgspec.Struct, frozen=True, tag="alert"):
    """A balance crossed a threshold."""

    alert: AlertRaised

    @property
    def told(self) -> Told:
        """What it says."""
        return Told.ALERT_BELOW if self.alert.threshold.direction is Direction.BELOW else Told.ALERT_ABOVE

    @property
    def category(self) -> Category:
        """What it is about."""
        return Category.ALERTS

    @property
    def is_critical(self) -> bool:
        """An account that is overdrawn costs money by the day."""
        return self.told is Told.ALERT_BELOW and self.alert.after_minor < 0


class GoalFacts(msgspec.Struct, frozen=True, tag="goal"):
    """A goal came to a mark."""

    mark: GoalMarked

    @property
    def told(self) -> Told:
        """What it says."""
        kinds = {GoalKind.BUDGET: Told.GOAL_BUDGET, GoalKind.SAVINGS: Told.GOAL_SAVINGS}
        return kinds.get(self.mark.kind, Told.GOAL_SPENDING)

    @property
    def category(self) -> Category:
        """What it is about."""
        return Category.GOALS

    @property
    def is_critical(self) -> bool:
        """Never."""
        return False


class PaymentFacts(msgspec.Struct, frozen=True, tag="payment", omit_defaults=True):
    """A transfer, or a request for money (``request_id``), as one side of it is to hear of it."""

    told: Told
    amount_minor: int
    currency: Currency
    transfer_id: str | None = None
    request_id: str | None = None
    other_name: str | None = None
    remittance: str | None = None
    reason: str | None = None

    @property
    def category(self) -> Category:
        """What it is about."""
        return Category.PAYMENTS

    @property
    def is_critical(self) -> bool:
        """Whoever counts on money having gone out has to hear at once that it did not."""
        return self.told is Told.TRANSFER_REJECTED


class SecurityFacts(msgspec.Struct, frozen=True, tag="security"):
    """Something was done with the user's account. The code of an e-mail is not kept."""

    kind: MailKind

    @property
    def told(self) -> Told:
        """What it says."""
        return Told.SECURITY

    @property
    def category(self) -> Category:
        """What it is about."""
        return Category.SECURITY

    @property
    def is_critical(self) -> bool:
        """Always."""
        return True


class WebhookFacts(msgspec.Struct, frozen=True, tag="webhook"):
    """A webhook failed for so long that nothing is sent to it any more."""

    webhook_id: str
    host: str

    @property
    def told(self) -> Told:
        """What it says."""
        return Told.WEBHOOK_DISABLED

    @property
    def category(self) -> Category:
        """What it is about."""
        return Category.WEBHOOKS

    @property
    def is_critical(self) -> bool:
        """Never."""
        return False


Facts: TypeAlias = AlertFacts | GoalFacts | PaymentFacts | SecurityFacts | WebhookFacts

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Facts)


def encode_facts(facts: Facts) -> bytes:
    """The facts as they are kept."""
    return _ENCODER.encode(facts)


def decode_facts(kept: bytes) -> Facts:
    """The facts that were kept."""
    return _DECODER.decode(kept)
