"""Windows that each key has of its own, such as sessions: found by key and time, expired by their end."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from streambank.streams.stores.ascending import Ascending
from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore
from streambank.streams.windowed import Windowed

Bounds: TypeAlias = tuple[int, int]
"""A window's start and end."""


class SessionStore(UndoStore):
    """For each key its windows by start and end. No window of a key lies within another one.

    One is kept for ``spec.retention_ms`` of stream time after its end; :meth:`expire` then deletes it here and in the
    changelog, at a cost that does not depend on how many are kept.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._entries: dict[Windowed[Any], Stored] = {}
        self._bounds: dict[Any, Ascending[Bounds]] = {}
        self._ending: dict[int, dict[Windowed[Any], None]] = {}
        self._ends: Ascending[int] = Ascending()

    def fetch(self, window: Windowed[Any]) -> Stored | None:
        """The value and timestamp of a key's window."""
        return self._entries.get(window)

    def find(self, key: Any, earliest_end: int, latest_start: int) -> list[tuple[Windowed[Any], Stored]]:
        """The key's windows with ``end >= earliest_end`` and ``start <= latest_start``, earliest first."""
        found: list[tuple[Windowed[Any], Stored]] = []
        if (all_bounds := self._bounds.get(key)) is not None:
            for bounds in all_bounds.below((latest_start + 1,)):
                # Where starts ascend, ends do too.
                if bounds[1] < earliest_end:
                    break
                window = Windowed(key, *bounds)
                found.append((window, self._entries[window]))
        return found[::-1]

    def put(self, key: Windowed[Any], value: Any, timestamp: int) -> None:
        """Set the value of a key's window; None deletes it."""
        if self._recording:
            stored = self._entries.get(key)
            self._undo.append(lambda: self._set(key, stored))
        self._set(key, None if value is None else (value, timestamp))
        self._log_update(key, value, timestamp, None)

    def expire(self) -> None:
        """Delete the windows whose retention is over, by the observed time."""
        limit = self.observed_time - (self.spec.retention_ms or 0)
        while self._ends and self._ends.first < limit:
            for window in list(self._ending[self._ends.first]):
                self.put(window, None, self._entries[window][1])

    def ended(self, after: int, until: int) -> list[tuple[Windowed[Any], Stored]]:
        """The windows with ``after <= end < until``, in the order of their ends, then starts, then keys' bytes."""
        ends = self._ends.between(after, until)
        found = [(window, self._entries[window]) for end in ends for window in self._ending[end]]
        serialize = self.spec.key.serialize
        return sorted(found, key=lambda each: (each[0].end, each[0].start, serialize(each[0])))

    def load(self, key: Windowed[Any], value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        self._set(key, None if value is None else (value, timestamp))

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        super().clear()
        for each in (self._entries, self._bounds, self._ending):
            each.clear()
        self._ends = Ascending()

    def items(self) -> Iterator[tuple[Windowed[Any], Stored]]:
        """Every entry, in no particular order."""
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)

    def _set(self, window: Windowed[Any], stored: Stored | None) -> None:
        known = window in self._entries
        if stored is not None:
            self._entries[window] = stored
            if not known:
                self._index(window)
        elif known:
            del self._entries[window]
            self._forget(window)

    def _index(self, window: Windowed[Any]) -> None:
        key, start, end = window
        if (bounds := self._bounds.get(key)) is None:
            bounds = self._bounds[key] = Ascending()
        bounds.add((start, end))
        if end not in self._ending:
            self._ending[end] = {}
            self._ends.add(end)
        self._ending[end][window] = None

    def _forget(self, window: Windowed[Any]) -> None:
        key, start, end = window
        bounds = self._bounds[key]
        bounds.remove((start, end))
        if not bounds:
            del self._bounds[key]
        ending = self._ending[end]
        del ending[window]
        if not ending:
            del self._ending[end]
            self._ends.remove(end)
