"""The mailbox's HTTP side: Mailpit's API (https://mailpit.axllent.org/docs/api-v1/) and a page to read the e-mails.

Every answer but /livez and /readyz needs the secret: as the password of HTTP Basic (any user), or once as ``?token=``,
which sets a cookie. Only requests for this machine's own names are answered, so that no web site can reach it through a
name of its own that resolves to 127.0.0.1.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from streambank.bank.mailbox.message import ParsedMessage
from streambank.bank.mailbox.store import MailboxStore, StoredMessage
from streambank.clock import Clock, to_datetime
from streambank.service.http.files import SafeHeaders, package_file

BODY_BYTES_MAX = 1024 * 1024
OPEN_PATHS = ("/livez", "/readyz")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'"
)
"""An e-mail may style itself; it may run nothing, load nothing from elsewhere and send nothing."""

_PACKAGE = "streambank.bank.mailbox"
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


@dataclass(slots=True)
class Counters:
    """What happened since the start; the SMTP side counts, the API tells."""

    started_at: int
    accepted: int = 0
    accepted_bytes: int = 0
    deleted: int = 0


def create_app(store: MailboxStore, counters: Counters, secret: str, clock: Clock) -> Starlette:
    """The ASGI application."""
    api = _Api(store, counters, clock)
    return Starlette(
        routes=[
            Route("/api/v1/info", api.info),
            Route("/api/v1/messages", api.list_messages, methods=["GET"]),
            Route("/api/v1/messages", api.set_read, methods=["PUT"]),
            Route("/api/v1/messages", api.delete, methods=["DELETE"]),
            Route("/api/v1/search", api.search, methods=["GET"]),
            Route("/api/v1/search", api.delete_search, methods=["DELETE"]),
            Route("/api/v1/message/{id}", api.message),
            Route("/api/v1/message/{id}/headers", api.headers),
            Route("/api/v1/message/{id}/raw", api.raw),
            Route("/view/{id}.html", api.view_html),
            Route("/view/{id}.txt", api.view_text),
            *(Route(path, _alive) for path in OPEN_PATHS),
            Route("/", package_file(_PACKAGE, "index.html")),
            *(Route(f"/{name}", package_file(_PACKAGE, name)) for name in ("app.js", "style.css")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False),
            Middleware(SafeHeaders, policy=PAGE_POLICY),
            Middleware(_Authentication, secret=secret),
        ],
    )


class _Api:
    """The API's answers. The store blocks, so it is asked in a thread."""

    def __init__(self, store: MailboxStore, counters: Counters, clock: Clock) -> None:
        self._store = store
        self._counters = counters
        self._clock = clock

    async def info(self, request: Request) -> Response:
        """GET /api/v1/info."""
        total = await run_in_threadpool(self._store.count)
        unread = await run_in_threadpool(self._store.count, unread=True)
        counters = self._counters
        return JSONResponse(
            {
                "Version": f"streambank {version('streambank')}",
                "LatestVersion": "",
                "Database": "mailbox.db",
                "DatabaseSize": await run_in_threadpool(self._store.size_bytes),
                "Messages": total,
                "Unread": unread,
                "Tags": {},
                "RuntimeStats": {
                    "Uptime": (self._clock() - counters.started_at) // 1000,
                    "Memory": 0,
                    "MessagesDeleted": counters.deleted,
                    "SMTPAccepted": counters.accepted,
                    "SMTPAcceptedSize": counters.accepted_bytes,
                    "SMTPRejected": 0,
                    "SMTPIgnored": 0,
                },
            }
        )

    async def list_messages(self, request: Request) -> Response:
        """GET /api/v1/messages."""
        return await self._page(request, "")

    async def search(self, request: Request) -> Response:
        """GET /api/v1/search."""
        query = request.query_params.get("query", "").strip()
        return await self._page(request, query) if query else _error("no search query: add ?query=")

    async def set_read(self, request: Request) -> Response:
        """PUT /api/v1/messages: the read flag of some messages, or of all."""
        try:
            body = await _body(request)
            ids, query, is_read = _strings(body, "IDs"), body.get("Search", ""), body.get("Read", False)
            if not isinstance(query, str) or not isinstance(is_read, bool) or (ids and query):
                raise ValueError("Read is true or false, and there may be IDs or Search, not both")
        except ValueError as error:
            return _error(str(error))
        await run_in_threadpool(self._store.set_read, is_read, ids or None, query)
        return PlainTextResponse("ok")

    async def delete(self, request: Request) -> Response:
        """DELETE /api/v1/messages: some messages, or all."""
        try:
            ids = _strings(await _body(request), "IDs")
        except ValueError as error:
            # Mailpit deletes everything here. Whoever sends what cannot be read hardly means that.
            return _error(str(error))
        self._counters.deleted += await run_in_threadpool(self._store.delete, ids or None)
        return PlainTextResponse("ok")

    async def delete_search(self, request: Request) -> Response:
        """DELETE /api/v1/search: all that match."""
        query = request.query_params.get("query", "").strip()
        if not query:
            return _error("no search query: add ?query=")
        self._counters.deleted += await run_in_threadpool(self._store.delete, None, query)
        return PlainTextResponse("ok")

    async def message(self, request: Request) -> Response:
        """GET /api/v1/message/{ID}; marks it read."""

        def body(message: StoredMessage, parsed: ParsedMessage) -> Response:
            self._store.set_read(True, [message.summary["ID"]])
            return JSONResponse(parsed.full(message.summary, message.mail_from, to_datetime(message.received_at)))

        return await self._one(request, body)

    async def headers(self, request: Request) -> Response:
        """GET /api/v1/message/{ID}/headers."""
        return await self._one(request, lambda _, parsed: JSONResponse(parsed.headers()))

    async def raw(self, request: Request) -> Response:
        """GET /api/v1/message/{ID}/raw; with ``dl=1`` as a file."""

        def body(message: StoredMessage, _: ParsedMessage) -> Response:
            name = f'attachment; filename="{message.summary["ID"]}.eml"'
            headers = {"Content-Disposition": name} if request.query_params.get("dl") == "1" else {}
            return Response(message.raw, headers=headers, media_type="text/plain; charset=utf-8")

        return await self._one(request, body)

    async def view_html(self, request: Request) -> Response:
        """GET /view/{ID}.html: the HTML, in its sandbox."""

        def body(_: StoredMessage, parsed: ParsedMessage) -> Response:
            if not parsed.html:
                return PlainTextResponse("this message has no HTML", 404)
            # Links open beside the page; within its frame the policy would block them.
            base = '<base target="_blank">'
            head = _HEAD.search(parsed.html)
            html = parsed.html[: head.end()] + base + parsed.html[head.end() :] if head else base + parsed.html
            return HTMLResponse(html, headers={"Content-Security-Policy": MAIL_POLICY})

        return await self._one(request, body)

    async def view_text(self, request: Request) -> Response:
        """GET /view/{ID}.txt: the plain text."""
        return await self._one(request, lambda _, parsed: PlainTextResponse(parsed.text))

    async def _page(self, request: Request, query: str) -> Response:
        try:
            start, limit = (_number(request.query_params, name, d) for name, d in (("start", 0), ("limit", 50)))
        except ValueError as error:
            return _error(str(error))
        messages = await run_in_threadpool(self._store.summaries, start, limit, query)
        total, unread, matching, matching_unread = [
            await run_in_threadpool(self._store.count, q, unread=u) for q in ("", query) for u in (False, True)
        ]
        return JSONResponse(
            {
                "total": total,
                "unread": unread,
                "count": len(messages),
                "messages_count": matching,
                "messages_unread": matching_unread,
                "start": start,
                "tags": [],
                "messages": messages,
            }
        )

    async def _one(self, request: Request, body: Callable[[StoredMessage, ParsedMessage], Response]) -> Response:
        def answer() -> Response:
            message = self._store.get(request.path_params["id"])
            if message is None:
                return PlainTextResponse("Message not found", 404)
            return body(message, ParsedMessage(message.raw))

        return await run_in_threadpool(answer)


class _Authentication:
    """Lets in who knows the secret."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode()
        # Not the secret itself: the cookie also goes to every other server on this host name.
        self._cookie = hmac.digest(self._secret, b"mailbox cookie", hashlib.sha256).hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        name = f"mailbox-{request.url.port or 80}"
        token = request.query_params.get("token")
        if token is not None and hmac.compare_digest(token.encode(), self._secret):
            rest = [pair for pair in parse_qsl(request.url.query, keep_blank_values=True) if pair[0] != "token"]
            path = request.url.path
            # One leading slash: two would make it the address of another host.
            target = "/" + path.lstrip("/") + (f"?{urlencode(rest)}" if rest else "")
            response: Response = RedirectResponse(target, 303)
            response.set_cookie(name, self._cookie, httponly=True, samesite="lax", max_age=30 * 86_400)
        elif self._knows_secret(request.headers) or hmac.compare_digest(
            request.cookies.get(name, "").encode(), self._cookie.encode()
        ):
            await self._app(scope, receive, send)
            return
        else:
            headers = {"WWW-Authenticate": 'Basic realm="streambank mailbox", charset="UTF-8"'}
            response = PlainTextResponse("The password is the mailbox secret.", 401, headers)
        await response(scope, receive, send)

    def _knows_secret(self, headers: Headers) -> bool:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            _, _, password = base64.b64decode(credentials, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(password, self._secret)


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            raise ValueError(f"the body has more than {BODY_BYTES_MAX} bytes")
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


def _strings(body: Mapping[str, Any], name: str) -> list[str]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} is not a list of strings")
    return values


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"{name} is not a number from 0 on")
    return int(text)


def _error(text: str) -> Response:
    return JSONResponse({"Error": text}, 400)
