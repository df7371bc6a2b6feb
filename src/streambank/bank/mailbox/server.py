"""The mailbox as a whole: SMTP and HTTP on 127.0.0.1, in one thread with its own asyncio loop."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import structlog

from streambank.bank.mailbox.message import Envelope
from streambank.bank.mailbox.smtp import SmtpLimits, SmtpServer
from streambank.bank.mailbox.store import MailboxStore
from streambank.clock import Clock, system_clock
from streambank.errors import StreambankError
from streambank.ids import RandomBytes

if TYPE_CHECKING:
    from streambank.bank.mailbox.http import Counters

logger = structlog.get_logger(__name__)

START_TIMEOUT_S = 10.0
BATCH_MESSAGES_MAX = 100
HTTP_CONNECTIONS_MAX = 200
HTTP_KEEP_ALIVE_S = 5
QUEUE_MESSAGES_MAX = 100
"""Messages that arrived but are not stored yet; together with the size limit this bounds the memory they take."""


_Arrival: TypeAlias = tuple[Envelope, bytes, asyncio.Future[None]]


class MailboxServer:
    """The built-in mailbox. ``start()`` returns once both ports are open; ``close()`` within half a second.

    Messages that arrive while others are being stored share one transaction, so that many clients do not each wait for
    a disk flush of their own.
    """

    def __init__(
        self,
        database: Path,
        *,
        secret: str,
        smtp_port: int = 0,
        http_port: int = 0,
        smtp_secret: bool = True,
        limits: SmtpLimits | None = None,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Set up a mailbox; port 0 takes any free one.

        Args:
            database: the SQLite file that holds the messages; made if need be.
            secret: the password for HTTP, and for SMTP too unless ``smtp_secret`` is False.
        """
        self.smtp_port = smtp_port
        self.http_port = http_port
        self._database = database
        self._secret = secret
        self._smtp_secret = secret if smtp_secret else None
        self._limits = limits or SmtpLimits()
        self._clock = clock
        self._random_bytes = random_bytes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.http_port}/"

    @property
    def login_url(self) -> str:
        """The page's address with the secret in it: for the user's own terminal, never for a log."""
        return f"{self.url}?token={self._secret}"

    def start(self) -> None:
        """Open both ports and serve from a thread.

        Raises:
            StreambankError: a port is taken, or the database cannot be opened.
        """
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="mailbox", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise StreambankError(f"the mailbox did not start within {START_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            self._thread.join()
            failure, self._failure = self._failure, None
            if isinstance(failure, OSError):
                ports = f"{self.smtp_port} (SMTP) and {self.http_port} (HTTP)"
                raise StreambankError(
                    f"cannot open the mailbox's ports {ports}: {failure.strerror}. Another program may use them; "
                    "name others"
                ) from failure
            raise failure

    def close(self) -> None:
        """Stop serving. Every message that was answered with 250 is on disk. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None:
            # The loop is closed already where serving failed.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def __enter__(self) -> "MailboxServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
            logger.error("the mailbox ended", error=type(error).__name__)
        finally:
            loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        # Here, since Starlette and uvicorn take a fifth of a second to import and only this needs them.
        from streambank.bank.mailbox.http import Counters, create_app
        from streambank.service.http.server import listen, serve, uvicorn_server

        store = MailboxStore.open(self._database, create=True, clock=self._clock, random_bytes=self._random_bytes)
        counters = Counters(self._clock())
        writer = _Writer(store, counters)
        smtp = SmtpServer(writer.deliver, self._smtp_secret, self._limits)
        try:
            self.smtp_port = await smtp.start(self.smtp_port)
            listening = listen("127.0.0.1", self.http_port)
            self.http_port = listening.getsockname()[1]
            app = create_app(store, counters, self._secret, self._clock)
            web = uvicorn_server(app, connections_max=HTTP_CONNECTIONS_MAX, keep_alive_s=HTTP_KEEP_ALIVE_S)
            serving = asyncio.ensure_future(serve(web, listening, self._stop))
            writing = asyncio.ensure_future(writer.run())
            stopping = asyncio.ensure_future(self._stop.wait())
            self._ready.set()
            await asyncio.wait({serving, writing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stop.set()
            await smtp.close()
            writing.cancel()
            stopping.cancel()
            await asyncio.gather(serving, writing, stopping, return_exceptions=True)
        finally:
            await smtp.close()
            writer.close()
            store.close()


class _Writer:
    """Stores arriving messages in batches, in a thread of its own, and lets each sender wait for its batch."""

    def __init__(self, store: MailboxStore, counters: "Counters") -> None:
        self._store = store
        self._counters = counters
        self._queue: asyncio.Queue[_Arrival] = asyncio.Queue(QUEUE_MESSAGES_MAX)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="mailbox-store")

    async def deliver(self, envelope: Envelope, raw: bytes) -> None:
        """Store one message; returns once it is durable. Raises what kept it from being stored."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put((envelope, raw, stored))
        await stored

    async def run(self) -> None:
        """Store what arrives until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_MESSAGES_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            failure = await self._store_batch(batch)
            if failure is not None and len(batch) > 1:
                # One message must not keep the others out.
                for alone in batch:
                    self._answer([alone], await self._store_batch([alone]))
            else:
                self._answer(batch, failure)

    async def _store_batch(self, batch: list[_Arrival]) -> Exception | None:
        arrivals = [(envelope, raw) for envelope, raw, _ in batch]
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._store.add, arrivals)
        except Exception as error:
            return error
        self._counters.accepted += len(batch)
        self._counters.accepted_bytes += sum(len(raw) for _, raw in arrivals)
        return None

    @staticmethod
    def _answer(batch: list[_Arrival], failure: Exception | None) -> None:
        for _, _, stored in batch:
            if stored.done():
                continue
            if failure is None:
                stored.set_result(None)
            else:
                stored.set_exception(failure)

    def close(self) -> None:
        """Wait for the batch at hand."""
        self._executor.shutdown(wait=True)
