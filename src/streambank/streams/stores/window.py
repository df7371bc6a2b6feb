"""Windows that many keys share: found by start, expired a window at a time."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import Any

from streambank.streams.stores.base import LogUpdate, Stored, StoreSpec
from streambank.streams.stores.undo import UndoStore
from streambank.streams.windowed import Windowed


class WindowStore(UndoStore):
    """For each window, by its start, the keys that have a value in it.

    Windows all have one size. One is kept for ``spec.retention_ms`` of stream time after its start; :meth:`expire`
    then deletes it here and in the changelog, at the cost of what is in it.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec, log_update)
        self._size_ms = 0
        self._windows: dict[int, dict[Any, Stored]] = {}
        self._starts: list[int] = []

    def fetch(self, key: Any, start: int) -> Stored | None:
        """The value and timestamp of a key in the window that starts then."""
        window = self._windows.get(start)
        return window.get(key) if window is not None else None

    def fetch_range(self, key: Any, from_ms: int, to_ms: int) -> list[tuple[Windowed[Any], Stored]]:
        """The key's windows whose start is in ``[from_ms, to_ms]``, earliest first."""
        found = ((start, self._windows[start].get(key)) for start in self.starts(from_ms, to_ms))
        return [(Windowed(key, start, start + self._size_ms), stored) for start, stored in found if stored is not None]

    def starts(self, from_ms: int, to_ms: int) -> list[int]:
        """The starts in ``[from_ms, to_ms]`` of the windows that there are, earliest first."""
        return self._starts[bisect_left(self._starts, from_ms) : bisect_right(self._starts, to_ms)]

    def window(self, start: int) -> dict[Any, Stored]:
        """What the window that starts then holds, by key: to be read only."""
        return self._windows.get(start, {})

    def put(self, key: Windowed[Any], value: Any, timestamp: int) -> None:
        """Set a key's value in a window; None deletes it."""
        if self._recording:
            self._remember(key)
        self._set(key, None if value is None else (value, timestamp))
        self._log_update(key, value, timestamp, None)

    def expire(self) -> None:
        """Delete the windows whose retention is over, by the observed time."""
        limit = self.observed_time - (self.spec.retention_ms or 0)
        while self._starts and self._starts[0] < limit:
            start = self._starts[0]
            window = self._windows[start]
            if self._recording:
                self._undo.append(self._restorer(start, window))
            for key, (_, timestamp) in window.items():
                self._log_update(Windowed(key, start, start + self._size_ms), None, timestamp, None)
            del self._windows[start], self._starts[0]

    def load(self, key: Windowed[Any], value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog."""
        self._set(key, None if value is None else (value, timestamp))

    def clear(self) -> None:
        """Forget every entry, to be loaded again."""
        super().clear()
        self._windows.clear()
        self._starts.clear()

    def items(self) -> Iterator[tuple[Windowed[Any], Stored]]:
        """Every entry, in the order of the windows."""
        for start in self._starts:
            for key, stored in self._windows[start].items():
                yield Windowed(key, start, start + self._size_ms), stored

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))

    def _set(self, key: Windowed[Any], stored: Stored | None) -> None:
        window = self._windows.get(key.start)
        if stored is None:
            if window is not None and window.pop(key.key, None) is not None and not window:
                del self._windows[key.start]
                del self._starts[bisect_left(self._starts, key.start)]
            return
        if window is None:
            self._size_ms = key.end - key.start
            window = self._windows[key.start] = {}
            insort(self._starts, key.start)
        window[key.key] = stored

    def _remember(self, key: Windowed[Any]) -> None:
        stored = self.fetch(key.key, key.start)
        self._undo.append(lambda: self._set(key, stored))

    def _restorer(self, start: int, window: dict[Any, Stored]) -> Callable[[], None]:
        def restore() -> None:
            self._windows[start] = window
            insort(self._starts, start)

        return restore
