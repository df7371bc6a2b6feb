"""How you are told: e-mails, and webhooks."""

from collections.abc import Iterator

from streambank.bank.client.connection import Call
from streambank.bank.client.part import Part, pages, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.notifications.schemas import (
    ChangeSettings,
    ChangeWebhook,
    DeliveryView,
    NewWebhook,
    SettingsView,
    WebhookList,
    WebhookMade,
    WebhookView,
)
from streambank.service.http.page import Page


class Notifications(Part):
    """Of what you get e-mails, and your webhooks."""

    service = "notifications"

    def settings(self) -> Versioned[SettingsView]:
        """How you are told, and whether your address takes e-mails."""
        return self._get_versioned(SettingsView, "/v1/notification-settings")

    def set_settings(self, settings: Versioned[SettingsView], body: ChangeSettings) -> Versioned[SettingsView]:
        """Say of what you want e-mails."""
        return self._change(SettingsView, "PUT", "/v1/notification-settings", settings, body)

    def webhooks(self) -> list[Versioned[WebhookView]]:
        """Your webhooks, the oldest first."""
        return versioned(self._get(WebhookList, "/v1/webhooks").items)

    def add_webhook(self, body: NewWebhook, *, key: str | None = None) -> WebhookMade:
        """Make a webhook. Its secret is in this answer only."""
        return self._post(WebhookMade, "/v1/webhooks", body, key)

    def webhook(self, webhook_id: str) -> Versioned[WebhookView]:
        """One webhook."""
        return self._get_versioned(WebhookView, path_of("webhooks", webhook_id))

    def change_webhook(self, webhook: Versioned[WebhookView], body: ChangeWebhook) -> Versioned[WebhookView]:
        """Change where it leads, what it is for, or whether it is on; what is not set in ``body`` stays."""
        return self._change(WebhookView, "PATCH", path_of("webhooks", webhook.value.id), webhook, body)

    def remove_webhook(self, webhook: Versioned[WebhookView]) -> None:
        """Delete a webhook; what waits for it is not sent."""
        self._send("DELETE", path_of("webhooks", webhook.value.id), version=webhook.version)

    def rotate_secret(self, webhook_id: str, *, key: str | None = None) -> WebhookMade:
        """Get another secret, in this answer only. For a day what is sent is signed with both."""
        return self._post(WebhookMade, f"{path_of('webhooks', webhook_id)}:rotate-secret", None, key)

    def ping(self, webhook_id: str, *, key: str | None = None) -> DeliveryView:
        """Send a test; what becomes of it is among the deliveries."""
        return self._post(DeliveryView, f"{path_of('webhooks', webhook_id)}:ping", None, key)

    def deliveries(self, webhook_id: str, *, page_items: int | None = None) -> Iterator[DeliveryView]:
        """What was sent to a webhook in the last 30 days, the latest first."""
        path = path_of("webhooks", webhook_id, "deliveries")
        return pages(
            lambda cursor, limit: self._get(Page[DeliveryView], path, {"cursor": cursor, "limit": limit}), page_items
        )

    def report_bounce(self, report: bytes) -> None:
        """Hand in a mail server's report (RFC 3464) that an e-mail did not arrive. Nobody has to be logged in."""
        call = Call(
            service=self.service,
            method="POST",
            path="/v1/bounces",
            body=report,
            media_type="message/rfc822",
            logged_in=False,
            harmless=True,
        )
        self._connection.send(call)
