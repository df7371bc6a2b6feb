"""Routers, routes and dependencies that cost a request little.

FastAPI asks one route after the other whether it is meant, looks through routers within routers anew each time, and
resolves the dependencies of dependencies: with a hundred endpoints that is most of the time of a request. Here routes
lie flat, are found by their path or the first name in it, and what they depend on is of one piece.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from streambank.service.http.arguments import Arguments
from streambank.service.http.problems import PROBLEM_RESPONSES

T = TypeVar("T")

_FOUND = "streambank.route"


class Dependency(Generic[T]):
    """What an endpoint depends on, in one piece, which reads what it needs from the request itself.

    Attributes:
        parameters: what it reads, for the API's document: OpenAPI's Parameter Objects.
        security: what it asks of who calls: a Security Requirement Object.
        security_schemes: those that ``security`` names.
    """

    def __init__(
        self,
        resolve: Callable[[Request], Awaitable[T]],
        parameters: Sequence[Mapping[str, Any]] = (),
        security: Mapping[str, Sequence[str]] = MappingProxyType({}),
        security_schemes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.parameters = parameters
        self.security = security
        self.security_schemes = security_schemes
        self._resolve = resolve

    async def __call__(self, request: Request) -> T:
        """Called by FastAPI, for each request."""
        return await self._resolve(request)


class Operation(APIRoute):
    """An endpoint: an async function that returns a response, or raises what becomes one.

    What its dependencies say of themselves is in the API's document.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        said = dict(self.openapi_extra or {})
        parameters = [*said.get("parameters", ())]
        security: dict[str, Sequence[str]] = {}
        self.security_schemes: dict[str, Any] = {}
        for dependency in (dependant.call for dependant in self.dependant.dependencies):
            if isinstance(dependency, Dependency):
                parameters += dependency.parameters
                security.update(dependency.security)
                self.security_schemes.update(dependency.security_schemes)
        # FastAPI puts its own beside these.
        said |= {"parameters": parameters} if parameters else {}
        said |= {"security": [security]} if security else {}
        self.openapi_extra = said or None
        self._arguments = Arguments(self.dependant)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, without what the framework does for endpoints that are not like these."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405)
        request = Request(scope, receive, send)
        response = await self.endpoint(**await self._arguments.of(request))
        await response(scope, receive, send)


class RouteIndex(BaseRoute):
    """Routes by their method and path where that has no parts to fill in: those go before others. Else by the first
    name in their path, after the version: ``accounts`` of ``/v1/accounts/7:reopen``."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._by_place: dict[tuple[str, str], Scope] = {}
        self._by_name: dict[str, list[BaseRoute]] = {}
        for route in routes:
            self._by_name.setdefault(_name(getattr(route, "path", "/")), []).append(route)
            if isinstance(route, Route) and not route.param_convertors:
                found = {"endpoint": route.endpoint, "path_params": {}, _FOUND: route}
                for method in route.methods or ():
                    self._by_place.setdefault((method, route.path), found)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The route of that path and method, else the first of that path."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        found = self._by_place.get((scope["method"], path))
        if found is not None:
            return Match.FULL, found
        partial: tuple[Match, Scope] = (Match.NONE, {})
        for route in self._by_name.get(_name(path), ()):
            match, more = route.matches(scope)
            if match is Match.FULL:
                return match, {**more, _FOUND: route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = (match, {**more, _FOUND: route})
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route do it that was found."""
        await scope[_FOUND].handle(scope, receive, send)


def operation_id(route: APIRoute) -> str:
    """An endpoint is called in the API's document as its function is."""
    return route.name


def api_router(tag: str, *, prefix: str = "/v1") -> APIRouter:
    """A router for the endpoints of one topic, each of which may answer with a problem."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        responses=PROBLEM_RESPONSES,
        generate_unique_id_function=operation_id,
        route_class=Operation,
    )


def joined(parts: Sequence[APIRouter]) -> APIRouter:
    """One router with the routes of all ``parts``, as they are."""
    router = APIRouter()
    for part in parts:
        router.routes.extend(part.routes)
    return router


def _name(path: str) -> str:
    first, _, rest = path.lstrip("/").partition("/")
    name = rest.partition("/")[0] if first == "v1" else first
    return name.partition(":")[0]
