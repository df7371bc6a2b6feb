"""The notifications service over HTTP."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from streambank.bank.notifications.bounces import REPORT_BYTES_MAX
from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.links import TOKEN_CHARS_MAX
from streambank.bank.notifications.recipients import Recipient
from streambank.bank.notifications.schemas import (
    ID_PATTERN,
    ChangeSettings,
    ChangeWebhook,
    DeliveryView,
    NewWebhook,
    NoticeView,
    SettingsView,
    UnreadCount,
    WebhookList,
    WebhookMade,
    WebhookView,
)
from streambank.bank.notifications.service import NotificationsService
from streambank.bank.notifications.unsubscribe_page import POLICY, page
from streambank.service.http.answers import Answer, no_content
from streambank.service.http.cursors import CursorParameter, LimitParameter
from streambank.service.http.endpoint import Read, ServiceHttp, Write
from streambank.service.http.page import Page
from streambank.service.http.paths import register_ids
from streambank.service.http.problems import Problem
from streambank.service.http.routers import api_router, joined

READ, WRITE = "notifications:read", "notifications:write"

PAGE_ITEMS = 50

Id: TypeAlias = Annotated[str, Path(pattern=ID_PATTERN)]
TokenParameter: TypeAlias = Annotated[str, Query(min_length=1, max_length=TOKEN_CHARS_MAX, pattern=r"^[A-Za-z0-9_-]+$")]

_REPORT_BODY = {
    "requestBody": {
        "required": True,
        "content": {"message/rfc822": {"schema": {"type": "string", "description": "The report, as it came."}}},
    }
}
_PAGE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}, "description": "A page"}}


def router(service: NotificationsService, http: ServiceHttp) -> APIRouter:
    """All endpoints of the service."""
    register_ids()
    return joined([part(service, http) for part in (_inbox, _settings, _webhooks, _webhook_actions, _mail)])


def _inbox(service: NotificationsService, http: ServiceHttp) -> APIRouter:
    api = api_router("inbox")
    reads, marks = Depends(http.read(READ)), Depends(http.write(WRITE, idempotent=False))
    inboxes = service.inboxes

    @api.get("/inbox", response_model=Page[NoticeView])
    async def list_inbox(
        request: Request,
        read: Annotated[Read, reads],
        unread: Annotated[bool, Query(description="Only what you have not read.")] = False,
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """What you were told, the latest first, in your language."""
        return await read(lambda c: inboxes.page(c, read.caller, cursor, limit, request, unread=unread))

    @api.get("/inbox/unread-count", response_model=UnreadCount)
    async def count_unread(read: Annotated[Read, reads]) -> Response:
        """How much of it you have not read."""
        return await read(lambda c: inboxes.unread(c, read.caller))

    @api.post("/inbox/{notice_id:id}:read", response_model=NoticeView)
    async def read_notice(notice_id: Id, write: Annotated[Write, marks]) -> Response:
        """Say that you have read a notice."""
        return await write(lambda c: inboxes.read(c, write.caller, notice_id))

    @api.post("/inbox:read-all", status_code=204)
    async def read_inbox(write: Annotated[Write, marks]) -> Response:
        """Say that you have read everything that is there."""
        return await write(lambda c: inboxes.read_all(c, write.caller))

    return api


def _settings(service: NotificationsService, http: ServiceHttp) -> APIRouter:
    api = api_router("notification-settings")
    reads, changes = Depends(http.read(READ)), Depends(http.write(WRITE, if_match=True, idempotent=False))
    preferences = service.preferences

    @api.get("/notification-settings", response_model=SettingsView)
    async def get_notification_settings(read: Annotated[Read, reads]) -> Response:
        """How you are told, and whether your address takes e-mails."""
        return await read(lambda c: preferences.get(c, read.caller))

    @api.put("/notification-settings", response_model=SettingsView)
    async def set_notification_settings(body: ChangeSettings, write: Annotated[Write, changes]) -> Response:
        """Say of what you want e-mails. Your inbox has everything all the same."""
        return await write(lambda c: preferences.change(c, write.caller, body, write.expected_version))

    return api


def _webhooks(service: NotificationsService, http: ServiceHttp) -> APIRouter:
    api = api_router("webhooks")
    reads, writes = Depends(http.read(READ)), Depends(http.write(WRITE))
    changes = Depends(http.write(WRITE, if_match=True, idempotent=False))
    webhooks = service.webhooks

    @api.get("/webhooks", response_model=WebhookList)
    async def list_webhooks(read: Annotated[Read, reads]) -> Response:
        """Your webhooks."""
        return await read(lambda c: webhooks.list(c, read.caller))

    @api.post("/webhooks", status_code=201, response_model=WebhookMade)
    async def add_webhook(body: NewWebhook, write: Annotated[Write, writes]) -> Response:
        """Make a webhook: what you are told is sent there, signed as Standard Webhooks describes.

        The answer has the secret, which is not shown again.
        """
        return await write(lambda c: webhooks.add(c, write.caller, body))

    @api.get("/webhooks/{webhook_id:id}", response_model=WebhookView)
    async def get_webhook(webhook_id: Id, read: Annotated[Read, reads]) -> Response:
        """One webhook."""
        return await read(lambda c: webhooks.get(c, read.caller, webhook_id))

    @api.patch("/webhooks/{webhook_id:id}", response_model=WebhookView)
    async def change_webhook(webhook_id: Id, body: ChangeWebhook, write: Annotated[Write, changes]) -> Response:
        """Change where it leads, what it is for, or whether it is on."""
        return await write(lambda c: webhooks.change(c, write.caller, webhook_id, body, write.expected_version))

    @api.delete("/webhooks/{webhook_id:id}", status_code=204)
    async def remove_webhook(webhook_id: Id, write: Annotated[Write, changes]) -> Response:
        """Delete a webhook."""
        return await write(lambda c: webhooks.remove(c, write.caller, webhook_id, write.expected_version))

    return api


def _webhook_actions(service: NotificationsService, http: ServiceHttp) -> APIRouter:
    api = api_router("webhooks")
    reads, writes = Depends(http.read(READ)), Depends(http.write(WRITE))
    webhooks = service.webhooks

    @api.post("/webhooks/{webhook_id:id}:rotate-secret", response_model=WebhookMade)
    async def rotate_webhook_secret(webhook_id: Id, write: Annotated[Write, writes]) -> Response:
        """Get another secret. For a day what is sent is signed with both."""
        return await write(lambda c: webhooks.rotate(c, write.caller, webhook_id))

    @api.post("/webhooks/{webhook_id:id}:ping", status_code=202, response_model=DeliveryView)
    async def ping_webhook(webhook_id: Id, write: Annotated[Write, writes]) -> Response:
        """Send a test. What becomes of it is among the deliveries."""
        answer = await write(lambda c: webhooks.ping(c, write.caller, webhook_id))
        service.webhook_sender.wake()
        return answer

    @api.get("/webhooks/{webhook_id:id}/deliveries", response_model=Page[DeliveryView])
    async def list_deliveries(
        webhook_id: Id,
        request: Request,
        read: Annotated[Read, reads],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """What was sent to it in the last 30 days, the latest first."""
        return await read(lambda c: webhooks.deliveries(c, read.caller, webhook_id, cursor, limit, request))

    return api


def _mail(service: NotificationsService, http: ServiceHttp) -> APIRouter:
    """What comes back from e-mails; nobody is logged in, and a signature says what it is about."""
    api = api_router("e-mails", prefix="")
    looks, anyone = Depends(http.read(None)), Depends(http.write(None, idempotent=False))
    preferences = service.preferences

    @api.get("/unsubscribe", response_class=HTMLResponse, responses=_PAGE)
    async def show_unsubscribe(token: TokenParameter, read: Annotated[Read, looks]) -> Response:
        """The page that the link in an e-mail leads to. To look at it changes nothing."""
        found: list[tuple[Recipient, Category]] = []

        def look(connection: Connection) -> Answer:
            found.append(preferences.link(connection, token))
            return no_content()

        return _page(await read(look), *found[0], done=False)

    @api.post("/unsubscribe", response_class=HTMLResponse, responses=_PAGE)
    async def unsubscribe(token: TokenParameter, write: Annotated[Write, anyone]) -> Response:
        """End the e-mails of the kind that the link names, in one click (RFC 8058)."""
        found: list[tuple[Recipient, Category]] = []

        def end(connection: Connection) -> Answer:
            found.append(preferences.unsubscribe(connection, token))
            return no_content()

        return _page(await write(end), *found[-1], done=True)

    @api.post("/v1/bounces", status_code=204, openapi_extra=_REPORT_BODY)
    async def report_bounce(request: Request, write: Annotated[Write, anyone]) -> Response:
        """Hand in a mail server's report that an e-mail did not arrive (RFC 3464)."""
        raw = await request.body()
        if len(raw) > REPORT_BYTES_MAX:
            raise Problem(413, "body-too-large", f"the report has more than {REPORT_BYTES_MAX} bytes")
        # Before the transaction, in which others wait.
        reported = await run_in_threadpool(preferences.reported, raw)
        return await write(lambda c: preferences.bounced(c, reported))

    return api


def _page(answer: Response, known: Recipient, category: Category, *, done: bool) -> Response:
    kept = {name: value for name, value in answer.headers.items() if name.startswith("ratelimit")}
    return HTMLResponse(page(known.locale, category, done=done), headers={**kept, "Content-Security-Policy": POLICY})
