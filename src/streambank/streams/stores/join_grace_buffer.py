"""Stream records that wait for the grace period of their join with a versioned table (KIP-923)."""

import struct
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from streambank.streams.errors import DeserializationError
from streambank.streams.serde import Serde, fingerprint
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore


class BufferKey(NamedTuple):
    """A record's place; the sequence tells records of one key and time apart."""

    timestamp: int
    key: Any
    sequence: int


class Buffered(NamedTuple):
    """What else there is of the record."""

    value: Any
    headers: bytes | None


def join_grace_buffer(name: str, key: Serde[Any], value: Serde[Any]) -> StoreSpec:
    """The spec of a buffer for records of these serdes."""
    return StoreSpec(name, _BufferKeySerde(key), _BufferedSerde(value), kind="join-grace-buffer")


class JoinGraceBuffer(UndoStore):
    """Records in the order of Kafka Streams' RocksDBTimeOrderedKeyValueBuffer: timestamp, key bytes, arrival."""

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._place_of = spec.key.serialize
        self._entries: dict[bytes, tuple[BufferKey, Buffered]] = {}
        # A heap of places; one that has no entry any more is passed over.
        self._order: list[bytes] = []

    def put(self, key: Any, value: Any, timestamp: int, headers: bytes | None) -> None:
        """Let a record wait."""
        # The first free number among those of this key and time: the same whatever came and went before a restart.
        numbers = (BufferKey(timestamp, key, number) for number in count())
        at = next(each for each in numbers if self._place_of(each) not in self._entries)
        record = Buffered(value, headers)
        place = self._add(at, record)
        if self._recording:
            self._undo.append((place, None))
        self._log_update(at, record, timestamp, None)

    def evict(self, until: int) -> Iterator[tuple[Any, Any, int, bytes | None]]:
        """Take out the records up to the timestamp ``until``, in order: key, value, timestamp, headers."""
        order, entries = self._order, self._entries
        while order:
            found = entries.get(order[0])
            if found is None:
                heappop(order)
                continue
            at, record = found
            if at.timestamp > until:
                return
            place = heappop(order)
            del entries[place]
            if self._recording:
                self._undo.append((place, found))
            self._log_update(at, None, at.timestamp, None)
            yield at.key, record.value, at.timestamp, record.headers

    def _take_back(self, change: tuple[bytes, tuple[BufferKey, Buffered] | None]) -> None:
        place, before = change
        if before is None:
            del self._entries[place]
        else:
            self._entries[place] = before
            heappush(self._order, place)

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Let a record wait that comes from the changelog, or take it out."""
        if value is None:
            self._entries.pop(self._place_of(key), None)
        else:
            self._add(key, value)

    def clear(self) -> None:
        """Forget every record, to be loaded again."""
        super().clear()
        self._entries.clear()
        self._order.clear()

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every record that waits."""
        return ((at, (record, at.timestamp)) for at, record in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def _add(self, at: BufferKey, record: Buffered) -> bytes:
        place = self._place_of(at)
        self._entries[place] = (at, record)
        heappush(self._order, place)
        return place


class _BufferKeySerde:
    """Timestamp, the key's bytes, sequence: bytes in the order of the buffer."""

    def __init__(self, key: Serde[Any]) -> None:
        self._serialize, self._deserialize = key.serialize, key.deserialize
        self.fingerprint = {"join-grace-key": fingerprint(key)}

    def serialize(self, value: BufferKey, /) -> bytes:
        at = struct.pack(">q", value.timestamp)
        return at + self._serialize(value.key) + struct.pack(">q", value.sequence)

    def deserialize(self, data: bytes, /) -> BufferKey:
        if len(data) < 16:
            raise DeserializationError(f"a buffered record's key has 16 bytes of its place, but is {len(data)} long")
        timestamp, sequence = struct.unpack(">q", data[:8])[0], struct.unpack(">q", data[-8:])[0]
        return BufferKey(timestamp, self._deserialize(data[8:-8]), sequence)


class _BufferedSerde:
    """The length of the headers (-1: none), the headers, the value's bytes."""

    def __init__(self, value: Serde[Any]) -> None:
        self._serialize, self._deserialize = value.serialize, value.deserialize
        self.fingerprint = {"join-grace-record": fingerprint(value)}

    def serialize(self, value: Buffered, /) -> bytes:
        length = -1 if value.headers is None else len(value.headers)
        return struct.pack(">i", length) + (value.headers or b"") + self._serialize(value.value)

    def deserialize(self, data: bytes, /) -> Buffered:
        length = int.from_bytes(data[:4], "big", signed=True)
        if len(data) < 4 + max(length, 0):
            raise DeserializationError("a buffered record begins with the length of its headers, and those follow")
        if length < 0:
            return Buffered(self._deserialize(data[4:]), None)
        return Buffered(self._deserialize(data[4 + length :]), data[4 : 4 + length])
