"""The records of a stream that wait for those that they may meet: by key and time, duplicates kept."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, Generic, NamedTuple, TypeVar

from streambank.streams.serde import Serde
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore

K = TypeVar("K")


class BufferKey(NamedTuple, Generic[K]):
    """What identifies a record in a buffer: two may have the same key and time."""

    key: K
    timestamp: int
    sequence: int


class BufferKeySerde(Generic[K]):
    """The key's bytes, the time and the sequence number, as Kafka Streams writes keys of stores with duplicates."""

    def __init__(self, key: Serde[K]) -> None:
        self._key = key

    def serialize_key(self, key: K) -> bytes:
        """The bytes of the key alone."""
        return self._key.serialize(key)

    def serialize(self, value: BufferKey[K], /) -> bytes:
        """The bytes of all three."""
        key, timestamp, sequence = value
        return self._key.serialize(key) + timestamp.to_bytes(8, "big") + sequence.to_bytes(8, "big")

    def deserialize(self, data: bytes, /) -> BufferKey[K]:
        """What the bytes stand for."""
        timestamp, sequence = int.from_bytes(data[-16:-8], "big"), int.from_bytes(data[-8:], "big")
        return BufferKey(self._key.deserialize(data[:-16]), timestamp, sequence)


_Entry = tuple[int, int, Any]


class JoinBuffer(UndoStore):
    """For each key its records in the order of their times, then of their arrival."""

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._entries: dict[Any, list[_Entry]] = {}
        # Every record by time. What is removed stays here until its time comes, and is passed over then.
        self._times: list[tuple[int, int, Any]] = []
        self._sequence = 0

    def put(self, key: Any, value: Any, timestamp: int) -> None:
        """Add a record."""
        self._sequence += 1
        entry = (timestamp, self._sequence, value)
        self._insert(key, entry)
        if self._recording:
            self._undo.append(lambda: self._delete(key, entry))
        self._log_update(BufferKey(key, timestamp, self._sequence), value, timestamp, None)

    def fetch(self, key: Any, from_ms: int, to_ms: int) -> list[_Entry]:
        """The key's records whose time is in ``[from_ms, to_ms]``: time, number and value of each."""
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
        taken: list[tuple[int, Any, Any]] = []
        times = self._times
        while times and times[0][0] < limit:
            timestamp, sequence, key = heappop(times)
            entries = self._entries.get(key, [])
            at = bisect_left(entries, (timestamp, sequence))
            if at < len(entries) and entries[at][1] == sequence and entries[at][0] == timestamp:
                taken.append((timestamp, key, entries[at][2]))
                self._remove(key, entries[at])
        return taken

    def load(self, key: BufferKey[Any], value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        self._sequence = max(self._sequence, key.sequence)
        if value is None:
            for entry in self.fetch(key.key, key.timestamp, key.timestamp):
                if entry[1] == key.sequence:
                    self._delete(key.key, entry)
        else:
            self._insert(key.key, (key.timestamp, key.sequence, value))

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        for each in (self._entries, self._times, self._undo):
            each.clear()

    def items(self) -> Iterator[tuple[BufferKey[Any], Stored]]:
        """Every record."""
        for key, entries in self._entries.items():
            for timestamp, sequence, value in entries:
                yield BufferKey(key, timestamp, sequence), (value, timestamp)

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def _insert(self, key: Any, entry: _Entry) -> None:
        # Numbers differ, so that neither keys nor values are ever compared.
        entries = self._entries.get(key)
        if entries is None:
            self._entries[key] = [entry]
        elif entry > entries[-1]:
            entries.append(entry)
        else:
            insort(entries, entry)
        heappush(self._times, (entry[0], entry[1], key))

    def _remove(self, key: Any, entry: _Entry) -> None:
        if self._recording:
            self._undo.append(lambda: self._insert(key, entry))
        self._delete(key, entry)
        self._log_update(BufferKey(key, entry[0], entry[1]), None, entry[0], None)

    def _delete(self, key: Any, entry: _Entry) -> None:
        entries = self._entries[key]
        del entries[bisect_left(entries, entry[:2])]
        if not entries:
            del self._entries[key]
