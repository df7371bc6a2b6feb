"""Serving from a thread: starts at once, ends at once, and says when it cannot."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streambank.errors import StreambankError
from streambank.service.http.server import HttpServer, listen


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


@contextmanager
def serving(port: int = 0) -> Iterator[HttpServer]:
    server = HttpServer(Starlette(routes=[Route("/", hello)]), name="test", port=port)
    server.start()
    try:
        yield server
    finally:
        server.close()
        server.close()


def test_it_answers_once_it_has_started() -> None:
    with serving() as server:
        assert server.port
        answer = httpx.get(server.url)
        assert (answer.text, "server" in answer.headers) == ("hello", False)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StreambankError, match=f"port {port} of test.*name another"), serving(port):
            pass


def test_it_ends_at_once_although_connections_are_open() -> None:
    with serving() as server, httpx.Client() as client:
        client.get(server.url)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 5


def test_what_is_being_answered_is_answered_before_it_ends() -> None:
    begun = threading.Event()

    async def slow(_: Request) -> PlainTextResponse:
        begun.set()
        await asyncio.sleep(0.1)
        return PlainTextResponse("done" * 100_000)

    server = HttpServer(Starlette(routes=[Route("/", slow)]), name="slow", port=0)
    server.start()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(httpx.get, server.url)
        assert begun.wait(5)
        server.close()
        assert answer.result().text == "done" * 100_000


def test_it_runs_until_it_is_told_to_stop() -> None:
    with serving() as server:
        stop = threading.Event()
        running = threading.Thread(target=server.run, args=(stop,))
        running.start()
        stop.set()
        running.join(5)
        assert not running.is_alive()


def test_whoever_runs_it_learns_that_it_ended() -> None:
    with serving() as server:
        assert server._loop is not None
        server._loop.call_soon_threadsafe(server._stop.set)
        with pytest.raises(StreambankError, match="ended by itself"):
            server.run(threading.Event())


async def test_what_is_sent_waits_for_no_acknowledgement() -> None:
    """Nagle's algorithm would hold the body of an answer back for 40 ms."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(accepted, sock=listen("127.0.0.1", 0)) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        no_delay = await found
        writer.close()
        await writer.wait_closed()
    assert no_delay == 1
