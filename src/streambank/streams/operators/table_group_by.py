"""group_by on a table: its updates under other keys, each with what it replaces (KTableRepartitionMap)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from streambank.streams.operators.base import Process, Stateless, TaskContext
from streambank.streams.serde import Serde, fingerprint

V = TypeVar("V")


class Change(NamedTuple, Generic[V]):
    """What a row becomes and what it was; None where there is none."""

    new: V | None
    old: V | None


class ChangeSerde(Generic[V]):
    """Both values in one record (KIP-904), so that nobody sees one without the other."""

    def __init__(self, value: Serde[V]) -> None:
        self._serialize, self._deserialize = value.serialize, value.deserialize
        self.fingerprint = {"change": fingerprint(value)}
        self._decode = msgspec.msgpack.Decoder(tuple[bytes | None, bytes | None]).decode

    def serialize(self, value: Change[V], /) -> bytes:
        """The bytes of both values."""
        serialize = self._serialize
        return msgspec.msgpack.encode(tuple(None if each is None else serialize(each) for each in value))

    def deserialize(self, data: bytes, /) -> Change[V]:
        """Both values."""
        new, old = self._decode(data)
        deserialize = self._deserialize
        return Change(None if new is None else deserialize(new), None if old is None else deserialize(old))


@dataclass(frozen=True, slots=True)
class TableGroupBy(Stateless):
    """``selector(key, value) -> (key, value)`` of an update's new and old value.

    Where both have the same key they go on as one record, else the old one first. A null key or value that the selector
    gives skips that side.
    """

    selector: Callable[[Any, Any], tuple[Any, Any]]
    kind: str = "table-group-by"

    @property
    def wants_old(self) -> bool:
        """What was counted in has to be taken out again."""
        return True

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward :class:`Change` values under the selected keys."""
        selector = self.selector

        def selected(key: Any, value: Any) -> tuple[Any, Any] | None:
            pair = None if value is None else selector(key, value)
            return None if pair is None or pair[0] is None or pair[1] is None else pair

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            before, after = selected(key, old), selected(key, value)
            if before is not None and after is not None and before[0] == after[0]:
                forward(after[0], Change(after[1], before[1]), timestamp, headers)
                return
            if before is not None:
                forward(before[0], Change(None, before[1]), timestamp, headers)
            if after is not None:
                forward(after[0], Change(after[1], None), timestamp, headers)

        return process
