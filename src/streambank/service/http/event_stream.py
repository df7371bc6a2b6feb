"""Server-Sent Events (the HTML standard, section 9.2): an answer that goes on, for whoever reads it as it comes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"

SEND_S = 10.0
"""How long a client may take nothing while there is something for it; its connection holds some ten kilobytes more."""

HEARTBEAT = b":\n\n"
"""A comment, which clients pass over: what lies between sees that the connection is used."""


def event(kind: str, data: bytes, id_: str | None = None) -> bytes:
    """One event. ``data`` is JSON, and so has no line breaks of its own."""
    place = f"id: {id_}\n" if id_ is not None else ""
    return f"{place}event: {kind}\ndata: ".encode() + data + b"\n\n"


class EventStream(Response):
    """An answer made of chunks of events, until there are no more or the client has gone or takes none.

    ``chunks`` is closed in any case, and then ``on_close`` called: a generator that never began has no end of its own.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        send_s: float = SEND_S,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        # What gathers answers on their way would keep events back.
        super().__init__(None, 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._send_s = send_s
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See :class:`starlette.responses.Response`."""
        pump = asyncio.ensure_future(self._pump(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, gone):
                task.cancel()
            try:
                await asyncio.gather(pump, gone, return_exceptions=True)
                await self._chunks.aclose()
            finally:
                self._on_close()
        if not pump.cancelled() and (error := pump.exception()) is not None:
            raise error

    async def _pump(self, send: Send) -> None:
        # Who takes nothing for too long is left; the server closes the connection of an answer that has no end.
        with suppress(TimeoutError):
            begin = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await self._send(send, begin)
            async for chunk in self._chunks:
                await self._send(send, {"type": "http.response.body", "body": chunk, "more_body": True})
            await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, message: Message) -> None:
        # Python 3.11's wait_for loses a cancellation that comes as what it waits for ends.
        async with asyncio.timeout(self._send_s):
            await send(message)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
