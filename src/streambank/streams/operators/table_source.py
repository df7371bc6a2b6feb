"""table: a topic, or a stream of updates, taken as a table: each record is the newest value of its key."""

from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View
from streambank.streams.topic import Topic


@dataclass(frozen=True, slots=True)
class TableSource(Stateless):
    """Keeps the last value of each key in offset order, whatever the timestamps say; a null value deletes the key.

    Records with a null key are dropped. A table that nobody reads keeps no store and knows no old values.
    """

    topic: Topic[Any, Any] | None
    """The topic that the table is read from; None where a stream feeds it."""
    store: StoreSpec
    materialized: bool
    kind: str = "table"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The table's content."""
        return (self.store,) if self.materialized else ()

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Store the update and forward it with the value before."""
        drop = context.drop
        if not self.materialized:

            def pass_on(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
                if key is None:
                    drop("null key")
                else:
                    forward(key, value, timestamp, headers)

            return pass_on
        store = context.store(self.store.name)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None:
                drop("null key")
                return
            stored = get(key)
            put(key, value, timestamp, stored)
            forward(key, value, timestamp, headers, stored[0] if stored is not None else None)

        return process

    def view(self, context: TaskContext) -> View:
        """The store."""
        view: View = context.store(self.store.name).get
        return view
