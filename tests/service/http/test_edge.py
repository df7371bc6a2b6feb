"""What stands before the endpoints: who is answered, what is too large, what failures say, and headers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from tests.service.http.support import bench, problem

from streambank.service.http.edge import BODY_BYTES_MAX, Edge
from streambank.service.http.problems import Problem

KEYED = {"Idempotency-Key": "a"}


async def test_a_body_that_is_too_large(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:

            async def chunks() -> AsyncIterator[bytes]:
                for _ in range(9):
                    yield b" " * (1024 * 1024)

            for content in (b" " * (BODY_BYTES_MAX + 1), chunks()):
                headers = {**KEYED, "Content-Type": "application/json"}
                answer = await client.post("/v1/numbers", content=content, headers=headers)
                assert problem(answer) == (413, "body-too-large")
            assert (await client.post("/v1/numbers", content=b'{"n": 1}', headers=headers)).status_code == 201


async def test_a_failure_tells_an_incident_and_nothing_else(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers, structlog.testing.capture_logs() as logs:
        async with numbers.client() as client:
            answer = await client.post("/v1/numbers", json={"n": 500}, headers=KEYED)
        assert problem(answer) == (500, "internal-error")
        assert "0x500" not in answer.text
        (entry,) = [entry for entry in logs if entry["event"] == "request failed"]
        assert entry["incident"] == answer.json()["incident"]
        assert entry["error"] == "RuntimeError"
        assert "in add" in entry["where"]
        assert "0x500" not in str(entry).replace('RuntimeError("a secret: 0x500")', "")


class Cut(Response):
    """An answer that fails once it has begun."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise self._error


@pytest.mark.parametrize("error", [RuntimeError("cut"), Problem(409, "too-late", "too late")])
async def test_an_answer_that_has_begun_is_not_begun_again(error: Exception) -> None:
    async def cut(_: Request) -> Response:
        return Cut(error)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    edge = Edge(Route("/", cut), {Problem: lambda _, told: PlainTextResponse(str(told))}, lambda: 0, ["localhost"])
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    with structlog.testing.capture_logs() as logs, pytest.raises(type(error)):
        await edge(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert [entry["error"] for entry in logs] == [type(error).__name__]


async def test_only_for_names_of_this_machine(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            for host in ("evil.example", "localhost.evil.example", "localhost:x", "127.0.0.1.", "127x0x0x1", ""):
                answer = await client.get("/livez", headers={"Host": host})
                assert (answer.status_code, answer.text) == (400, "Invalid host header")
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            for host in ("127.0.0.1:8080", "127.0.0.1", "LocalHost"):
                assert (await client.get("/livez", headers={"Host": host})).status_code == 200


async def test_every_answer_has_safe_headers(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client() as client:
            for path in ("/livez", "/nowhere", "/openapi.json"):
                headers = (await client.get(path)).headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                assert headers["Cache-Control"] == "no-store"
