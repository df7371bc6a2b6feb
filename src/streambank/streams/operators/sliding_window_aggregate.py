"""sliding aggregate: one value for each key and set of records that lie within a time of each other (KIP-450)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, Stored, StoreSpec, TaskContext, View, follow_time
from streambank.streams.stores.session import SessionStore
from streambank.streams.windowed import Windowed
from streambank.streams.windows import SlidingWindows


@dataclass(frozen=True, slots=True)
class SlidingWindowAggregate(Stateless):
    """``aggregator(key, value, aggregate) -> aggregate`` in every sliding window that a record belongs to or opens.

    The rules are KStreamSlidingWindowAggregate's. Each record has a window that ends with it, and one that starts one
    millisecond after it as soon as another record lies in that; records younger than the time difference share the
    window that starts at 0. A window takes records until its end is behind the operator's stream time by more than the
    grace. ``final``: results are sent once, when that is so. Null keys and values are counted as dropped.
    """

    initializer: Callable[[], Any]
    aggregator: Callable[[Any, Any, Any], Any]
    windows: SlidingWindows
    store: StoreSpec
    final: bool = False
    kind: str = "sliding-window-aggregate"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The aggregates by key and window."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Update the windows of a record, open those that it makes, and forward the changes."""
        store: SessionStore = context.store(self.store.name)
        difference_ms, grace_ms, drop, final = (
            self.windows.time_difference_ms,
            self.windows.grace_ms,
            context.drop,
            self.final,
        )

        def advance(before: int, headers: bytes | None) -> None:
            if final:
                for window, (result, at) in store.ended(max(0, before - grace_ms), store.observed_time - grace_ms):
                    forward(window, result, at, headers, None)
            store.expire()

        follow_time(context, store, advance)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None or value is None:
                drop("null key" if key is None else "null value")
                return
            before = store.observed_time
            store.observed_time = max(before, timestamp)
            close_time = store.observed_time - grace_ms
            if timestamp + 1 + difference_ms <= close_time:
                end = timestamp + difference_ms
                drop("late", window_start=timestamp, window_end=end, stream_time=store.observed_time)
                return
            step = _Step(self, store, forward, drop, key, value, timestamp, headers, close_time)
            if timestamp < difference_ms:
                step.early()
            else:
                step.usual()
            if store.observed_time > before:
                advance(before, headers)

        return process

    def view(self, context: TaskContext) -> View:
        """The windows that are kept, by :class:`Windowed` key."""
        store: SessionStore = context.store(self.store.name)
        return store.fetch


@dataclass(slots=True)
class _Step:
    """One record on its way through the windows of its key."""

    operator: SlidingWindowAggregate
    store: SessionStore
    forward: Process
    drop: Callable[..., None]
    key: Any
    value: Any
    timestamp: int
    headers: bytes | None
    close_time: int

    def usual(self) -> None:
        """A record that is not among the first: windows around it, latest first, then those that it opens."""
        timestamp, difference_ms = self.timestamp, self.operator.windows.time_difference_ms
        starts: set[int] = set()
        left: Stored | None = None
        right: Stored | None = None
        previous: int | None = None
        has_left = False
        for window, stored in reversed(self._around(max(0, timestamp - 2 * difference_ms))):
            starts.add(window.start)
            if window.start > timestamp:
                continue
            if window.end > timestamp:
                right = right or stored
                self._update(window, stored)
            elif window.end == timestamp:
                has_left = True
                self._update(window, stored)
                if stored[1] == timestamp:
                    # Another record of this time has opened all that there is to open.
                    return
                previous = stored[1]
            else:
                left, previous = stored, stored[1]
                break
        if previous is not None and previous + 1 not in starts and previous + 1 + difference_ms >= timestamp:
            self._open(previous + 1)
        if not has_left:
            begun = left if previous is not None and timestamp - difference_ms <= previous else None
            self._open(timestamp - difference_ms, begun)
        self._open_right(right, starts)

    def early(self) -> None:
        """A record younger than the time difference: its left window is the one from 0 that all such records share."""
        timestamp = self.timestamp
        starts: set[int] = set()
        shared: Stored | None = None
        right: Stored | None = None
        for window, stored in self._around(0):
            starts.add(window.start)
            if window.start == 0:
                shared = stored
            elif window.start <= timestamp:
                right = stored
                self._update(window, stored)
        previous = shared[1] if shared is not None and shared[1] < timestamp else None
        if right is None and shared is not None and shared[1] > timestamp:
            right = shared
        self._open_right(right, starts)
        if previous is not None and previous + 1 not in starts:
            self._open(previous + 1)
        if shared is None:
            self._open(0)
        else:
            self._update(self._window(0), shared)

    def _around(self, earliest_start: int) -> list[tuple[Windowed[Any], Stored]]:
        difference_ms = self.operator.windows.time_difference_ms
        return self.store.find(self.key, earliest_start + difference_ms, self.timestamp + 1)

    def _window(self, start: int) -> Windowed[Any]:
        return Windowed(self.key, start, start + self.operator.windows.time_difference_ms)

    def _open(self, start: int, begun: Stored | None = None) -> None:
        """A new window with this record, on top of what ``begun`` holds."""
        aggregate = begun[0] if begun is not None else self.operator.initializer()
        self._update(self._window(start), (aggregate, self.timestamp), is_new=True)

    def _open_right(self, right: Stored | None, starts: set[int]) -> None:
        """The window right after this record, if later ones belong into it: it does not hold this one."""
        if right is None or right[1] <= self.timestamp or self.timestamp + 1 in starts:
            return
        self._put(self._window(self.timestamp + 1), right[0], right[1], None)

    def _update(self, window: Windowed[Any], stored: Stored, *, is_new: bool = False) -> None:
        if window.end < self.close_time:
            start, end = window.start, window.end
            self.drop("late", window_start=start, window_end=end, stream_time=self.store.observed_time)
            return
        new = self.operator.aggregator(self.key, self.value, stored[0])
        self._put(window, new, max(stored[1], self.timestamp), None if is_new else stored[0])

    def _put(self, window: Windowed[Any], value: Any, timestamp: int, old: Any) -> None:
        self.store.put(window, value, timestamp)
        if not self.operator.final:
            self.forward(window, value, timestamp, self.headers, old)
