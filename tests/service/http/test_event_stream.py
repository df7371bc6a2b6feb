"""Server-Sent Events from a real server: as they come, until the client goes, takes nothing, or the server stops."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, nullcontext

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from streambank.service.http.event_stream import HEARTBEAT, EventStream, event
from streambank.service.http.server import HttpServer

Chunks = Callable[[], AsyncGenerator[bytes, None]]


@contextmanager
def serving(chunks: Chunks, *, send_s: float = 10.0) -> Iterator[HttpServer]:
    async def stream(_: Request) -> Response:
        return EventStream(chunks(), send_s=send_s)

    server = HttpServer(Starlette(routes=[Route("/", stream)]), name="test")
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (event("balance", b'{"a":1}', "p7"), b'id: p7\nevent: balance\ndata: {"a":1}\n\n'),
        (event("end", b"{}"), b"event: end\ndata: {}\n\n"),
        (HEARTBEAT, b":\n\n"),
    ],
)
def test_an_event_as_it_is_sent(made: bytes, expected: bytes) -> None:
    assert made == expected


def test_events_arrive_as_they_are_made_and_the_answer_ends() -> None:
    go_on = threading.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield event("first", b"1")
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        yield event("second", b"2")

    with serving(chunks) as server, httpx.stream("GET", server.url, timeout=10) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines) == "event: first"
        go_on.set()
        assert list(lines) == ["data: 1", "", "event: second", "data: 2", ""]


class Endless:
    """Makes chunks until it is closed."""

    def __init__(self, size_bytes: int, pause_s: float) -> None:
        self.closed = threading.Event()
        self._chunk = b":" + b"x" * size_bytes + b"\n\n"
        self._pause_s = pause_s

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield self._chunk
                await asyncio.sleep(self._pause_s)
        finally:
            self.closed.set()


def test_it_ends_when_the_client_goes() -> None:
    chunks = Endless(10, 0.01)
    with serving(chunks) as server:
        with httpx.stream("GET", server.url, timeout=10) as answer:
            next(answer.iter_lines())
        assert chunks.closed.wait(5)


def test_a_client_that_takes_nothing_is_left() -> None:
    chunks = Endless(100_000, 0)
    with serving(chunks, send_s=0.2) as server, socket.create_connection((server.host, server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert chunks.closed.wait(10)


@pytest.mark.parametrize("error", [None, OSError("the connection is gone")], ids=["taken by nobody", "cut off"])
async def test_one_that_never_began_is_closed_too(error: OSError | None) -> None:
    async def forever() -> Message:
        await asyncio.sleep(60)
        return {}

    async def send(_: Message) -> None:
        if error is not None:
            raise error
        await forever()

    chunks, closed = Endless(10, 0), list[bool]()
    stream = EventStream(chunks(), send_s=0.05, on_close=lambda: closed.append(True))
    with nullcontext() if error is None else pytest.raises(OSError, match="gone"):
        await asyncio.wait_for(stream({}, forever, send), 5)
    assert (closed, chunks.closed.is_set()) == ([True], False)


@pytest.mark.parametrize("size_bytes", [10, 100_000], ids=["that reads", "that takes nothing"])
@pytest.mark.alone
def test_the_server_stops_at_once_whatever_client_is_there(size_bytes: int) -> None:
    chunks = Endless(size_bytes, 0.01)
    with serving(chunks) as server, socket.create_connection((server.host, server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        client.recv(100)
        time.sleep(0.1)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 2
    assert chunks.closed.wait(5)
