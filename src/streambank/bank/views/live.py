"""The live stream: one reader of the feed for all who follow theirs.

1. A listener is told from which offset of its user's partition on it will hear, and under the same lock begins to.
2. What lies between the place that its client knows and that offset is read from the log, a batch at a time.
3. Then it hears what the reader reads. The records of others are passed over by their keys, without being decoded.

So nothing is missing between 2 and 3, and nothing comes twice. A listener whose client does not keep up loses its
buffer and ends; the client comes back with the last place that it got. No listener has a thread.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import structlog

from streambank.bank.events import USER_FEED
from streambank.log import EventLog, OffsetOutOfRangeError, TopicPartition
from streambank.log.partitioner import partition_for
from streambank.service.http.cursors import decode_cursor, encode_cursor
from streambank.service.http.problems import Problem

logger = structlog.get_logger(__name__)

LISTENERS_MAX = 200
"""Streams of a process: each holds one of the server's connections, of which others need some too."""

LISTENERS_OF_USER_MAX = 10
"""Pages and programs of one person."""

BUFFER_RECORDS_MAX = 2_000
"""What a listener may have waiting, a few megabytes: the records of some hundreds of entries."""

READ_RECORDS = 2_000

CATCH_UP_RECORDS_MAX = 200_000
"""Records of a partition that are looked through for a client that comes back; one farther behind begins anew."""

WAIT_S = 0.1
"""How long the reader may wait without looking whether it is to stop."""

End: TypeAlias = Literal["stopping", "slow", "erased"]


class Item(NamedTuple):
    """A record of the feed, and its offset."""

    offset: int
    value: bytes


@dataclass(eq=False, slots=True)
class Listener:
    """One client. ``start`` is the first offset that it hears live; ``since`` the one its client goes on from.

    That is behind ``start`` where the client has heard more from another process, whose reader was faster.
    ``is_complete``: nothing lies between what the client knows and ``since``.
    """

    user_id: str
    place: TopicPartition
    start: int
    since: int
    is_complete: bool
    loop: asyncio.AbstractEventLoop
    ended: End | None = None
    _items: deque[Item] = field(default_factory=deque)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self, timeout_s: float) -> list[Item]:
        """What has come, after waiting for it up to ``timeout_s``; empty then, and where it has ended."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return []
        items = list(self._items)
        self._items.clear()
        if self.ended is None:
            self._ready.clear()
        return items

    def push(self, items: Sequence[Item]) -> None:
        """Take what has come, but for what the client knows. Called in the loop's thread."""
        items = [item for item in items if item.offset >= self.since]
        if len(self._items) + len(items) > BUFFER_RECORDS_MAX:
            self.end("slow")
        if self.ended is None:
            self._items.extend(items)
            if items:
                self._ready.set()

    def end(self, why: End) -> None:
        """Hear no more. Called in the loop's thread."""
        if self.ended is None:
            self.ended = why
            self._items.clear()
            self._ready.set()


class LiveFeed:
    """Reads the feed while anybody listens. A worker of the service; all else may be called from any thread."""

    name = "views-feed"

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._listeners: dict[bytes, list[Listener]] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._stopping = False
        self._wake = threading.Event()
        log.create_topics([USER_FEED.config])

    def run(self, stop: threading.Event) -> None:
        """Read until ``stop`` is set; then all listeners end."""
        self._stopping = False
        try:
            while not stop.is_set():
                if not self._listeners:
                    self._wake.wait(WAIT_S)
                    self._wake.clear()
                elif self._log.wait(dict(self._positions), WAIT_S):
                    self.step()
        finally:
            self.close()

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now."""
        self._wake.set()

    def close(self) -> None:
        """End all listeners; no more are taken until :meth:`run`. Idempotent."""
        with self._lock:
            self._stopping = True
        self._end_all("stopping")

    def listen(self, user_id: str, loop: asyncio.AbstractEventLoop, last_id: str | None) -> Listener:
        """Begin to listen, from behind the place that is named by ``last_id``. Blocks for some milliseconds.

        Raises:
            Problem: 503, 429: there are too many, or the service ends.
        """
        key = USER_FEED.key.serialize(user_id)
        place = TopicPartition(USER_FEED.name, partition_for(key, self._log.topics()[USER_FEED.name].partitions))
        # Asked before the lock is taken, which the event loop takes too.
        known = self._log.watermarks(place)
        ends = {} if self._listeners else self._ends()
        with self._lock:
            mine = self._listeners.get(key, [])
            if self._stopping or sum(map(len, self._listeners.values())) >= LISTENERS_MAX:
                detail = "there are too many streams, or the service is about to stop: try again in a while"
                raise Problem(503, "unavailable", detail, headers={"Retry-After": "5"})
            if len(mine) >= LISTENERS_OF_USER_MAX:
                detail = f"you have {LISTENERS_OF_USER_MAX} streams open: close one"
                raise Problem(429, "too-many-streams", detail, headers={"Retry-After": "60"})
            # Where the last ones have left since, the reader is where it was a moment ago.
            if not self._listeners and ends:
                self._positions = ends
            start = self._positions[place]
            since = self._since(last_id, start, known.low, known.high)
            listener = Listener(user_id, place, start, start if since is None else since, since is not None, loop)
            self._listeners.setdefault(key, []).append(listener)
        self._wake.set()
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening. Idempotent."""
        key = USER_FEED.key.serialize(listener.user_id)
        with self._lock:
            left = [one for one in self._listeners.get(key, []) if one is not listener]
            if left:
                self._listeners[key] = left
            else:
                self._listeners.pop(key, None)

    def end(self, user_id: str) -> None:
        """End all streams of somebody who was erased."""
        for listener in list(self._listeners.get(USER_FEED.key.serialize(user_id), [])):
            _in_loop(listener, listener.end, "erased")

    def missed(self, listener: Listener, offset: int) -> tuple[list[Item], int]:
        """What lies before the listener's start, from ``offset`` on: a batch, and where the next one begins. Blocks."""
        batch = self._log.read(listener.place, offset, READ_RECORDS)
        if batch.next_offset <= offset:
            return [], listener.start
        key = USER_FEED.key.serialize(listener.user_id)
        items = [
            Item(at, value)
            for at, of, value in zip(batch.offsets, batch.keys, batch.values, strict=True)
            if of == key and value is not None and offset <= at < listener.start
        ]
        return items, min(batch.next_offset, listener.start)

    def step(self) -> int:
        """Hand on what has come; how many records were read."""
        read = 0
        for place, offset in dict(self._positions).items():
            try:
                batch = self._log.read(place, offset, READ_RECORDS)
            except OffsetOutOfRangeError:
                # Retention was faster than this process, which must have been stopped for days.
                logger.warning("the feed's records were removed before they were read", partition=str(place))
                self._end_all("slow")
                return read
            with self._lock:
                # Nobody may have listened meanwhile, and then somebody from another place on.
                if self._positions.get(place) != offset:
                    continue
                self._positions[place] = batch.next_offset
                heard: dict[bytes, list[Item]] = {}
                for at, key, value in zip(batch.offsets, batch.keys, batch.values, strict=True):
                    if key is not None and value is not None and key in self._listeners:
                        heard.setdefault(key, []).append(Item(at, value))
                for key, items in heard.items():
                    for listener in self._listeners[key]:
                        _in_loop(listener, listener.push, items)
            read += len(batch)
        return read

    def id_of(self, offset: int) -> str:
        """The opaque name of the place behind a record, for ``Last-Event-ID``."""
        return encode_cursor(self._log.log_id, offset + 1)

    def _end_all(self, why: End) -> None:
        with self._lock:
            everybody = [one for some in self._listeners.values() for one in some]
            self._listeners.clear()
        for listener in everybody:
            _in_loop(listener, listener.end, why)

    def _since(self, last_id: str | None, start: int, low: int, high: int) -> int | None:
        """Where a client goes on; None where that cannot be told, or is too far back."""
        if last_id is None:
            return start
        try:
            log_id, since = decode_cursor(last_id, str, int)
        except Problem:
            return None
        known = log_id == self._log.log_id and low <= int(since) <= max(start, high)
        return int(since) if known and start - int(since) <= CATCH_UP_RECORDS_MAX else None

    def _ends(self) -> dict[TopicPartition, int]:
        count = self._log.topics()[USER_FEED.name].partitions
        places = [TopicPartition(USER_FEED.name, number) for number in range(count)]
        return {place: self._log.watermarks(place).high for place in places}


def _in_loop(listener: Listener, call: object, argument: object) -> None:
    """Let the listener's own thread do it; one whose loop is closed hears nothing any more."""
    try:
        listener.loop.call_soon_threadsafe(call, argument)  # type: ignore[arg-type]
    except RuntimeError:
        listener.ended = "stopping"
