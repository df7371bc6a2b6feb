"""Keys of windows: a key together with the window's bounds, and their bytes in topics."""

import struct
from typing import Any, Generic, NamedTuple, TypeVar

from streambank.streams.errors import DeserializationError
from streambank.streams.serde import Serde, fingerprint

K = TypeVar("K")


class Windowed(NamedTuple, Generic[K]):
    """A key within a window. Bounds in ms; the kind of window says whether the end belongs to it."""

    key: K
    start: int
    end: int


class TimeWindowedSerde(Generic[K]):
    """The key's bytes and the start, as Kafka's TimeWindowedSerializer writes them: the size gives the end."""

    def __init__(self, key: Serde[K], size_ms: int) -> None:
        self.inner = self._key = key
        self._size_ms = size_ms
        self._serialize, self._deserialize = key.serialize, key.deserialize

    def serialize_for_partition(self, value: Windowed[K], /) -> bytes:
        """The key's bytes: all windows of a key are in its partition (WindowedStreamPartitioner)."""
        return self._serialize(value[0])

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The key's, and the size, which the bytes do not have."""
        return {"time-windowed": fingerprint(self._key), "size_ms": self._size_ms}

    def serialize(self, value: Windowed[K], /) -> bytes:
        """The bytes of key and start."""
        key, start, _ = value
        return self._serialize(key) + _pack(start)

    def deserialize(self, data: bytes, /) -> Windowed[K]:
        """Key and window of such bytes."""
        if len(data) < 8:
            raise DeserializationError(f"a windowed key ends with 8 bytes of its start, but has {len(data)} in all")
        start = int.from_bytes(data[-8:], "big", signed=True)
        return Windowed(self._deserialize(data[:-8]), start, start + self._size_ms)


_pack = struct.Struct(">q").pack


class SessionWindowedSerde(Generic[K]):
    """The key's bytes, the end and the start, as Kafka's SessionWindowedSerializer writes them."""

    def __init__(self, key: Serde[K]) -> None:
        self.inner = self._key = key

    def serialize_for_partition(self, value: Windowed[K], /) -> bytes:
        """The key's bytes: all sessions of a key are in its partition (WindowedStreamPartitioner)."""
        return self._key.serialize(value.key)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The key's."""
        return {"session-windowed": fingerprint(self._key)}

    def serialize(self, value: Windowed[K], /) -> bytes:
        """The bytes of key, end and start."""
        return self._key.serialize(value.key) + struct.pack(">qq", value.end, value.start)

    def deserialize(self, data: bytes, /) -> Windowed[K]:
        """Key and session of such bytes."""
        if len(data) < 16:
            raise DeserializationError(f"a session's key ends with 16 bytes of its bounds, but has {len(data)} in all")
        end, start = struct.unpack(">qq", data[-16:])
        return Windowed(self._key.deserialize(data[:-16]), start, end)
