"""aggregate, count: one value per key, kept up to date by every record of that key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View


@dataclass(frozen=True, slots=True)
class Aggregate(Stateless):
    """``aggregator(key, value, aggregate) -> aggregate``, starting from ``initializer()``.

    A result of None deletes the key. Records with a null key or value change nothing and are counted as dropped. The
    result's timestamp is the highest of the records that went into it.
    """

    initializer: Callable[[], Any]
    aggregator: Callable[[Any, Any, Any], Any]
    store: StoreSpec
    kind: str = "aggregate"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The aggregates by key."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Update the key's aggregate and forward the change."""
        initializer, aggregator, drop = self.initializer, self.aggregator, context.drop
        store = context.store(self.store.name)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None or value is None:
                drop("null key" if key is None else "null value")
                return
            stored = get(key)
            if stored is None:
                previous = None
                new = aggregator(key, value, initializer())
            else:
                previous, stored_timestamp = stored
                new = aggregator(key, value, previous)
                if stored_timestamp > timestamp:
                    timestamp = stored_timestamp
            put(key, new, timestamp, stored)
            forward(key, new, timestamp, headers, previous)

        return process

    def view(self, context: TaskContext) -> View:
        """The store."""
        view: View = context.store(self.store.name).get
        return view
