"""What stands between the server and the endpoints, in one layer: each layer more costs every request.

1. Only requests for a name of this machine are answered, and bodies have a limit.
2. The endpoint that is meant does the rest.
3. What it raises becomes a problem; what nobody foresaw becomes one with an incident's id, and the details go to the
   process's log.
4. Every answer has the headers that keep browsers strict.
"""

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from streambank.clock import Clock
from streambank.ids import uuid7
from streambank.service.http.files import add_missing, safe_headers
from streambank.service.http.problems import Problem

logger = structlog.get_logger(__name__)

BODY_BYTES_MAX = 8 * 1024 * 1024
"""Of a request: ten thousand transactions, or a statement of some years."""

FRAMES_MAX = 8
"""Of a failed request's traceback: the innermost ones tell, the others are the framework's."""

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""An API shows nothing; pages of their own bring a policy of their own."""

Handlers: TypeAlias = Mapping[type[Exception], Callable[[Request, Exception], Response]]
"""The answers to what endpoints raise, by its class or one of those above it."""


class Edge:
    """Answers requests by the routes that ``route`` finds. ``hosts``: the names that requests may be for."""

    def __init__(self, route: BaseRoute, handlers: Handlers, clock: Clock, hosts: Sequence[str]) -> None:
        self._route = route
        self._handlers = dict(handlers)
        self._handled = tuple(handlers)
        self._clock = clock
        self._host = re.compile(f"(?:{'|'.join(map(re.escape, hosts))})(?::[0-9]+)?", re.IGNORECASE)
        self._headers = safe_headers(POLICY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        started = False
        received_bytes = 0

        async def receive_some() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > BODY_BYTES_MAX:
                # What reads the body lets this through.
                raise HTTPException(413)
            return message

        async def send_safely(message: Message) -> None:
            nonlocal started
            started = True
            add_missing(message, self._headers)
            await send(message)

        try:
            try:
                await self._answer(scope, receive_some, send_safely)
            except self._handled as error:
                if started:
                    raise
                response = self._handler(error)(Request(scope), error)
                await response(scope, receive_some, send_safely)
        except Exception as error:
            response = self._incident(error)
            if started:
                raise
            await response(scope, receive_some, send_safely)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(reversed(scope["headers"]))
        if not self._host.fullmatch(headers.get(b"host", b"").decode("latin-1")):
            await PlainTextResponse("Invalid host header", 400)(scope, receive, send)
            return
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > BODY_BYTES_MAX:
            raise HTTPException(413)
        match, more = self._route.matches(scope)
        if match is Match.NONE:
            raise HTTPException(404)
        scope.update(more)
        await self._route.handle(scope, receive, send)

    def _handler(self, error: Exception) -> Callable[[Request, Exception], Response]:
        return next(self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers)

    def _incident(self, error: Exception) -> Response:
        incident = uuid7(self._clock())
        # Lines of code only: the text of an error may hold what was in the request.
        where = "".join(traceback.format_tb(error.__traceback__)[-FRAMES_MAX:])
        logger.error("request failed", incident=incident, error=type(error).__name__, where=where)
        problem = Problem(500, "internal-error", "something unexpected went wrong; nothing of the request was done")
        return JSONResponse({**problem.members(), "incident": incident}, 500, media_type="application/problem+json")
