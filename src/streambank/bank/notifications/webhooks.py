"""Users' webhooks: made, changed, tested, and what was sent to them."""

from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from starlette.requests import Request

from streambank.bank.notifications import deliveries
from streambank.bank.notifications.context import Context
from streambank.bank.notifications.models import DELIVERY, WEBHOOK, DeliveryState
from streambank.bank.notifications.schemas import (
    ChangeWebhook,
    DeliveryView,
    NewWebhook,
    WebhookList,
    WebhookMade,
    WebhookView,
)
from streambank.bank.notifications.webhook_addresses import WebhookAddressError, parse_target
from streambank.bank.notifications.webhook_signing import new_secret, secret_text
from streambank.clock import to_datetime
from streambank.ids import uuid7
from streambank.service.http.answers import Answer, accepted, check_version, created, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.cursors import decode_cursor, encode_cursor, page_answer
from streambank.service.http.problems import conflict, not_found, unprocessable

WEBHOOKS_MAX = 10
"""Of one user: each is sent everything that the user is told."""

OLD_SECRET_MS = 24 * 3_600_000
"""How long a secret signs beside its successor: a day to put the new one where it is needed."""


class Webhooks:
    """The use cases."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, connection: Connection, caller: Caller) -> Answer:
        """The caller's webhooks."""
        own = select(WEBHOOK).where(WEBHOOK.c.user_id == caller.user_id)
        rows = connection.execute(own.order_by(WEBHOOK.c.created_at, WEBHOOK.c.webhook_id))
        return ok(WebhookList(items=[_view(row) for row in rows]))

    def get(self, connection: Connection, caller: Caller, webhook_id: str) -> Answer:
        """One of them."""
        row = self._own(connection, caller, webhook_id)
        return ok(_view(row), version=row.version)

    def add(self, connection: Connection, caller: Caller, body: NewWebhook) -> Answer:
        """Make one."""
        self._context.key(connection, caller.user_id)
        self._check_url(body.url)
        own = select(func.count()).select_from(WEBHOOK).where(WEBHOOK.c.user_id == caller.user_id)
        if connection.execute(own).scalar_one() >= WEBHOOKS_MAX:
            raise conflict("too-many-webhooks", f"a user has {WEBHOOKS_MAX} webhooks at most")
        now, secret = self._context.clock(), new_secret(self._context.random_bytes)
        webhook_id = uuid7(now, self._context.random_bytes)
        values = {
            "webhook_id": webhook_id,
            "user_id": caller.user_id,
            "url": body.url,
            "categories": ",".join(body.categories),
            "secret": secret,
            "created_at": now,
            "version": 1,
        }
        connection.execute(insert(WEBHOOK), values)
        made = self._made(connection, caller, webhook_id, secret)
        return created(made, f"/v1/webhooks/{webhook_id}", version=made.version, secret=True)

    def change(
        self, connection: Connection, caller: Caller, webhook_id: str, body: ChangeWebhook, expected: int | None
    ) -> Answer:
        """Change its address, its categories, or whether it is on."""
        row = self._own(connection, caller, webhook_id)
        check_version(row.version, expected)
        values: dict[str, object] = {"version": row.version + 1}
        if body.url is not None:
            self._check_url(body.url)
            values |= {"url": body.url, "failing_since": None}
        if body.categories is not None:
            values["categories"] = ",".join(body.categories)
        connection.execute(update(WEBHOOK).where(WEBHOOK.c.webhook_id == webhook_id).values(values))
        if body.enabled is True:
            switched_on = {"disabled_reason": None, "failing_since": None}
            connection.execute(update(WEBHOOK).where(WEBHOOK.c.webhook_id == webhook_id).values(switched_on))
        elif body.enabled is False:
            deliveries.disable(connection, webhook_id, "you switched it off", self._context.clock())
        return self.get(connection, caller, webhook_id)

    def remove(self, connection: Connection, caller: Caller, webhook_id: str, expected: int | None) -> Answer:
        """Delete one; what waits for it is not sent."""
        check_version(self._own(connection, caller, webhook_id).version, expected)
        connection.execute(delete(DELIVERY).where(DELIVERY.c.webhook_id == webhook_id))
        connection.execute(delete(WEBHOOK).where(WEBHOOK.c.webhook_id == webhook_id))
        return no_content()

    def rotate(self, connection: Connection, caller: Caller, webhook_id: str) -> Answer:
        """Give it another secret. The one before signs beside it for a day."""
        row, now = self._own(connection, caller, webhook_id), self._context.clock()
        secret = new_secret(self._context.random_bytes)
        values = {
            "secret": secret,
            "old_secret": row.secret,
            "old_secret_until": now + OLD_SECRET_MS,
            "version": row.version + 1,
        }
        connection.execute(update(WEBHOOK).where(WEBHOOK.c.webhook_id == webhook_id).values(values))
        made = self._made(connection, caller, webhook_id, secret)
        return Answer(200, made, made.version, secret=True)

    def ping(self, connection: Connection, caller: Caller, webhook_id: str) -> Answer:
        """Send it a test."""
        row, now = self._own(connection, caller, webhook_id), self._context.clock()
        if row.disabled_reason is not None:
            raise conflict("webhook-disabled", "the webhook is switched off: switch it on first")
        if deliveries.pending(connection, [webhook_id]).get(webhook_id, 0) >= deliveries.PENDING_MAX:
            raise conflict("too-many-deliveries", deliveries.TOO_MANY)
        if deliveries.is_ping_pending(connection, webhook_id):
            raise conflict("ping-pending", "a test of the webhook is on its way already")
        sent = deliveries.row(webhook_id, None, now, uuid7(now, self._context.random_bytes))
        connection.execute(insert(DELIVERY), sent)
        stored = select(DELIVERY).where(DELIVERY.c.message_id == sent["message_id"])
        return accepted(_delivery(connection.execute(stored).one()))

    def deliveries(
        self, connection: Connection, caller: Caller, webhook_id: str, cursor: str | None, limit: int, request: Request
    ) -> Answer:
        """What was sent to it, and what became of that, the latest first."""
        self._own(connection, caller, webhook_id)
        before = int(decode_cursor(cursor, int)[0]) if cursor is not None else None
        found = deliveries.page(connection, webhook_id, before, limit)
        items, is_more = found[:limit], len(found) > limit
        following = encode_cursor(items[-1].num) if is_more else None
        return page_answer([_delivery(row) for row in items], following, request)

    def _own(self, connection: Connection, caller: Caller, webhook_id: str) -> Row[Any]:
        own = select(WEBHOOK).where(WEBHOOK.c.webhook_id == webhook_id, WEBHOOK.c.user_id == caller.user_id)
        row = connection.execute(own).one_or_none()
        if row is None:
            raise not_found("webhook")
        return row

    def _made(self, connection: Connection, caller: Caller, webhook_id: str, secret: bytes) -> WebhookMade:
        view = _view(self._own(connection, caller, webhook_id))
        return WebhookMade(**view.model_dump(), secret=secret_text(secret))

    def _check_url(self, url: str) -> None:
        try:
            parse_target(url, local=self._context.settings.local_webhooks)
        except WebhookAddressError as error:
            raise unprocessable("/url", str(error)) from None


def _view(row: Row[Any]) -> WebhookView:
    return WebhookView(
        id=row.webhook_id,
        url=row.url,
        categories=[name for name in row.categories.split(",") if name],
        enabled=row.disabled_reason is None,
        disabled_reason=row.disabled_reason,
        failing_since=to_datetime(row.failing_since) if row.failing_since is not None else None,
        created_at=to_datetime(row.created_at),
        version=row.version,
    )


def _delivery(row: Row[Any]) -> DeliveryView:
    is_pending = row.state == DeliveryState.PENDING
    return DeliveryView(
        id=row.message_id,
        notice_id=row.notice_id,
        state=row.state,
        attempts=row.attempts,
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=to_datetime(row.created_at),
        due_at=to_datetime(row.due_at) if is_pending else None,
        settled_at=to_datetime(row.settled_at) if row.settled_at is not None else None,
    )
