"""Serving an application on 127.0.0.1, from a thread with an event loop of its own."""

import asyncio
import socket
import threading
from contextlib import suppress

import structlog
import uvicorn
from starlette.types import ASGIApp

from streambank.errors import StreambankError

logger = structlog.get_logger(__name__)

CONNECTIONS_MAX = 500
KEEP_ALIVE_S = 30
"""Longer than the pauses of a client that works; a connection that nobody uses costs little."""

DRAIN_S = 0.3
"""How long requests that are being answered may take when the server stops: the process is to be gone in a second."""

_DRAIN_LOOK_S = 0.005
"""How often to look whether they have: uvicorn tells nobody when a connection is gone."""


class HttpServer:
    """Serves from :meth:`start` to :meth:`close`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        hint: str = "name another",
        listening: socket.socket | None = None,
    ) -> None:
        """Port 0 takes any free one; :attr:`port` says which. ``hint``: what to do where the port is taken.

        ``listening``: from :func:`open_port`, for who has to know the port before there is an application.
        """
        self.host = host
        self.port = port
        self._app = app
        self._name = name
        self._hint = hint
        self._listening = listening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Open the port and serve; connections are taken once this returns.

        Raises:
            StreambankError: the port is taken.
        """
        listening = self._listening or open_port(self._name, self.host, self.port, self._hint)
        self.port = listening.getsockname()[1]
        self._loop = loop = asyncio.new_event_loop()
        name = f"http-{self._name}"
        self._thread = threading.Thread(target=self._run, args=(loop, listening), name=name, daemon=True)
        self._thread.start()

    def run(self, stop: threading.Event) -> None:
        """Return once ``stop`` is set, or raise what ended the server. Serving begins with :meth:`start`."""
        while not stop.wait(0.05):
            if self._ended.is_set():
                raise self._failure or StreambankError(f"the HTTP server of {self._name} ended by itself")

    def close(self) -> None:
        """Stop taking connections, let what is being answered end, and stop. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        # The loop is closed already where the server ended by itself.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        try:
            server = uvicorn_server(self._app, connections_max=CONNECTIONS_MAX, keep_alive_s=KEEP_ALIVE_S)
            # As it ends it cancels what is still being answered, such as a stream whose client takes nothing.
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve(server, listening, self._stop))
        except BaseException as error:
            self._failure = error
            logger.error("the HTTP server ended", server=self._name, error=type(error).__name__)
        finally:
            with suppress(OSError):
                listening.close()
            self._ended.set()


async def serve(server: uvicorn.Server, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. Then nothing more is taken, and what is being answered has ``DRAIN_S`` to end.

    uvicorn's own way to stop looks every tenth of a second, and waits another in any case.
    """
    serving, stopping = asyncio.ensure_future(server.serve(sockets=[listening])), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        elif server.started:
            await _drain(server)
    finally:
        stopping.cancel()
        serving.cancel()
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()


async def _drain(server: uvicorn.Server) -> None:
    for listener in server.servers:
        listener.close()
    # Those that are being answered close when they are.
    for connection in tuple(server.server_state.connections):
        connection.shutdown()
    loop = asyncio.get_running_loop()
    until_s = loop.time() + DRAIN_S
    while server.server_state.connections and loop.time() < until_s:
        await asyncio.sleep(_DRAIN_LOOK_S)


def open_port(name: str, host: str, port: int, hint: str) -> socket.socket:
    """A socket that listens there, for the server of that name.

    Raises:
        StreambankError: the port is taken; ``hint`` says what to do.
    """
    try:
        return listen(host, port)
    except OSError as error:
        raise StreambankError(
            f"cannot open the port {port} of {name}: {error.strerror}. Another program may use it; {hint}"
        ) from error


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol's name asyncio sends what it has at once; without, a body waits 40 ms for its head to arrive.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def uvicorn_server(app: ASGIApp, *, connections_max: int, keep_alive_s: int) -> uvicorn.Server:
    """A server for such a socket. It says nothing of itself, and leaves signals to the process."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=connections_max,
        timeout_keep_alive=keep_alive_s,
    )
    return uvicorn.Server(config)
