"""materialize: a derived table's rows, kept in a store of their own."""

from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View


@dataclass(frozen=True, slots=True)
class TableMaterialize(Stateless):
    """Stores each update and passes it on.

    As in Kafka Streams, to be stored does not change what a table sends: its parent's tombstones for keys that were
    never there go through, unless something downstream wants old values (KTableFilterTest).
    """

    store: StoreSpec
    kind: str = "table-materialize"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The rows."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Store the update and forward it with the value before."""
        store = context.store(self.store.name)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            stored = get(key)
            put(key, value, timestamp, stored)
            forward(key, value, timestamp, headers, stored[0] if stored is not None else None)

        return process

    def view(self, context: TaskContext) -> View:
        """The store."""
        view: View = context.store(self.store.name).get
        return view
