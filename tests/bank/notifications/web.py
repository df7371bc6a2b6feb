"""The service over HTTP, within the test; and a server that takes webhooks."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from tests.bank.notifications.conftest import Bench

from streambank.bank.notifications.endpoints import router
from streambank.bank.notifications.service import GROUP, RECEIVES
from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.service.group_commit import GroupCommit
from streambank.service.http import tokens
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits, RatePolicy
from streambank.service.http.server import HttpServer
from streambank.service.http.tokens import TokenVerifier

KEY = tokens.new_signing_key("kid-1")
READ, WRITE = "notifications:read", "notifications:write"


def find_key(kid: str) -> Mapping[str, str] | None:
    return KEY.as_dict(private=False) if kid == "kid-1" else None  # type: ignore[return-value]


@dataclass
class Web:
    """Asks the service as somebody; each request has an Idempotency-Key of its own."""

    bench: Bench
    client: httpx.Client
    numbers: Iterator[int] = field(default_factory=count)

    def __call__(self, method: str, path: str, user: str | None = "user-1", **more: Any) -> httpx.Response:
        headers = {"Idempotency-Key": f"key-{next(self.numbers)}", **(more.pop("headers", None) or {})}
        if user is not None:
            token = tokens.issue(
                KEY,
                user_id=user,
                scopes=frozenset({READ, WRITE}),
                client_id="test",
                token_id="t",
                now_ms=self.bench.clock(),
            )
            headers["Authorization"] = f"Bearer {token}"
        return self.client.request(method, path, headers=headers, **more)

    def done(self, method: str, path: str, user: str | None = "user-1", **more: Any) -> Any:
        answer = self(method, path, user, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@contextmanager
def web_of(bench: Bench) -> Iterator[Web]:
    often = RatePolicy("test", 10_000_000, 1)
    commits = GroupCommit(bench.database)
    positions = Positions(bench.log, bench.database, service=GROUP, topics=[topic.name for topic in RECEIVES])
    http = ServiceHttp(
        name=GROUP,
        database=bench.database,
        commits=commits,
        clock=bench.clock,
        verifier=TokenVerifier(find_key, bench.clock),
        limits=RateLimits(bench.clock, caller=often, anonymous=often),
        positions=positions,
        token_path=TOKEN_PATH,
        scopes=SCOPES,
    )
    app = create_app([HttpService(GROUP, router(bench.service, http), {})], bench.clock)
    try:
        server = HttpServer(app, name="notifications")
        server.start()
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            yield Web(bench, client)
        server.close()
    finally:
        commits.close()
        positions.close()


@dataclass
class Hook:
    """A server of webhooks: what it got, and what it answers (a status, or a function of the handler)."""

    url: str
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)


@contextmanager
def hook_server(certificate: Path | None = None) -> Iterator[Hook]:
    """On this machine; with a certificate (and its key) over TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = hook.answers.pop(0) if hook.answers else 204
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    hook = Hook(f"http://127.0.0.1:{server.server_address[1]}/hook?a=b")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
