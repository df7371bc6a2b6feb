"""A task's key-value store: in memory, rebuilt from its changelog."""

from collections.abc import Callable, Iterator
from typing import Any

from streambank.streams.stores.base import LogUpdate, StateStore, Stored, StoreSpec, in_order


class KeyValueStore(StateStore):
    """Keys and values in a dict; each update goes to the changelog too, unless another operator writes that.

    Values are kept as objects and must not be changed in place. While :attr:`recording`, :meth:`rollback` brings back
    what was there at the last commit. That is not always on: to hold on to every value that was replaced costs a sixth
    of the throughput, and what was there can also be loaded again from the changelog. ``log_update`` writes an update
    to the changelog.

    Attributes:
        get: the value and timestamp of a key, None where there is none.
        put: set a key's value and timestamp, given what ``get`` has said of it; a value of None deletes the key.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec)
        self._entries: dict[Any, Stored] = {}
        # What put replaced since the last commit, in order. Two lists: tuples would be work for the garbage collector.
        self._undo_keys: list[Any] = []
        self._undo_stored: list[Stored | None] = []
        self._recording: list[bool] = []
        self.get: Callable[[Any], Stored | None] = self._entries.get
        self.put = self._putter(log_update)

    @property
    def recording(self) -> bool:
        """Whether what is put can be rolled back."""
        return bool(self._recording)

    def record(self, on: bool) -> None:
        """Switch :attr:`recording`, between a commit or a reload and the next put."""
        self._recording[:] = [True] if on else []

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        super().clear()
        self._entries.clear()
        self._forget_undo()

    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        if value is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = (value, timestamp)

    def committed(self) -> None:
        """What was put is final."""
        super().committed()
        self._forget_undo()

    def rollback(self) -> None:
        """Undo what was put since the last commit."""
        for key, stored in zip(reversed(self._undo_keys), reversed(self._undo_stored), strict=True):
            if stored is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = stored
        super().rollback()
        self._forget_undo()

    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every entry, in no particular order."""
        return iter(self._entries.items())

    def range(self, first: Any = None, last: Any = None) -> Iterator[tuple[Any, Stored]]:
        """The present entries from key ``first`` to ``last``, both included, in the order of the keys' bytes.

        What is put after the call does not show. All entries are looked at, when the first is asked for.
        """
        return in_order(list(self._entries.items()), self.spec.key.serialize, first, last)

    def __len__(self) -> int:
        return len(self._entries)

    def _forget_undo(self) -> None:
        self._undo_keys.clear()
        self._undo_stored.clear()

    def _putter(self, log_update: LogUpdate | None) -> Callable[[Any, Any, int, Stored | None], None]:
        # A closure, since this runs once per record and looking names up on self costs a tenth of it.
        recording = self._recording
        entries, remember_key, remember = self._entries, self._undo_keys.append, self._undo_stored.append

        def put(key: Any, value: Any, timestamp: int, stored: Stored | None) -> None:
            if recording:
                remember_key(key)
                remember(stored)
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = (value, timestamp)

        if log_update is None:
            return put

        def put_and_log(key: Any, value: Any, timestamp: int, stored: Stored | None) -> None:
            put(key, value, timestamp, stored)
            log_update(key, value, timestamp, None)

        return put_and_log
