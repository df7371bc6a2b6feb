"""What an endpoint depends on: who calls, and a way to read or to write that does everything else right.

A write goes, in this order:

1. Who calls: the access token, its scopes (401, 403), and the rate limit (429).
2. What it says of itself: ``Idempotency-Key`` (400) and ``If-Match`` (428).
3. The same request is not being done at this moment (409).
4. In one transaction, shared with other requests (:mod:`streambank.service.group_commit`): the stored answer, if the
   key was used before; else the work, and its answer stored under the key.
5. Once that is durable: the answer, with ``X-Log-Position`` of the events it made.

An endpoint that is ``in_order`` begins 3 once the service holds what was in the log when it was asked, and answers once
its events are there.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from streambank.clock import Clock
from streambank.errors import check
from streambank.service.database import Database
from streambank.service.group_commit import GroupCommit
from streambank.service.http import idempotency, positions
from streambank.service.http.answers import Answer, Rendered
from streambank.service.http.caller import Caller
from streambank.service.http.idempotency import KeyedRequest
from streambank.service.http.positions import LogPosition, Positions
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.http.rate_limits import RateLimits
from streambank.service.http.routers import Dependency
from streambank.service.http.tokens import TokenVerifier

PRUNE_MS = 60_000
"""How often idempotency keys that ran out are deleted: a minute's worth of them is a short statement."""

IN_TIME_S = 2.5
"""Longer than :data:`streambank.service.http.positions.WAIT_S`, which is kept unless the log hangs."""

WAITING_MAX = 8
"""Plans and accounts are few, and their waits take milliseconds. ``IN_TIME_S`` is for who waits for a thread too."""

_SCHEME = "OAuth2"
"""What the API's document calls the way by which callers show who they are."""

NOBODY = Caller("", frozenset(), "", "", 0)
"""The caller of an endpoint that needs none."""

_VERSION = re.compile(r'"v([0-9]{1,18})"')

_IF_MATCH: Mapping[str, Any] = {
    "name": "if-match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version that is to be changed.",
    "schema": {"type": "string", "pattern": f"^{_VERSION.pattern}$"},
}
_MIN_POSITION: Mapping[str, Any] = {
    "name": "min_position",
    "in": "query",
    "required": False,
    "description": "Wait until this is seen: the X-Log-Position of a write.",
    "schema": {"type": "string", "pattern": f"^{positions.PATTERN}$"},
}

T = TypeVar("T")

Work: TypeAlias = Callable[[Connection], Answer]


class Read:
    """One request that only looks."""

    def __init__(self, http: "ServiceHttp", request: Request, caller: Caller, headers: dict[str, str]) -> None:
        self.caller = caller
        self._http = http
        self._request = request
        self._headers = headers

    async def __call__(self, work: Work) -> Response:
        """Answer with what ``work`` finds in one consistent view of the database; 304 where the client has it."""

        def look() -> Rendered:
            with self._http.database.read() as connection:
                return work(connection).render()

        rendered = await run_in_threadpool(look)
        tag = rendered.headers.get("ETag")
        if tag is not None and not rendered.volatile and tag in self._request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={"ETag": tag, **self._headers})
        return rendered.response(self._headers)


class Write:
    """One request that changes something. ``client`` is the address that it came from.

    ``expected_version`` is the version that the client knows, from If-Match; None where the endpoint asks for none.
    """

    def __init__(
        self,
        http: "ServiceHttp",
        request: Request,
        caller: Caller,
        headers: dict[str, str],
        key: str | None,
        expected_version: int | None,
        *,
        in_order: bool,
    ) -> None:
        self.caller = caller
        self.expected_version = expected_version
        self.client = client_address(request)
        self._http = http
        self._request = request
        self._headers = headers
        self._key = key
        self._in_order = in_order

    async def __call__(self, work: Work) -> Response:
        """Answer with what ``work`` did, once that is durable; a request that was done before is not done again."""
        http = self._http
        if self._key is None:
            rendered, position = await http.commits.run(lambda c: (work(c).render(), http.positions.written(c)))
            return await self._answer(rendered, position)

        def once(connection: Connection, request: KeyedRequest) -> _Done:
            http.prune_sometimes(connection)
            rendered, replayed = idempotency.once(connection, request, http.clock(), work)
            return rendered, replayed, http.positions.written(connection)

        return await self._once(lambda request: http.commits.run(lambda connection: once(connection, request)))

    async def together(self, kind: "Together[T]", item: T) -> Response:
        """The same for requests that :class:`Together` does in one go. The endpoint takes an Idempotency-Key."""
        commits, caller = self._http.commits, self.caller
        return await self._once(lambda request: commits.run_together(kind, (request, caller, item)))

    async def _once(self, commit: Callable[[KeyedRequest], Awaitable["_Done"]]) -> Response:
        request, in_flight = self._request, self._http.in_flight
        check(self._key is not None, "an endpoint that does things once takes a key")
        # As the request has them: to put a URL together and take it apart takes longer than the digest.
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        address = f"{path}?{query}" if query else path
        same = idempotency.fingerprint(request.method, address, await request.body())
        keyed = KeyedRequest(self.caller.user_id or f"address {self.client}", self._key or "", same)
        name = (keyed.scope, keyed.key)
        if name in in_flight:
            raise idempotency.in_flight()
        in_flight.add(name)
        try:
            rendered, replayed, position = await commit(keyed)
        finally:
            in_flight.discard(name)
        return await self._answer(rendered, position, replayed=replayed)

    async def _answer(self, rendered: Rendered, position: LogPosition, *, replayed: bool = False) -> Response:
        if self._in_order:
            await self._http.in_time(partial(self._http.positions.wait_published, position))
        more = {**self._headers, positions.HEADER: str(position)}
        if replayed:
            more[idempotency.REPLAYED_HEADER] = "true"
        return rendered.response(more)


_Done: TypeAlias = tuple[Rendered, bool, LogPosition]
"""An answer, whether it was given before, and where the service's events had come to."""


class Together(Generic[T]):
    """Requests of one endpoint that are done in one go: made once for the endpoint, for :meth:`Write.together`.

    ``work`` gets who asks for what, and answers each with an answer or a problem; one with a problem has left nothing.
    """

    def __init__(
        self,
        http: "ServiceHttp",
        work: Callable[[Connection, Sequence[tuple[Caller, T]]], Sequence[Answer | Problem]],
    ) -> None:
        self._http = http
        self._work = work

    def __call__(
        self, connection: Connection, asked: Sequence[tuple[KeyedRequest, Caller, T]]
    ) -> list[_Done | Exception]:
        """Do what is asked, within the group commit."""
        http = self._http
        http.prune_sometimes(connection)

        def work(indexes: Sequence[int]) -> Sequence[Answer | Problem]:
            return self._work(connection, [asked[index][1:] for index in indexes])

        outcomes = idempotency.once_all(connection, [request for request, _, _ in asked], http.clock(), work)
        position = http.positions.written(connection)
        return [outcome if isinstance(outcome, Problem) else (*outcome, position) for outcome in outcomes]


class ServiceHttp:
    """What the endpoints of one service share. For one event loop."""

    def __init__(
        self,
        *,
        name: str,
        database: Database,
        commits: GroupCommit,
        clock: Clock,
        verifier: TokenVerifier,
        limits: RateLimits,
        positions: Positions,
        token_path: str,
        scopes: Mapping[str, str],
    ) -> None:
        """``scopes`` are all that there are, with what each allows; ``token_path`` is where tokens are got."""
        self.name = name
        self.database = database
        self.commits = commits
        self.clock = clock
        self.positions = positions
        self.in_flight: set[tuple[str, str]] = set()
        self._verifier = verifier
        self._limits = limits
        flow = {"tokenUrl": token_path, "scopes": dict(scopes)}
        flows = {"password": flow, "clientCredentials": flow}
        self._schemes = {_SCHEME: {"type": "oauth2", "flows": flows}}
        self._pruned_ms = 0
        # Threads of their own, so that a log that hangs leaves reads theirs.
        self._waiting = CapacityLimiter(WAITING_MAX)

    def read(self, scope: str | None, *, in_order: bool = False) -> Dependency[Read]:
        """The FastAPI dependency of an endpoint that reads; a token with the scope is needed unless that is None.

        With ``in_order`` it sees what was in the log when it was asked.
        """

        async def resolve(request: Request) -> Read:
            caller, headers = await self._caller(request, scope)
            position = request.query_params.get(_MIN_POSITION["name"])
            if position is not None:
                await run_in_threadpool(self.positions.wait, LogPosition.parse(position))
            elif in_order:
                await self.in_time(self.positions.wait_caught_up)
            return Read(self, request, caller, headers)

        return self._dependency(resolve, scope, _MIN_POSITION)

    def write(
        self, scope: str | None, *, if_match: bool = False, idempotent: bool = True, in_order: bool = False
    ) -> Dependency[Write]:
        """The FastAPI dependency of an endpoint that writes.

        With ``if_match`` the client must say which version it changes. Without ``idempotent`` the request does no harm
        when it is done twice, or must be done each time, and takes no Idempotency-Key. With ``in_order`` the work
        sees what was in the log when it was asked, and the answer comes once its events are there: whatever is done
        after it comes behind them.
        """

        async def resolve(request: Request) -> Write:
            caller, headers = await self._caller(request, scope)
            key = idempotency.key_of(request.headers) if idempotent else None
            version = _expected_version(request.headers) if if_match else None
            if in_order:
                await self.in_time(self.positions.wait_caught_up)
            return Write(self, request, caller, headers, key, version, in_order=in_order)

        return self._dependency(resolve, scope, *[idempotency.PARAMETER] * idempotent, *[_IF_MATCH] * if_match)

    async def in_time(self, wait: Callable[[], None]) -> None:
        """Wait for the log, ``IN_TIME_S`` at most: a cluster that is away can hold up a thread for a minute."""
        with move_on_after(IN_TIME_S):
            await to_thread.run_sync(wait, abandon_on_cancel=True, limiter=self._waiting)

    def prune_sometimes(self, connection: Connection) -> None:
        """Delete idempotency keys that ran out, if that was not done lately. Called by the thread that commits."""
        now_ms = self.clock()
        if now_ms - self._pruned_ms >= PRUNE_MS:
            self._pruned_ms = now_ms
            idempotency.prune(connection, now_ms)

    def _dependency(
        self, resolve: Callable[[Request], Awaitable[T]], scope: str | None, *parameters: Mapping[str, Any]
    ) -> Dependency[T]:
        if scope is None:
            return Dependency(resolve, parameters)
        return Dependency(resolve, parameters, {_SCHEME: [scope]}, self._schemes)

    async def _caller(self, request: Request, scope: str | None) -> tuple[Caller, dict[str, str]]:
        """Who asks, who may; and what their answer says of the rate limit."""
        if scope is None:
            return NOBODY, self._limits.take(client_address(request), known=False)
        known = await self.authenticate(request)
        headers = self._limits.take(known.user_id, known=True)
        if scope not in known.scopes:
            challenge = f'Bearer realm="streambank", error="insufficient_scope", scope="{scope}"'
            raise Problem(
                403,
                "insufficient-scope",
                f"this needs an access token with the scope {scope}",
                headers={"WWW-Authenticate": challenge},
            )
        return known, headers

    async def authenticate(self, request: Request) -> Caller:
        """Who the request's access token speaks for. A wrong one counts against its address.

        Raises:
            Problem: 401, or 429.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        try:
            if kind.lower() != "bearer" or not token:
                raise Problem(
                    401,
                    "unauthenticated",
                    "this needs an access token: `Authorization: Bearer TOKEN`",
                    headers={"WWW-Authenticate": 'Bearer realm="streambank"'},
                )
            known = self._verifier.remembered(token)
            return known if known is not None else await run_in_threadpool(self._verifier.verify, token)
        except Problem:
            self._limits.take(client_address(request), known=False)
            raise


def client_address(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client is not None else "unknown"


def _expected_version(headers: Headers) -> int:
    given = headers.get(_IF_MATCH["name"])
    if given is None:
        detail = "say which version you change: the ETag that it came with, in If-Match"
        raise Problem(428, "if-match-missing", detail, errors=[FieldProblem("If-Match", detail, "header")])
    found = _VERSION.fullmatch(given.strip())
    if found is None:
        # Whatever it is, it is not the version that is there.
        raise Problem(412, "version-mismatch", "If-Match holds no ETag of ours: get it again")
    return int(found[1])
