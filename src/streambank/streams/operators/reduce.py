"""reduce: one value per key, made of its values two at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View


@dataclass(frozen=True, slots=True)
class Reduce(Stateless):
    """``reducer(reduced, value) -> reduced``; a key's first value is taken as it is. Else as :class:`Aggregate`."""

    reducer: Callable[[Any, Any], Any]
    store: StoreSpec
    kind: str = "reduce"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The reduced values by key."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Update the key's value and forward the change."""
        reducer, drop = self.reducer, context.drop
        store = context.store(self.store.name)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None or value is None:
                drop("null key" if key is None else "null value")
                return
            stored = get(key)
            if stored is None:
                previous, new = None, value
            else:
                previous, stored_timestamp = stored
                new = reducer(previous, value)
                if stored_timestamp > timestamp:
                    timestamp = stored_timestamp
            put(key, new, timestamp, stored)
            forward(key, new, timestamp, headers, previous)

        return process

    def view(self, context: TaskContext) -> View:
        """The store."""
        view: View = context.store(self.store.name).get
        return view
