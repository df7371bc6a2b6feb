"""What an operator is: immutable data about one step, which binds to a task as a function.

A bound operator is called with a record's key, value, timestamp and headers, and calls ``forward`` with each record
that comes out. It sees no client, thread or clock; its state is in the stores that the task hands it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from streambank.streams.serde import Serde
from streambank.streams.topic import Topic


class Process(Protocol):
    """Takes a record: key, value, timestamp in ms, encoded headers.

    On a table's edge the record is an update: ``value`` is the new value, None for a delete, and ``old`` the one
    before; None where there was none, or where no operator downstream asked for old values. Stream operators take no
    notice of ``old``, so that a table's updates are a stream as they are.
    """

    def __call__(self, key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None, /) -> None:
        """Process the record."""


Stored: TypeAlias = tuple[Any, int]
"""A store's entry: value and timestamp."""

View: TypeAlias = Callable[[Any], Stored | None]
"""Reads a table: the entry of a key, None if there is none."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A key-value store that a task keeps.

    ``changelog`` names the topic that rebuilds it where that is one of the topology's own: the topic a table is read
    from, or the one it is written to. None means an internal changelog topic.
    """

    name: str
    key: Serde[Any]
    value: Serde[Any]
    changelog: str | None = None
    read_only: bool = field(default=False)
    """Whether the changelog is the table's source, which the task reads and never writes."""


class Store(Protocol):
    """A task's key-value store. Keys are unique; a value is never None."""

    @property
    def get(self) -> View:
        """Reads a key's value and timestamp."""

    @property
    def put(self) -> Callable[[Any, Any, int, Stored | None], None]:
        """Sets a key's value and timestamp; a value of None deletes it.

        The last argument is what :attr:`get` returned for the key just before.
        """


class TaskContext(Protocol):
    """What a task gives to the operators that are bound to it."""

    @property
    def stream_time(self) -> int:
        """The highest timestamp that the task has seen; -1 before the first record."""

    @property
    def partition(self) -> int:
        """The partition that the task works on."""

    def store(self, name: str) -> Store:
        """One of the stores that the operator names."""

    def view(self, node: str) -> View:
        """Reads the table that the node makes."""

    def sink(self, topic: Topic[Any, Any], *, own_partition: bool) -> Process:
        """Writes records to a topic: to the partition of the same number as the task's, or where their keys belong."""

    def drop(self, reason: str) -> None:
        """Count, and log once in a while, that the record in work goes no further."""


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
