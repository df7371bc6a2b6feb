"""A task's store of updates that are held back: by key, and in the order in which they are due."""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from streambank.errors import InvariantError
from streambank.streams.serde import Serde, fingerprint
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore

V = TypeVar("V")

ENTRY_BYTES = 100
"""What an entry counts beyond keys and values, as in Kafka Streams: times, offset, partition and the topic's name."""

NEVER = 2**63
"""Later than any time."""


class Held(NamedTuple):
    """The latest update of a key that is held back: its place in the order, and what was last emitted (None: nothing).

    ``time`` is the first held update's timestamp, or the end of the key's window.
    """

    time: int
    timestamp: int
    headers: bytes | None
    prior: Any
    value: Any


class HeldSerde(Generic[V]):
    """A held update in the changelog: MessagePack around the values' own bytes."""

    def __init__(self, value: Serde[V]) -> None:
        self._serialize, self._deserialize = value.serialize, value.deserialize
        self.fingerprint = {"held": fingerprint(value)}

    def serialize(self, held: Held, /) -> bytes:
        """The update's bytes."""
        time, timestamp, headers, prior, value = held
        prior_bytes = None if prior is None else self._serialize(prior)
        return _encode((time, timestamp, headers, prior_bytes, None if value is None else self._serialize(value)))

    def deserialize(self, data: bytes, /) -> Held:
        """The update of such bytes."""
        time, timestamp, headers, prior, value = _decode(data)
        decode = self._deserialize
        return Held(
            time, timestamp, headers, None if prior is None else decode(prior), None if value is None else decode(value)
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, bytes | None, bytes | None, bytes | None]).decode


class SuppressionStore(UndoStore):
    """Updates by key, ordered by their times, then by the keys' bytes (Kafka Streams' TimeOrderedKeyValueChangeBuffer).

    A key keeps its place until it is popped. Its changelog has the update's record, and a tombstone once it is popped.

    Attributes:
        get: the update held for a key, None where there is none.
        bytes: how much is held; 0 unless :meth:`count_bytes` was called.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self.bytes = 0
        self._held: dict[Any, Held] = {}
        self._order: list[tuple[int, bytes, Any]] = []
        self._order_stale = False
        self._sizes: dict[Any, int] | None = None
        if log_update is None:
            raise InvariantError(f"store {spec.name!r}: the changelog of a suppression is written by nobody else")
        self.get: Callable[[Any], Held | None] = self._held.get

    def count_bytes(self) -> None:
        """Let :attr:`bytes` be counted; called while the store is empty."""
        self._sizes = {}

    def put(self, key: Any, held: Held) -> None:
        """Hold an update; one that replaces another has the other's time."""
        replaced = self._held.get(key)
        if self._recording:
            self._undo.append((key, replaced))
        if replaced is None:
            heappush(self._ordered(), (held.time, self.spec.key.serialize(key), key))
        self._set(key, held)
        self._log_update(key, held, held.timestamp, None)

    def pop(self) -> tuple[Any, Held]:
        """Take out the first in the order. There must be one."""
        _, _, key = heappop(self._ordered())
        held = self._held[key]
        if self._recording:
            self._undo.append((key, held))
        self._set(key, None)
        self._log_update(key, None, held.timestamp, None)
        return key, held

    @property
    def first_time(self) -> int:
        """The time of the first in the order; :data:`NEVER` where nothing is held."""
        order = self._ordered()
        return order[0][0] if order else NEVER

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set an update that comes from the changelog."""
        self._set(key, value)
        self._order_stale = True

    def clear(self) -> None:
        """Forget every update, to be loaded again."""
        super().clear()
        self._held.clear()
        self._order_stale = True
        self.bytes = 0
        if self._sizes is not None:
            self._sizes.clear()

    def _take_back(self, change: tuple[Any, Held | None]) -> None:
        self._set(*change)
        self._order_stale = True

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """The updates held, in no particular order."""
        return ((key, (held.value, held.timestamp)) for key, held in self._held.items())

    def __len__(self) -> int:
        return len(self._held)

    def _ordered(self) -> list[tuple[int, bytes, Any]]:
        """The order as a heap, made anew after the store was loaded or rolled back."""
        if self._order_stale:
            serialize_key = self.spec.key.serialize
            self._order = [(held.time, serialize_key(key), key) for key, held in self._held.items()]
            heapify(self._order)
            self._order_stale = False
        return self._order

    def _set(self, key: Any, held: Held | None) -> None:
        if held is None:
            self._held.pop(key, None)
        else:
            self._held[key] = held
        if self._sizes is not None:
            size = 0 if held is None else self._size(key, held)
            self.bytes += size - self._sizes.pop(key, 0)
            if size:
                self._sizes[key] = size

    def _size(self, key: Any, held: Held) -> int:
        return ENTRY_BYTES + len(self.spec.key.serialize(key)) + len(self.spec.value.serialize(held))
