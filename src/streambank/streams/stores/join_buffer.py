"""The records of a stream that wait for those that they may meet: by key and time, duplicates kept."""

from bisect import bisect_left
from collections.abc import Iterator
from heapq import heappop, heappush
from struct import Struct
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from streambank.streams.serde import Serde, fingerprint
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore

K = TypeVar("K")


class BufferKey(NamedTuple, Generic[K]):
    """What identifies a record in a buffer: two may have the same key and time."""

    key: K
    timestamp: int
    number: int


class BufferKeySerde(Generic[K]):
    """The key's bytes, the time and the number, as Kafka Streams writes the keys of stores with duplicates."""

    def __init__(self, key: Serde[K]) -> None:
        self._serialize, self._deserialize = key.serialize, key.deserialize
        self.fingerprint = {"buffer-key": fingerprint(key)}

    def serialize_key(self, key: K) -> bytes:
        """The bytes of the key alone."""
        return self._serialize(key)

    def serialize(self, value: BufferKey[K], /) -> bytes:
        """The bytes of all three."""
        key, timestamp, number = value
        return self._serialize(key) + _pack(timestamp, number)

    def deserialize(self, data: bytes, /) -> BufferKey[K]:
        """What the bytes stand for."""
        return BufferKey(self._deserialize(data[:-12]), *_unpack(data[-12:]))


_pack, _unpack = Struct(">qi").pack, Struct(">qi").unpack

Entry: TypeAlias = tuple[int, int, Any]
"""A record: its time, its number among those of the same key and time, its value."""


class JoinBuffer(UndoStore):
    """For each key its records in the order of their times, then of their arrival."""

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._entries: dict[Any, list[Entry]] = {}
        # Every record by time, then by arrival, so that keys are never compared. What is removed stays here until its
        # time comes, and is passed over then.
        self._times: list[tuple[int, int, int, Any]] = []
        self._arrivals = 0
        self._length = 0

    def put(self, key: Any, value: Any, timestamp: int) -> None:
        """Add a record."""
        entries = self._entries.get(key)
        number = 0
        if entries is not None and entries[-1][0] >= timestamp:
            at = bisect_left(entries, (timestamp + 1,))
            number = entries[at - 1][1] + 1 if at and entries[at - 1][0] == timestamp else 0
        entry = (timestamp, number, value)
        self._insert(key, entry)
        if self._recording:
            self._undo.append(lambda: self._delete(key, entry))
        self._log_update(BufferKey(key, timestamp, number), value, timestamp, None)

    def fetch(self, key: Any, from_ms: int, to_ms: int) -> list[Entry]:
        """The key's records whose time is in ``[from_ms, to_ms]``."""
        entries = self._entries.get(key)
        if entries is None:
            return []
        return entries[bisect_left(entries, (from_ms,)) : bisect_left(entries, (to_ms + 1,))]

    def remove(self, key: Any, timestamp: int) -> None:
        """Remove all records of that key and time."""
        for entry in self.fetch(key, timestamp, timestamp):
            self._remove(key, entry)

    def take_before(self, limit: int) -> list[tuple[int, Any, Any]]:
        """Remove the records with ``timestamp < limit``, and return time, key and value of each, in order of time."""
        times = self._times
        if not times or times[0][0] >= limit:
            return []
        taken: list[tuple[int, Any, Any]] = []
        while times and times[0][0] < limit:
            timestamp, _, number, key = heappop(times)
            entries = self._entries.get(key, [])
            at = bisect_left(entries, (timestamp, number))
            if at < len(entries) and entries[at][:2] == (timestamp, number):
                taken.append((timestamp, key, entries[at][2]))
                self._remove(key, entries[at])
        return taken

    def load(self, key: BufferKey[Any], value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        for entry in self.fetch(key.key, key.timestamp, key.timestamp):
            if entry[1] == key.number:
                self._delete(key.key, entry)
        if value is not None:
            self._insert(key.key, (key.timestamp, key.number, value))

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        super().clear()
        for each in (self._entries, self._times):
            each.clear()
        self._length = 0

    def items(self) -> Iterator[tuple[BufferKey[Any], Stored]]:
        """Every record."""
        for key, entries in self._entries.items():
            for timestamp, number, value in entries:
                yield BufferKey(key, timestamp, number), (value, timestamp)

    def __len__(self) -> int:
        return self._length

    def _insert(self, key: Any, entry: Entry) -> None:
        entries = self._entries.get(key)
        if entries is None:
            self._entries[key] = [entry]
        elif entry[:2] > entries[-1][:2]:
            entries.append(entry)
        else:
            entries.insert(bisect_left(entries, entry[:2]), entry)
        self._arrivals += 1
        self._length += 1
        heappush(self._times, (entry[0], self._arrivals, entry[1], key))

    def _remove(self, key: Any, entry: Entry) -> None:
        if self._recording:
            self._undo.append(lambda: self._insert(key, entry))
        self._delete(key, entry)
        self._log_update(BufferKey(key, entry[0], entry[1]), None, entry[0], None)

    def _delete(self, key: Any, entry: Entry) -> None:
        self._length -= 1
        entries = self._entries[key]
        if len(entries) == 1:
            del self._entries[key]
        else:
            del entries[bisect_left(entries, entry[:2])]
