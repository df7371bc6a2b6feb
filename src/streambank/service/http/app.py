"""The ASGI application of one service or of several: their endpoints, and what all applications have."""

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
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from streambank.clock import Clock
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError, OverloadedError
from streambank.service.http.docs import add_docs
from streambank.service.http.edge import BODY_BYTES_MAX, Edge, Handlers
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.http.routers import Operation, RouteIndex

logger = structlog.get_logger(__name__)

LOCAL_HOSTS = ("127.0.0.1", "localhost")

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
    """An application that documents what its routes depend on, and answers without the framework's layers."""

    _documented: Sequence[BaseRoute] = ()
    _edge: Edge | None = None

    def serve(self, clock: Clock, hosts: Sequence[str]) -> None:
        """Answer requests for ``hosts`` from now on. No more routes can be added."""
        self._documented = tuple(self.router.routes)
        index = RouteIndex(self._documented)
        self.router.routes = [index]
        self._edge = Edge(index, _HANDLERS, clock, hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if self._edge is None or scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self._edge(scope, receive, send)

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
    )
    app.router.route_class = Operation
    for service in services:
        app.router.routes.extend(service.router.routes)
    _add_health(app, services)
    for service in services:
        _add_document(app, service)
    add_docs(app, [service.name for service in services])
    app.serve(clock, hosts)
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


def _on_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


def _on_unavailable(_: Request, error: Exception) -> Response:
    # The text of a database's error names its address.
    logger.warning("a request was refused", error=type(error).__name__)
    detail = "too much is asked for at once, or the database is away: try again in a while, with the same key"
    return Problem(503, "unavailable", detail, headers={"Retry-After": "1"}).response()


def _on_invalid(_: Request, error: Exception) -> Response:
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


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    slug, detail = _HTTP_ERRORS.get(error.status_code, ("refused", str(error.detail)))
    headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
    return Problem(error.status_code, slug, detail, headers=headers).response()


def _allowed(request: Request) -> list[str]:
    """The methods that the address takes. The framework tells of the first endpoint there, and each has one."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.routes
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


_HANDLERS: Handlers = {
    Problem: _on_problem,
    OverloadedError: _on_unavailable,
    DatabaseBusyError: _on_unavailable,
    DatabaseUnavailableError: _on_unavailable,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http_error,
}
