"""What an operator is: immutable data about one step, which binds to a task as a function.

A bound operator is called with a record's key, value, timestamp and headers, and calls ``forward`` with each record
that comes out. It sees no client, thread or clock; its state is in the stores that the task hands it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from streambank.streams.punctuation import Punctuation
from streambank.streams.stores.base import StateStore, Stored, StoreSpec, View
from streambank.streams.topic import Topic

__all__ = ["Operator", "Process", "Stateless", "StoreSpec", "Stored", "TableOperator", "TaskContext", "View", "fan_out"]


class Process(Protocol):
    """Takes a record: key, value, timestamp in ms, encoded headers.

    On a table's edge the record is an update: ``value`` is the new value, None for a delete, and ``old`` the one
    before; None where there was none, or where no operator downstream asked for old values. Stream operators take no
    notice of ``old``, so that a table's updates are a stream as they are.
    """

    def __call__(self, key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None, /) -> None:
        """Process the record."""


class TaskContext(Protocol):
    """What a task gives to the operators that are bound to it."""

    @property
    def stream_time(self) -> int:
        """The highest timestamp that the task has seen; -1 before the first record."""

    @property
    def partition(self) -> int:
        """The partition that the task works on."""

    def store(self, name: str) -> Any:
        """A store of the operator's own, or of a node that it reads, of the class that its spec's kind stands for."""

    @property
    def record_at(self) -> tuple[str, int, int] | None:
        """Topic, partition and offset of the record in work; None before the first."""

    def view(self, node: str) -> View:
        """Reads the table that the node makes."""

    def global_view(self, topic: str) -> View:
        """Reads the global table of that topic."""

    def schedule(self, punctuation: Punctuation, run: Callable[[int], None]) -> None:
        """Let the task call ``run(timestamp)`` when the punctuation is due. To be called while binding."""

    def on_advance(self, advance: Callable[[int], None]) -> None:
        """Let the task call ``advance(stream_time)`` when its time goes on without a record.

        To be called while binding. See ``StreamsConfig.idle_close_ms``: whoever sends results once their time is over
        sends those that are due at ``stream_time``, as if a record of another key had come with it.
        """

    def sink(self, topic: Topic[Any, Any], *, partition: int | None) -> Process:
        """Writes records to a topic: to that partition, or where their keys belong."""

    def drop(self, reason: str, **details: int) -> None:
        """Count, and log once in a while together with ``details``, that the record in work goes no further."""


class Operator(Protocol):
    """One step of a topology."""

    @property
    def kind(self) -> str:
        """What it does, as a description shows it."""

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The stores it owns."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The nodes whose tables it reads: they run in the same task."""

    @property
    def view_of(self) -> tuple[str, ...]:
        """The nodes whose tables its own table is computed from when it is read."""

    @property
    def wants_old(self) -> bool:
        """Whether it needs the old values of its parents' updates."""

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """The function that handles a record within this task."""


class TableOperator(Operator, Protocol):
    """An operator whose result is a table that others may read."""

    def view(self, context: TaskContext) -> View:
        """Reads the table's present content."""


@dataclass(frozen=True, slots=True)
class Stateless:
    """An operator that neither owns state nor reads any; those that do override what differs."""

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """None."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def view_of(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def wants_old(self) -> bool:
        """No."""
        return False


def fan_out(targets: Sequence[Process]) -> Process:
    """One function that hands a record to all ``targets`` in turn."""
    if not targets:
        return _ignore
    if len(targets) == 1:
        return targets[0]
    if len(targets) == 2:
        first, second = targets

        def both(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            first(key, value, timestamp, headers, old)
            second(key, value, timestamp, headers, old)

        return both

    def each(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
        for target in targets:
            target(key, value, timestamp, headers, old)

    return each


def _ignore(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
    """What follows the last operator."""


def follow_time(context: TaskContext, store: StateStore, advance: Callable[[int, bytes | None], None]) -> None:
    """Let ``advance(time before, headers)`` follow the store's time when that goes on without a record."""

    def idle(stream_time: int) -> None:
        before = store.observed_time
        if stream_time > before:
            store.observed_time = stream_time
            advance(before, None)

    context.on_advance(idle)
