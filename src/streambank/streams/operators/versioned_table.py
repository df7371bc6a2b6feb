"""table with a history: each record is the value of its key from its timestamp on (KIP-889, KIP-914)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from streambank.streams.errors import TopologyError
from streambank.streams.operators.base import Process, TaskContext
from streambank.streams.operators.table_source import TableSource
from streambank.streams.serde import Serde
from streambank.streams.stores.versioned import versioned_store
from streambank.streams.topic import Topic


class History(NamedTuple):
    """Where the history of a versioned table is: the node and the store that keep it, and for how long."""

    node: str
    store: str
    retention_ms: int


@dataclass(frozen=True, slots=True)
class VersionedTable(TableSource):
    """Keeps the versions of each key in the order of their timestamps, whatever the order in which they come.

    An update that is older than its key's latest goes into the history and is forwarded too, with the latest value as
    the old one: what must not take it for the newest value stands behind
    :class:`~streambank.streams.operators.latest_updates.LatestUpdates`. One that is older than the history retention
    is dropped and counted, like a null key. The view takes a time as its second argument: the value as of then.
    """

    materialized: bool = True
    kind: str = "versioned-table"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Store the version and forward it with the latest value before."""
        store, drop = context.store(self.store.name), context.drop
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None:
                drop("null key")
                return
            latest = get(key)
            if put(key, value, timestamp):
                forward(key, value, timestamp, headers, latest[0] if latest is not None else None)
            else:
                drop("expired")

        return process


def versioned_table(
    node: str,
    topic: Topic[Any, Any] | None,
    store: str,
    serdes: tuple[Serde[Any], Serde[Any]],
    history_retention_ms: int,
) -> tuple[VersionedTable, History]:
    """The operator of the node, and where its history is. Raises TopologyError for a negative retention."""
    if history_retention_ms < 0:
        raise TopologyError(f"{node}: history_retention_ms must not be negative, but is {history_retention_ms}")
    spec = versioned_store(store, *serdes, history_retention_ms)
    return VersionedTable(topic, spec), History(node, store, history_retention_ms)
