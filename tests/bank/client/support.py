"""A server that does as it is told, for what real services do only now and then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from streambank.bank.client import Client, Credentials, Patience, RefreshToken
from streambank.service.backoff import Backoff

URL = "http://localhost:8080"
NOW_MS = 1_750_000_000_000
LIFETIME_S = 600
SECRET_PARTS = ("sbr_", "access-", "correct horse")

Answer = httpx.Response | Exception
Respond = Callable[[httpx.Request], Answer]


def problem(status: int, slug: str, detail: str = "because", **headers: str) -> httpx.Response:
    body = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": detail}
    return httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class FakeServer:
    """Answers with ``answers``, one for each request; tokens it gives by itself, and takes the latest only."""

    answers: list[Answer | Respond] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)
    now_ms: int = NOW_MS
    token_answers: list[Answer] = field(default_factory=list)
    checks_tokens: bool = True

    def clock(self) -> int:
        return self.now_ms

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_ms += round(seconds * 1000)

    def handle(self, request: httpx.Request) -> httpx.Response:
        answer = self._token(request) if request.url.path == "/v1/oauth/token" else self._next(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _token(self, request: httpx.Request) -> Answer:
        self.forms.append(dict(httpx.QueryParams(request.content.decode())))
        if self.token_answers:
            return self.token_answers.pop(0)
        n = len(self.forms)
        answer: dict[str, Any] = {"access_token": f"access-{n}", "expires_in": LIFETIME_S, "scope": "users:read"}
        if self.forms[-1]["grant_type"] != "client_credentials":
            answer["refresh_token"] = f"sbr_{n}"
        return httpx.Response(200, json=answer)

    def _next(self, request: httpx.Request) -> Answer:
        self.requests.append(request)
        token = request.headers.get("authorization")
        if self.checks_tokens and token is not None and token != f"Bearer access-{len(self.forms)}":
            return problem(401, "unauthenticated", WWW_Authenticate="Bearer")
        assert self.answers, f"nothing to answer to {request.method} {request.url}"
        answer = self.answers.pop(0)
        return answer if isinstance(answer, httpx.Response | Exception) else answer(request)

    @contextmanager
    def client(self, credentials: Credentials | None = None, attempts_max: int = 4) -> Iterator[Client]:
        """A client of it. Its chance is always 1, so that waits are as long as they can be."""
        with Client(
            URL,
            RefreshToken("sbr_0") if credentials is None else credentials,
            transport=httpx.MockTransport(self.handle),
            clock=self.clock,
            random_bytes=self._random_bytes,
            sleep=self.sleep,
            patience=Patience(attempts_max=attempts_max, backoff=Backoff(100, 1_000), wait_ms_max=5_000),
        ) as client:
            yield client

    def _random_bytes(self, count: int) -> bytes:
        # Keys differ, and the fraction that backoff takes is as good as 1.
        return b"\xff" * count if count == 4 else bytes([len(self.requests) + 1]) * count


ACCOUNT: dict[str, Any] = {
    "id": "a-1",
    "name": "Everyday",
    "kind": "checking",
    "currency": "EUR",
    "number_last4": None,
    "overdraft_limit_minor": 0,
    "role": "owner",
    "opened_at": "2026-01-01T00:00:00Z",
    "closed_at": None,
    "balance": {
        "account_id": "a-1",
        "currency": "EUR",
        "booked_minor": 1050,
        "pending_debits_minor": 0,
        "pending_credits_minor": 0,
        "available_minor": 1050,
        "last_seq": 3,
    },
    "version": 7,
}


def account(version: int = 7, **changes: Any) -> httpx.Response:
    headers = {"ETag": f'"v{version}"', "X-Log-Position": f"transactions.outbox/0/{version}"}
    return httpx.Response(200, json={**ACCOUNT, "version": version, **changes}, headers=headers)
