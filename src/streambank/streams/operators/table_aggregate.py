"""aggregate on a grouped table: one value per group, kept up to date as rows come, change and go (KTableAggregate)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View


@dataclass(frozen=True, slots=True)
class TableAggregate(Stateless):
    """``subtractor(key, old, aggregate)`` takes a row out, then ``adder(key, new, aggregate)`` puts one in.

    ``initializer()`` makes the aggregate that the first row is added to. A result of None deletes the group. The
    result's timestamp is the highest of the updates that went into it.
    """

    initializer: Callable[[], Any]
    adder: Callable[[Any, Any, Any], Any]
    subtractor: Callable[[Any, Any, Any], Any]
    store: StoreSpec
    kind: str = "table-aggregate"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The aggregates by group."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Update the group's aggregate and forward the change."""
        initializer, adder, subtractor = self.initializer, self.adder, self.subtractor
        store = context.store(self.store.name)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            new, replaced = value
            stored = get(key)
            previous = None
            if stored is not None:
                previous, stored_timestamp = stored
                timestamp = max(timestamp, stored_timestamp)
            aggregate = previous
            if replaced is not None and aggregate is not None:
                aggregate = subtractor(key, replaced, aggregate)
            if new is not None:
                aggregate = adder(key, new, initializer() if aggregate is None else aggregate)
            put(key, aggregate, timestamp, stored)
            forward(key, aggregate, timestamp, headers, previous)

        return process

    def view(self, context: TaskContext) -> View:
        """The store."""
        view: View = context.store(self.store.name).get
        return view
