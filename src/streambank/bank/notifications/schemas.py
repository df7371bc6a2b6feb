"""What is asked of the notifications service and what it answers. Secrets never appear in a repr."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from streambank.bank.events import Digest

ID_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"

URL_CHARS_MAX = 2_000

CategoryName: TypeAlias = Literal["alerts", "goals", "payments", "security", "webhooks"]
WebhookCategory: TypeAlias = Literal["alerts", "goals", "payments", "security"]


def _each_once(names: list[WebhookCategory]) -> list[WebhookCategory]:
    return list(dict.fromkeys(names))


Categories: TypeAlias = Annotated[list[WebhookCategory], Field(max_length=10), AfterValidator(_each_once)]
Url: TypeAlias = Annotated[str, Field(min_length=9, max_length=URL_CHARS_MAX, pattern=r"^https?://[!-~]+$")]


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NoticeView(BaseModel):
    """What you were told. ``type`` is that of the webhook's message, and ``about`` its data: ids and amounts."""

    id: str
    type: str
    category: CategoryName
    critical: bool
    title: str
    text: str
    about: dict[str, Any]
    occurred_at: datetime
    received_at: datetime
    read_at: datetime | None


class UnreadCount(BaseModel):
    """How much of your inbox you have not read."""

    unread: int


class EmailSettings(Body):
    """Of what you get e-mails. What is about your account's security always comes."""

    alerts: bool = True
    goals: bool = True
    payments: bool = True


class ChangeSettings(Body):
    """What to change. Quiet hours and digests are among your preferences: ``/v1/users/me/preferences``."""

    email: EmailSettings


class QuietHoursView(BaseModel):
    """When not to disturb: minutes after midnight in your time zone; may pass midnight."""

    from_minute: int
    to_minute: int


class SettingsView(BaseModel):
    """How you are told. Address, time zone, quiet hours and digest are as in your profile, so far.

    ``refusals`` is how often your address refused e-mails for good of late; where that was once too often, only
    critical ones go there, since ``email_stopped_at``, until you change the address.
    """

    email: EmailSettings
    refusals: int
    email_stopped_at: datetime | None
    email_verified: bool
    timezone: str
    quiet_hours: QuietHoursView | None
    digest: Digest
    version: int


class NewWebhook(Body):
    """Where you want to be told by HTTP. ``categories``: of what; everything, if empty."""

    url: Url
    categories: Categories = Field(default_factory=list)


class ChangeWebhook(Body):
    """What to change of a webhook; what is left out stays. ``enabled``: false stops it, true lets it begin anew."""

    url: Url | None = None
    categories: Categories | None = None
    enabled: bool | None = None


class WebhookView(BaseModel):
    """A webhook. ``failing_since``: nothing was taken since then."""

    id: str
    url: str
    categories: list[WebhookCategory]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    version: int


class WebhookMade(WebhookView):
    """A webhook and the secret that signs what it is sent, which is shown this once."""

    secret: Annotated[str, Field(repr=False)]


class WebhookList(BaseModel):
    """Your webhooks, the oldest first."""

    items: list[WebhookView]


class DeliveryView(BaseModel):
    """A message to a webhook. ``id`` is its ``webhook-id``; ``due_at``: when it is tried next."""

    id: str
    notice_id: str | None
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    due_at: datetime | None
    settled_at: datetime | None
