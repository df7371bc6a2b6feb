"""windowed aggregate: one value for each key and window of a fixed size (KStreamWindowAggregate)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View, follow_time
from streambank.streams.stores.window import WindowStore
from streambank.streams.windowed import Windowed
from streambank.streams.windows import TimeWindows


@dataclass(frozen=True, slots=True)
class WindowAggregate(Stateless):
    """``aggregator(key, value, aggregate) -> aggregate`` in every window that a record belongs to.

    A window takes records until its end plus the grace is reached by the operator's stream time; one that comes later
    is counted as dropped, once for each window. ``final``: nothing is sent before that, and then the result, once, in
    the order of the windows and the bytes of their keys (KIP-825). The result's timestamp is the highest of the records
    that went into it. Only a null key is refused; what a null value means is up to the aggregator.
    """

    initializer: Callable[[], Any]
    aggregator: Callable[[Any, Any, Any], Any]
    windows: TimeWindows
    store: StoreSpec
    final: bool = False
    kind: str = "window-aggregate"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The aggregates by window and key."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Update the windows of a record and forward the changes, or what has become final."""
        store: WindowStore = context.store(self.store.name)
        initializer, aggregator, drop = self.initializer, self.aggregator, context.drop
        size_ms, grace_ms, starts_of = self.windows.size_ms, self.windows.grace_ms, self.windows.starts
        is_tumbling = self.windows.advance_ms == size_ms
        fetch, put, final = store.fetch, store.put, self.final
        advance = self._advance(store, forward)

        follow_time(context, store, advance)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None:
                drop("null key")
                return
            before = store.observed_time
            if timestamp > before:
                store.observed_time = timestamp
            close_time = store.observed_time - grace_ms
            for start in (timestamp - timestamp % size_ms,) if is_tumbling else starts_of(timestamp):
                end = start + size_ms
                if end <= close_time:
                    drop("late", window_start=start, window_end=end, stream_time=store.observed_time)
                    continue
                stored = fetch(key, start)
                previous, latest = (None, timestamp) if stored is None else stored
                new = aggregator(key, value, initializer() if stored is None else previous)
                latest = max(latest, timestamp)
                windowed = Windowed(key, start, end)
                put(windowed, new, latest)
                if not final:
                    forward(windowed, new, latest, headers, previous)
            if timestamp > before:
                advance(before, headers)

        return process

    def _advance(self, store: WindowStore, forward: Process) -> Callable[[int, bytes | None], None]:
        """What happens when the operator's time moves on from ``before``: results become final, old windows go."""
        size_ms, grace_ms, final = self.windows.size_ms, self.windows.grace_ms, self.final

        def advance(before: int, headers: bytes | None) -> None:
            if final:
                closed = store.observed_time - grace_ms - size_ms
                # What ended before was sent then: the time survives a restart together with what was sent.
                for start in store.starts(max(0, before - grace_ms - size_ms + 1), closed):
                    _send(store, start, start + size_ms, forward, headers)
            store.expire()

        return advance

    def view(self, context: TaskContext) -> View:
        """The windows that are kept, by :class:`Windowed` key."""
        store: WindowStore = context.store(self.store.name)
        return lambda windowed: store.fetch(windowed.key, windowed.start)


def _send(store: WindowStore, start: int, end: int, forward: Process, headers: bytes | None) -> None:
    serialize = store.spec.key.serialize
    entries = [(Windowed(key, start, end), stored) for key, stored in store.window(start).items()]
    for windowed, (value, timestamp) in sorted(entries, key=lambda each: serialize(each[0])):
        forward(windowed, value, timestamp, headers, None)
