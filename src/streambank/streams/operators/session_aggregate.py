"""session aggregate: one value for each key and stretch of activity (KStreamSessionWindowAggregate)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View, follow_time
from streambank.streams.stores.session import SessionStore
from streambank.streams.windowed import Windowed
from streambank.streams.windows import SessionWindows


@dataclass(frozen=True, slots=True)
class SessionAggregate(Stateless):
    """``aggregator(key, value, aggregate) -> aggregate`` in the session that a record belongs to.

    A record that lies within the gap of several sessions makes them one: ``merger(key, aggregate, aggregate)``; the old
    ones get tombstones first, with their ends for timestamps. A result has its session's end. A record is too late if
    the session that it would make, merged with others, ended before the stream time less the grace and the gap.
    ``final``: results are sent once, when their session can no longer change; where the store keeps sessions for longer
    than that, a record in time may still make a longer one of it. Null keys are counted as dropped.
    """

    initializer: Callable[[], Any]
    aggregator: Callable[[Any, Any, Any], Any]
    merger: Callable[[Any, Any, Any], Any]
    windows: SessionWindows
    store: StoreSpec
    final: bool = False
    kind: str = "session-aggregate"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The aggregates by key and session."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Merge, update, and forward what changed or has become final."""
        store: SessionStore = context.store(self.store.name)
        initializer, aggregator, merger, drop = self.initializer, self.aggregator, self.merger, context.drop
        gap_ms, final = self.windows.gap_ms, self.final
        wait_ms = gap_ms + self.windows.grace_ms

        def advance(before: int, headers: bytes | None) -> None:
            if final:
                for window, (result, at) in store.ended(max(0, before - wait_ms), store.observed_time - wait_ms):
                    forward(window, result, at, headers, None)
            store.expire()

        follow_time(context, store, advance)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None:
                drop("null key")
                return
            before = store.observed_time
            store.observed_time = max(before, timestamp)
            close_time = store.observed_time - wait_ms
            merged = store.find(key, timestamp - gap_ms, timestamp + gap_ms)
            session = Windowed(key, timestamp, timestamp)
            aggregate = initializer()
            for window, (found, _) in merged:
                aggregate = merger(key, aggregate, found)
                session = Windowed(key, min(session.start, window.start), max(session.end, window.end))
            if session.end < close_time:
                start, end = session.start, session.end
                drop("late", window_start=start, window_end=end, stream_time=store.observed_time)
            else:
                if session.start != session.end or session.end != timestamp:
                    for window, (found, _) in merged:
                        store.put(window, None, window.end)
                        if not final:
                            forward(window, None, window.end, headers, found)
                # A session of one moment that gets another record of that moment keeps its key, and has an old value.
                replaced = merged[0][1][0] if merged and merged[0][0] == session else None
                new = aggregator(key, value, aggregate)
                store.put(session, new, session.end)
                if not final:
                    forward(session, new, session.end, headers, replaced)
            if store.observed_time > before:
                advance(before, headers)

        return process

    def view(self, context: TaskContext) -> View:
        """The sessions that are kept, by :class:`Windowed` key."""
        store: SessionStore = context.store(self.store.name)
        return store.fetch
