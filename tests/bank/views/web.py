"""The service behind a real server, with tokens of its own."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.bank.views.support import Bench

from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.bank.views.endpoints import router
from streambank.bank.views.service import NAME, RECEIVES
from streambank.service.group_commit import GroupCommit
from streambank.service.http import tokens
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits
from streambank.service.http.server import HttpServer
from streambank.service.http.tokens import TokenVerifier

KEY = tokens.new_signing_key("kid-1")


def find_key(kid: str) -> Mapping[str, str] | None:
    return KEY.as_dict(private=False) if kid == "kid-1" else None  # type: ignore[return-value]


@dataclass
class Event:
    """An event of a stream."""

    kind: str
    id: str | None
    data: dict[str, Any]


@dataclass
class Follower:
    """Somebody who reads a stream."""

    answer: httpx.Response
    lines: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.answer.iter_lines()

    def next(self) -> Event | None:
        """The next event; None where the stream ends. Heartbeats are passed over."""
        told: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(":"):
                continue
            if not line:
                if told:
                    return Event(told["event"], told.get("id"), json.loads(told["data"]))
                continue
            name, _, value = line.partition(": ")
            told[name] = value
        return None

    def until(self, kind: str) -> list[Event]:
        """Events up to the next of that kind."""
        found = []
        while (event := self.next()) is not None:
            found.append(event)
            if event.kind == kind:
                return found
        raise AssertionError(f"no {kind} came, but {[event.kind for event in found]}")


@dataclass
class Web:
    """The service over HTTP."""

    bench: Bench
    url: str
    stop: threading.Event
    server: HttpServer

    def token(self, user_id: str = "ada", *scopes: str) -> str:
        return tokens.issue(
            KEY,
            user_id=user_id,
            scopes=frozenset(scopes or ("views:read",)),
            client_id="test",
            token_id="t",
            now_ms=self.bench.clock(),
        )

    def get(self, path: str, user_id: str = "ada", *scopes: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(user_id, *scopes)}"}
        return httpx.get(self.url + path, headers=headers, timeout=10)

    @contextmanager
    def follow(self, user_id: str = "ada", last_id: str | None = None) -> Iterator[Follower]:
        headers = {"Authorization": f"Bearer {self.token(user_id)}"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        with httpx.stream("GET", f"{self.url}/v1/stream", headers=headers, timeout=10) as answer:
            assert answer.status_code == 200, answer.read()
            yield Follower(answer)


@contextmanager
def serving(bench: Bench) -> Iterator[Web]:
    """The service, with the reader of its feed running."""
    commits = GroupCommit(bench.database)
    positions = Positions(bench.log, bench.database, service=NAME, topics=[topic.name for topic in RECEIVES])
    http = ServiceHttp(
        name=NAME,
        database=bench.database,
        commits=commits,
        clock=bench.clock,
        verifier=TokenVerifier(find_key, bench.clock),
        limits=RateLimits(bench.clock),
        positions=positions,
        token_path=TOKEN_PATH,
        scopes=SCOPES,
    )
    app = create_app([HttpService(NAME, router(bench.service, http), {})], bench.clock)
    server, stop = HttpServer(app, name="views"), threading.Event()
    reader = threading.Thread(target=bench.service.live.run, args=(stop,))
    server.start()
    reader.start()
    try:
        yield Web(bench, server.url, stop, server)
    finally:
        stop.set()
        reader.join()
        server.close()
        positions.close()
        commits.close()
