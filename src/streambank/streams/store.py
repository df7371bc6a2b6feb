"""A task's key-value store: in memory, rebuilt from its changelog, with an undo for the transaction in work."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from streambank.streams.operators.base import Stored, StoreSpec

LogUpdate: TypeAlias = Callable[[bytes | None, bytes | None, int, bytes | None], None]


class KeyValueStore:
    """Keys and values in a dict; each update goes to the changelog too, unless another operator writes that.

    Values are kept as objects and must not be changed in place. Until :meth:`committed`, :meth:`rollback` brings back
    what was there before.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        self.spec = spec
        self._entries: dict[Any, Stored] = {}
        self._undo: dict[Any, Stored | None] = {}
        self._log_update = log_update
        self.get: Callable[[Any], Stored | None] = self._entries.get

    def put(self, key: Any, value: Any, timestamp: int, /) -> None:
        """Set the key; a value of None deletes it."""
        entries, undo = self._entries, self._undo
        if key not in undo:
            undo[key] = entries.get(key)
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = (value, timestamp)
        if self._log_update is not None:
            spec = self.spec
            data = None if value is None else spec.value.serialize(value)
            self._log_update(spec.key.serialize(key), data, timestamp, None)

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        if value is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = (value, timestamp)

    def committed(self) -> None:
        """What was put is final."""
        self._undo.clear()

    def rollback(self) -> None:
        """Undo what was put since the last commit."""
        for key, stored in self._undo.items():
            if stored is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = stored
        self._undo.clear()

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every entry, in no particular order."""
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)
