"""Requests, one at a time: with an access token, with patience, and never done twice.

A request is sent again

1. when nobody took the connection: it was not sent;
2. when the connection broke later, if the request is repeatable: it reads, or carries an Idempotency-Key under which
   the server does it once;
3. when the server says that it did nothing and will be able to: 409 ``request-in-flight``, 425, 429, 503;
4. once, when the access token was refused, with a new one: it ended early (401), or it is from before its user could
   do as much (403 ``insufficient-scope``), such as before they verified their address.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx
from pydantic import ValidationError

from streambank.bank.client.credentials import Credentials
from streambank.bank.client.errors import AnswerError, ApiError, ClientError, UnreachableError, refusal
from streambank.bank.client.positions import WrittenPositions
from streambank.bank.client.tokens import Tokens
from streambank.bank.scopes import TOKEN_PATH
from streambank.bank.users.schemas import TokenAnswer
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.service.backoff import Backoff

Sleep: TypeAlias = Callable[[float], None]
Query: TypeAlias = Mapping[str, str | int | None]

POSITION_HEADER = "X-Log-Position"

TIMEOUT_S = 120.0
"""For each part of an exchange. Undoing an import of a bank's export of many years takes a minute; nothing more."""

CONNECT_TIMEOUT_S = 5.0
"""A server that is there takes a connection within a few round trips."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LOCAL = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried, and how long is waited between; ``Retry-After`` beyond ``wait_ms_max`` is an error.

    By default a server may restart meanwhile, and a service may take some seconds to hear of a new user; a person who
    forgot to start the server learns it at once.
    """

    attempts_max: int = 6
    backoff: Backoff = field(default_factory=lambda: Backoff(first_ms=50, most_ms=2_000))
    wait_ms_max: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of a service. The body is not part of its repr: it may hold secrets.

    ``headers`` are more of them. ``harmless``: to do it twice is as good as once. ``fresh``: wait for what this client
    wrote to other services.
    """

    service: str
    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    version: int | None = None
    key: str | None = None
    logged_in: bool = True
    harmless: bool = False
    fresh: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows if it was done."""
        return self.method == "GET" or self.key is not None or self.harmless


class ApiConnection:
    """Connections to one server, with the access token that they share. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
        sleep: Sleep = time.sleep,
        patience: Patience | None = None,
    ) -> None:
        """Connects with the first request. Raises ClientError where ``base_url`` is no address of a server."""
        url = _address(base_url)
        self.base_url = str(url).rstrip("/")
        self._clock = clock
        self._random_bytes = random_bytes
        self._sleep = sleep
        self._patience = patience or Patience()
        self._positions = WrittenPositions()
        self.tokens = Tokens(credentials, self._ask, clock)
        self._http = httpx.Client(
            base_url=url,
            transport=transport,
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            # A proxy of the environment cannot reach this machine's own ports.
            trust_env=not _LOCAL.fullmatch(url.host),
        )

    def new_key(self) -> str:
        """An Idempotency-Key for one request and its retries."""
        return uuid7(self._clock(), self._random_bytes)

    def send(self, call: Call, *, stream: bool = False) -> httpx.Response:
        """The answer, once it is a good one. ``stream``: its body is still to be read, and the answer to be closed.

        Raises:
            ApiError: the server refused.
            NotLoggedInError: the call needs credentials that are good.
            UnreachableError: nobody answered, as often as it was tried.
        """
        attempt, renewed = 0, False
        while True:
            attempt += 1
            token = self.tokens.get() if call.logged_in else None
            try:
                response = self._http.send(self._request(call, token), stream=stream)
                if response.is_success:
                    self._positions.written(response.headers.get(POSITION_HEADER))
                    return response
                with closing(response):
                    response.read()
            except httpx.TransportError as error:
                again = call.repeatable or isinstance(error, _NOT_SENT)
                if not again or attempt >= self._patience.attempts_max:
                    raise self._unreachable(call, error, sent=not isinstance(error, _NOT_SENT)) from None
                self._wait(attempt, 0)
                continue
            except httpx.HTTPError as error:
                raise AnswerError(f"{call.path}: the answer cannot be read: {type(error).__name__}") from None
            problem = refusal(response)
            if token is not None and not renewed and _wants_another_token(problem):
                renewed = True
                self.tokens.forget(token)
                continue
            after_ms = _retry_after_ms(response)
            passing = _is_passing(problem) and after_ms <= self._patience.wait_ms_max
            if not passing or attempt >= self._patience.attempts_max:
                raise problem
            self._wait(attempt, after_ms)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._http.close()

    def _request(self, call: Call, token: str | None) -> httpx.Request:
        headers = {"Accept": "application/json, application/x-ndjson, text/event-stream, application/problem+json"}
        headers.update(call.headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if call.body is not None:
            headers["Content-Type"] = call.media_type
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        if call.version is not None:
            headers["If-Match"] = f'"v{call.version}"'
        query = {name: value for name, value in call.query.items() if value is not None}
        if call.fresh and (position := self._positions.to_wait_for(call.service)) is not None:
            query["min_position"] = position
        return self._http.build_request(call.method, call.path, params=query, content=call.body, headers=headers)

    def _ask(self, form: Mapping[str, str]) -> TokenAnswer:
        """Get a token. Not repeatable: a refresh token that comes a second time ends the whole log-in."""
        body = str(httpx.QueryParams(dict(form))).encode()
        call = Call(
            service="users",
            method="POST",
            path=TOKEN_PATH,
            body=body,
            media_type="application/x-www-form-urlencoded",
            logged_in=False,
        )
        try:
            return TokenAnswer.model_validate_json(self.send(call).content)
        except ValidationError:
            raise AnswerError(f"{self.base_url}{TOKEN_PATH} did not answer with a token: is it streambank?") from None

    def pause(self) -> None:
        """Wait for a moment, as before a second attempt."""
        self._wait(1, 0)

    def _wait(self, attempt: int, least_ms: int) -> None:
        delay_ms = self._patience.backoff.delay_ms(attempt, self._random_fraction)
        self._sleep(max(delay_ms, least_ms) / 1000)

    def _random_fraction(self) -> float:
        return int.from_bytes(self._random_bytes(4), "big") / 2**32

    def _unreachable(self, call: Call, error: httpx.TransportError, *, sent: bool) -> UnreachableError:
        if not sent:
            return UnreachableError(
                f"no streambank answers at {self.base_url}. Start it with `streambank up`, or name another address"
            )
        unknown = "" if call.repeatable else "; it may have been done or not: look before you do it again"
        return UnreachableError(
            f"the connection to {self.base_url} broke ({type(error).__name__}) during"
            f" {call.method} {call.path}{unknown}"
        )


def _address(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        # What was given may hold a password.
        raise ClientError("the server's address must look like http://127.0.0.1:8080 or https://bank.example.org")
    return url


def _is_passing(problem: ApiError) -> bool:
    return problem.status in (425, 429, 503) or (problem.status == 409 and problem.slug == "request-in-flight")


def _wants_another_token(problem: ApiError) -> bool:
    return problem.status == 401 or (problem.status == 403 and problem.slug == "insufficient-scope")


def _retry_after_ms(response: httpx.Response) -> int:
    text = response.headers.get("retry-after", "")
    # A date, as proxies may send, is as good as nothing: the own pauses grow.
    return int(text) * 1000 if text.isascii() and text.isdigit() else 0
