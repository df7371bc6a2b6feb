"""How keys and values become bytes and back. ``None`` never reaches a serde: it is a null key or a tombstone."""

import struct
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from streambank.streams.errors import DeserializationError

T = TypeVar("T")


class Serde(Protocol[T]):
    """Turns values into bytes and back. Both are called once per record, so they may be a codec's own functions."""

    @property
    def serialize(self) -> Callable[[T], bytes]:
        """The value's bytes."""

    @property
    def deserialize(self) -> Callable[[bytes], T]:
        """The value of bytes. Raises ValueError if they are not such a value; the text says why."""


def fingerprint(serde: Serde[Any]) -> Any:
    """What tells the serde's bytes from another's, in JSON's types: its own ``fingerprint``, else its class's name.

    A serde that holds others, or a setting that changes the bytes, says so in a property ``fingerprint``.
    """
    return getattr(serde, "fingerprint", type(serde).__name__)


class StringSerde:
    """UTF-8 text."""

    serialize: Callable[[str], bytes] = staticmethod(str.encode)
    deserialize: Callable[[bytes], str] = staticmethod(bytes.decode)


class BytesSerde:
    """Bytes as they are."""

    serialize: Callable[[bytes], bytes] = staticmethod(bytes)
    deserialize: Callable[[bytes], bytes] = staticmethod(bytes)


class LongSerde:
    """A 64-bit integer, big-endian, as Kafka's LongSerializer writes it."""

    @staticmethod
    def serialize(value: int, /) -> bytes:
        """Eight bytes."""
        return struct.pack(">q", value)

    @staticmethod
    def deserialize(data: bytes, /) -> int:
        """The integer of eight bytes."""
        if len(data) != 8:
            raise DeserializationError(f"a 64-bit integer has 8 bytes, not {len(data)}")
        return int.from_bytes(data, "big", signed=True)


class JsonSerde(Generic[T]):
    """JSON, decoded into and checked against a :class:`msgspec.Struct`, or any type that msgspec knows."""

    def __init__(self, of: type[T]) -> None:
        self.type = of
        self.serialize: Callable[[T], bytes] = msgspec.json.Encoder().encode
        self.deserialize: Callable[[bytes], T] = msgspec.json.Decoder(of).decode

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The JSON schema: a type may change as long as it reads what is stored."""
        # As it is read back, so that it equals itself: a default of () is [] in JSON.
        return {"json": msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(self.type)))}

    def __repr__(self) -> str:
        return f"JsonSerde({getattr(self.type, '__name__', self.type)})"


STRING = StringSerde()
BYTES = BytesSerde()
LONG = LongSerde()
