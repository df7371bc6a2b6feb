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

_DRAIN_S = 0.3
"""How long requests that are being answered may take when the server stops: the process is to be gone in a second."""


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
        self._server: uvicorn.Server | None = None
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
        self._server = uvicorn_server(self._app, connections_max=CONNECTIONS_MAX, keep_alive_s=KEEP_ALIVE_S)
        self._thread = threading.Thread(
            target=self._run, args=(self._server, listening), name=f"http-{self._name}", daemon=True
        )
        self._thread.start()

    def run(self, stop: threading.Event) -> None:
        """Return once ``stop`` is set, or raise what ended the server. Serving begins with :meth:`start`."""
        while not stop.wait(0.05):
            if self._ended.is_set():
                raise self._failure or StreambankError(f"the HTTP server of {self._name} ended by itself")

    def close(self) -> None:
        """Stop taking connections, let what is being answered end, and stop. Idempotent."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.should_exit = True
        self._thread.join(_DRAIN_S)
        server.force_exit = True
        self._thread.join()

    def _run(self, server: uvicorn.Server, listening: socket.socket) -> None:
        try:
            # As it ends it cancels what is still being answered, such as a stream whose client takes nothing.
            with asyncio.Runner() as runner:
                runner.run(_serve(server, listening))
        except BaseException as error:
            self._failure = error
            logger.error("the HTTP server ended", server=self._name, error=type(error).__name__)
        finally:
            with suppress(OSError):
                listening.close()
            self._ended.set()


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    await server.serve(sockets=[listening])
    # Told to stop at once, uvicorn leaves connections that still answer open.
    for connection in tuple(server.server_state.connections):
        connection.transport.abort()


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
