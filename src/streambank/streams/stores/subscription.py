"""Which rows of another table refer to a row: by foreign key, then by their own keys."""

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from streambank.streams.serde import Serde, fingerprint
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore

F = TypeVar("F")


class Reference(NamedTuple, Generic[F]):
    """A foreign key, and the bytes of the key of a row that refers to it."""

    foreign_key: F
    key: bytes


class ReferenceSerde(Generic[F]):
    """Both keys' bytes."""

    def __init__(self, foreign_key: Serde[F]) -> None:
        self._serialize, self._deserialize = foreign_key.serialize, foreign_key.deserialize
        self.fingerprint = {"reference": fingerprint(foreign_key)}
        self._decode = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode

    def serialize(self, value: Reference[F], /) -> bytes:
        """The bytes of both keys."""
        return msgspec.msgpack.encode((self._serialize(value.foreign_key), value.key))

    def deserialize(self, data: bytes, /) -> Reference[F]:
        """Both keys."""
        foreign_key, key = self._decode(data)
        return Reference(self._deserialize(foreign_key), key)


class Subscriber(NamedTuple):
    """A row that refers to a foreign key: the hash of its value, and the partition that it is in."""

    hash: bytes
    partition: int


class SubscriberSerde:
    """MessagePack."""

    def __init__(self) -> None:
        self.serialize = msgspec.msgpack.Encoder().encode
        self.deserialize = msgspec.msgpack.Decoder(Subscriber).decode


class SubscriptionStore(UndoStore):
    """For each foreign key the rows that refer to it."""

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._references: dict[Any, dict[bytes, Stored]] = {}
        self._length = 0

    def of(self, foreign_key: Any) -> list[tuple[bytes, Stored]]:
        """The rows that refer to a foreign key, in the order of their keys' bytes, as CombinedKeySchema has them.

        Their order thus does not depend on when they came, which a compacted changelog does not tell.
        """
        return sorted(self._references.get(foreign_key, {}).items())

    def put(self, reference: Reference[Any], value: Any, timestamp: int) -> None:
        """Put something for a reference; None deletes it."""
        if self._recording:
            before = self._references.get(reference.foreign_key, {}).get(reference.key)
            self._undo.append(lambda: self._set(reference, before))
        self._set(reference, None if value is None else (value, timestamp))
        self._log_update(reference, value, timestamp, None)

    def load(self, key: Reference[Any], value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        self._set(key, None if value is None else (value, timestamp))

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        super().clear()
        self._references.clear()
        self._length = 0

    def items(self) -> Iterator[tuple[Reference[Any], Stored]]:
        """Every reference."""
        for foreign_key, references in self._references.items():
            for key, stored in references.items():
                yield Reference(foreign_key, key), stored

    def __len__(self) -> int:
        return self._length

    def _set(self, reference: Reference[Any], stored: Stored | None) -> None:
        foreign_key, key = reference
        references = self._references.setdefault(foreign_key, {})
        self._length -= len(references)
        if stored is not None:
            references[key] = stored
        else:
            references.pop(key, None)
        self._length += len(references)
        if not references:
            del self._references[foreign_key]
