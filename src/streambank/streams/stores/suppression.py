"""Updates that are held back, in the order of their times (InMemoryTimeOrderedKeyValueChangeBuffer)."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from streambank.streams.serde import Serde
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore

V = TypeVar("V")


class Held(NamedTuple, Generic[V]):
    """The last update of a key: when its turn is, the value (None deletes), and what was sent before the first one."""

    time: int
    value: V | None
    prior: V | None
    headers: bytes | None


class HeldSerde(Generic[V]):
    """All of it in one value."""

    def __init__(self, value: Serde[V]) -> None:
        self._value = value
        self._decode = msgspec.msgpack.Decoder(tuple[int, bytes | None, bytes | None, bytes | None]).decode

    def serialize(self, held: Held[V], /) -> bytes:
        """The bytes of a held update."""
        serialize = self._value.serialize
        value, prior = (None if each is None else serialize(each) for each in (held.value, held.prior))
        return msgspec.msgpack.encode((held.time, value, prior, held.headers))

    def deserialize(self, data: bytes, /) -> Held[V]:
        """The held update of such bytes."""
        time, value, prior, headers = self._decode(data)
        decode = self._value.deserialize
        return Held(time, None if value is None else decode(value), None if prior is None else decode(prior), headers)


class SuppressionStore(UndoStore):
    """For each key its last update, and whose turn is next: by time, then by the bytes of the key."""

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._held: dict[Any, Stored] = {}
        # A key's time never changes while it is held, so that one here is either right or of a key that is gone.
        self._turns: list[tuple[int, bytes, Any]] = []
        self._sizes: dict[Any, int] = {}
        self.size_bytes = 0

    def get(self, key: Any) -> Stored | None:
        """The key's update, a :class:`Held`, and its timestamp."""
        return self._held.get(key)

    def put(self, key: Any, held: Held[Any], timestamp: int) -> None:
        """Hold an update, in place of the key's last one."""
        if self._recording:
            before = self._held.get(key)
            self._undo.append(lambda: self._set(key, before))
        self._set(key, (held, timestamp))
        self._log_update(key, held, timestamp, None)

    def first(self) -> tuple[Any, Held[Any], int] | None:
        """Key, update and timestamp of the one whose turn is next."""
        while self._turns:
            time, _, key = self._turns[0]
            stored = self._held.get(key)
            if stored is not None and stored[0].time == time:
                return key, *stored
            heappop(self._turns)
        return None

    def remove(self, key: Any) -> None:
        """Hold the key's update no longer."""
        stored = self._held[key]
        if self._recording:
            self._undo.append(lambda: self._set(key, stored))
        self._set(key, None)
        self._log_update(key, None, stored[1], None)

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        self._set(key, None if value is None else (value, timestamp))

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        for each in (self._held, self._turns, self._sizes, self._undo):
            each.clear()
        self.size_bytes = 0

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every update that is held."""
        return iter(self._held.items())

    def __len__(self) -> int:
        return len(self._held)

    def _set(self, key: Any, stored: Stored | None) -> None:
        self.size_bytes -= self._sizes.pop(key, 0)
        before = self._held.pop(key, None)
        if stored is None:
            return
        self._held[key] = stored
        key_bytes = self.spec.key.serialize(key)
        size = self._sizes[key] = len(key_bytes) + len(self.spec.value.serialize(stored[0]))
        self.size_bytes += size
        if before is None or before[0].time != stored[0].time:
            heappush(self._turns, (stored[0].time, key_bytes, key))
