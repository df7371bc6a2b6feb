"""The ASGI application of one service or of several: their endpoints, and what all applications have."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streambank.clock import Clock
from streambank.ids import uuid7
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError, OverloadedError
from streambank.service.http.docs import add_docs
from streambank.service.http.files import SafeHeaders
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.http.routers import Operation, RouteIndex

logger = structlog.get_logger(__name__)

BODY_BYTES_MAX = 8 * 1024 * 1024
"""Of a request: ten thousand transactions, or a statement of some years."""

FRAMES_MAX = 8
"""Of a failed request's traceback: the innermost ones tell, the others are the framework's."""

LOCAL_HOSTS = ("127.0.0.1", "localhost")

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""An API shows nothing; pages of their own bring a policy of their own."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_HTTP_ERRORS = {
    400: ("bad-request", "the body cannot be read"),
    404: ("not-found", "there is nothing at this address"),
    405: ("method-not-allowed", "this address does not take that method"),
    413: ("body-too-large", f"the body has more than {BODY_BYTES_MAX} bytes"),
}
"""What the framework refuses by itself, by status: the kind of problem, and what to say of it."""


@dataclass(frozen=True, slots=True)
class HttpService:
    """A service as its application sees it.

    ``ready`` are checks by name, each of which returns what is wrong, or None. They may block.
    """

    name: str
    router: APIRouter
    ready: Mapping[str, Callable[[], str | None]]


class _Api(FastAPI):
    """An application that finds its routes by an index, and documents what they depend on."""

    _documented: Sequence[BaseRoute] = ()

    def index(self) -> None:
        """Find the routes by an index from now on. No more can be added."""
        self._documented = tuple(self.router.routes)
        self.router.routes = [RouteIndex(self._documented)]

    def openapi(self) -> dict[str, Any]:
        """The API's document."""
        if self.openapi_schema is None:
            routes = self._documented or self.routes
            document = get_openapi(title=self.title, version=self.version, routes=routes)
            schemes = {
                k: v for route in routes if isinstance(route, Operation) for k, v in route.security_schemes.items()
            }
            document.setdefault("components", {})["securitySchemes"] = schemes
            self.openapi_schema = document
        return self.openapi_schema


def create_app(services: Sequence[HttpService], clock: Clock, *, hosts: Sequence[str] = LOCAL_HOSTS) -> FastAPI:
    """The application. Only requests for one of ``hosts`` are answered, so that no web site can reach it by a name of
    its own that resolves to this machine."""
    app = _Api(
        title="streambank" if len(services) != 1 else services[0].name,
        version=version("streambank"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        # Else it asks OpenTelemetry, for each request, whether anybody listens.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            Middleware(SafeHeaders, policy=POLICY),
            Middleware(_Failures, clock=clock),
            Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False),
            Middleware(_BodyLimit),
        ],
        exception_handlers={
            Problem: _on_problem,
            OverloadedError: _on_unavailable,
            DatabaseBusyError: _on_unavailable,
            DatabaseUnavailableError: _on_unavailable,
            RequestValidationError: _on_invalid,
            HTTPException: _on_http_error,
        },
    )
    for service in services:
        app.router.routes.extend(service.router.routes)
    _add_health(app, services)
    for service in services:
        _add_document(app, service)
    add_docs(app, [service.name for service in services])
    app.index()
    return app


def _add_health(app: FastAPI, services: Sequence[HttpService]) -> None:
    async def livez() -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz() -> Response:
        checks: dict[str, str] = {}
        for service in services:
            for name, check in service.ready.items():
                checks[f"{service.name}/{name}"] = await run_in_threadpool(_outcome, check)
        failed = sorted(name for name, outcome in checks.items() if outcome != "ok")
        if failed:
            problem = Problem(503, "not-ready", f"not ready: {', '.join(failed)}", headers={"Retry-After": "1"})
            return problem.response()
        return JSONResponse({"status": "ok", "checks": checks})

    async def show_version() -> Response:
        return JSONResponse({"version": version("streambank"), "services": [service.name for service in services]})

    for path, answer in (("/livez", livez), ("/readyz", readyz), ("/healthz", readyz), ("/version", show_version)):
        app.add_api_route(path, answer, include_in_schema=False)


def _outcome(check: Callable[[], str | None]) -> str:
    try:
        return check() or "ok"
    except Exception as error:
        # What went wrong may name hosts and paths; who is not logged in learns only that something did.
        logger.warning("a readiness check failed", error=type(error).__name__)
        return "failed"


def _add_document(app: FastAPI, service: HttpService) -> None:
    alone = _Api(title=service.name, version=version("streambank"))
    alone.router.routes.extend(service.router.routes)

    async def document() -> Response:
        return JSONResponse(alone.openapi())

    app.add_api_route(f"/openapi/{service.name}.json", document, include_in_schema=False)


async def _on_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _on_unavailable(_: Request, error: Exception) -> Response:
    # The text of a database's error names its address.
    logger.warning("a request was refused", error=type(error).__name__)
    detail = "too much is asked for at once, or the database is away: try again in a while, with the same key"
    return Problem(503, "unavailable", detail, headers={"Retry-After": "1"}).response()


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [_field_problem(found) for found in error.errors()]
    if any(found["type"] == "json_invalid" for found in error.errors()):
        return Problem(400, "malformed-json", "the body is not JSON", errors=problems).response()
    named = ", ".join(dict.fromkeys(p.pointer or "the body" for p in problems))
    return Problem(422, "invalid-request", f"not valid: {named}", errors=problems).response()


def _field_problem(found: Mapping[str, Any]) -> FieldProblem:
    location, *path = found["loc"] or ("body",)
    if location == "body" and found["type"] == "json_invalid":
        return FieldProblem("", f"{found['msg']} at character {path[0] if path else 0}")
    if location == "body":
        escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
        return FieldProblem("".join(f"/{part}" for part in escaped), found["msg"])
    return FieldProblem("/".join(str(part) for part in path), found["msg"], str(location))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    slug, detail = _HTTP_ERRORS.get(error.status_code, ("refused", str(error.detail)))
    headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
    return Problem(error.status_code, slug, detail, headers=headers).response()


def _allowed(request: Request) -> list[str]:
    """The methods that the address takes. The framework tells of the first endpoint there, and each has one."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.routes
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


class _BodyLimit:
    """Refuses bodies that are too large: at once where their length is told, else while they arrive."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received_bytes = 0

        async def receive_some() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > BODY_BYTES_MAX:
                # What reads the body lets this through to the handler of errors.
                raise HTTPException(413)
            return message

        told = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if told.isdigit() and int(told) > BODY_BYTES_MAX:
            response = await _on_http_error(Request(scope), HTTPException(413))
            await response(scope, receive, send)
            return
        await self._app(scope, receive_some, send)


class _Failures:
    """Turns what nobody foresaw into a problem with an incident's id; the details go to the process's log."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            incident = uuid7(self._clock())
            # Lines of code only: the text of an error may hold what was in the request.
            where = "".join(traceback.format_tb(error.__traceback__)[-FRAMES_MAX:])
            logger.error("request failed", incident=incident, error=type(error).__name__, where=where)
            if started:
                raise
            response = _incident(incident)
            await response(scope, receive, send)


def _incident(incident: str) -> Response:
    problem = Problem(500, "internal-error", "something unexpected went wrong; nothing of the request was done")
    return JSONResponse({**problem.members(), "incident": incident}, 500, media_type="application/problem+json")
