"""How keys and values become bytes and back. ``None`` never reaches a serde: it is a null key or a tombstone."""

import struct
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from streambank.streams.errors import DeserializationError

T = TypeVar("T")


class Serde(Protocol[T]):
    """Turns values into bytes and back."""

    def serialize(self, value: T, /) -> bytes:
        """The value's bytes."""

    def deserialize(self, data: bytes, /) -> T:
        """The value of ``data``.

        Raises:
            DeserializationError: these bytes are not such a value; the text says why.
        """


class StringSerde:
    """UTF-8 text."""

    def serialize(self, value: str, /) -> bytes:
        """The text's UTF-8 bytes."""
        return value.encode()

    def deserialize(self, data: bytes, /) -> str:
        """The text of UTF-8 bytes."""
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DeserializationError(f"not UTF-8 text: {error}") from error


class BytesSerde:
    """Bytes as they are."""

    def serialize(self, value: bytes, /) -> bytes:
        """The same bytes."""
        return value

    def deserialize(self, data: bytes, /) -> bytes:
        """The same bytes."""
        return data


class LongSerde:
    """A 64-bit integer, big-endian, as Kafka's LongSerializer writes it."""

    def serialize(self, value: int, /) -> bytes:
        """Eight bytes."""
        return struct.pack(">q", value)

    def deserialize(self, data: bytes, /) -> int:
        """The integer of eight bytes."""
        if len(data) != 8:
            raise DeserializationError(f"a 64-bit integer has 8 bytes, not {len(data)}")
        return int.from_bytes(data, "big", signed=True)


@dataclass(frozen=True, slots=True)
class JsonSerde(Generic[T]):
    """JSON, decoded into and checked against ``type`` (a :class:`msgspec.Struct` or any type msgspec knows)."""

    type: type[T]
    _encoder: msgspec.json.Encoder = field(init=False, repr=False, compare=False)
    _decoder: msgspec.json.Decoder[T] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_encoder", msgspec.json.Encoder())
        object.__setattr__(self, "_decoder", msgspec.json.Decoder(self.type))

    def serialize(self, value: T, /) -> bytes:
        """The value as compact JSON."""
        return self._encoder.encode(value)

    def deserialize(self, data: bytes, /) -> T:
        """The value of JSON bytes."""
        try:
            return self._decoder.decode(data)
        except msgspec.DecodeError as error:
            raise DeserializationError(f"{error} (expected {_type_name(self.type)})") from error


def _type_name(of: Any) -> str:
    return getattr(of, "__name__", repr(of))


STRING = StringSerde()
BYTES = BytesSerde()
LONG = LongSerde()
