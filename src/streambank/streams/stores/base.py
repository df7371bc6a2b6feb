"""What every store of a task has in common: it commits, goes back to the last commit, comes back from a changelog."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from streambank.streams.serde import Serde

Stored: TypeAlias = tuple[Any, int]
"""A store's entry: value and timestamp."""

View: TypeAlias = Callable[..., Stored | None]
"""Reads a table: a key's entry, None if there is none. A versioned table's takes a time too: the entry as of then."""

LogUpdate: TypeAlias = Callable[[Any, Any, int, bytes | None], None]
"""Writes an update to a store's changelog: key, value (None deletes), timestamp, headers."""

StoreKind: TypeAlias = Literal[
    "key-value",
    "window",
    "session",
    "join-buffer",
    "suppression",
    "subscription",
    "versioned",
    "join-grace-buffer",
]

NO_TIME = -1
"""The time before the first record."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A store that a task keeps.

    ``key`` and ``value`` are the serdes of its changelog's records; the key of a window store's is a
    :class:`~streambank.streams.windowed.Windowed`. ``changelog`` names the topic that rebuilds it where that is one of
    the topology's own: the topic a table is read from, or the one it is written to. None means an internal topic.
    """

    name: str
    key: Serde[Any]
    value: Serde[Any]
    changelog: str | None = None
    read_only: bool = field(default=False)
    """Whether the changelog is the table's source, which the task reads and never writes."""
    kind: StoreKind = "key-value"
    retention_ms: int | None = None
    """How long, in stream time, a store keeps windows, or versions that are not the latest."""


class StateStore(ABC):
    """A store of one task.

    Values are kept as objects and must not be changed in place. A transaction of the log makes what was put final
    (:meth:`committed`); until then :meth:`rollback` can undo it, if :attr:`recording` was on since the last commit.
    Otherwise the runner loads the store from its changelog again. ``observed_time`` is the stream time of the operator
    that owns the store: the task commits it with the input offsets, so that it survives restarts.
    """

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        self.observed_time = NO_TIME
        self._committed_time = NO_TIME

    def resume_at(self, observed_time: int) -> None:
        """Take over the time that was committed; called once, after :meth:`load`."""
        self.observed_time = self._committed_time = observed_time

    def committed(self) -> None:
        """What was put is final. Overridden: calls this too."""
        self._committed_time = self.observed_time

    def rollback(self) -> None:
        """Undo what was put since the last commit. Overridden: calls this too."""
        self.observed_time = self._committed_time

    def open(self) -> int | None:
        """Make ready to be loaded; the changelog's offset up to which it kept what it had, None if it kept nothing."""
        return None

    def reached(self, offset: int) -> None:  # noqa: B027
        """What was committed or loaded is that of the changelog before ``offset``."""

    def close(self, *, save: bool) -> None:  # noqa: B027
        """Release what it holds outside of memory; ``save``: so that it can go on from there."""

    @property
    @abstractmethod
    def recording(self) -> bool:
        """Whether what is put can be rolled back."""

    @abstractmethod
    def record(self, on: bool) -> None:
        """Switch :attr:`recording`, between a commit or a reload and the next put."""

    @abstractmethod
    def load(self, key: Any, value: Any, timestamp: int) -> None:
        """Set an entry that comes from the changelog; a value of None deletes it."""

    @abstractmethod
    def clear(self) -> None:
        """Forget every entry, to be loaded again; the observed time is that of the last commit. Calls this too."""
        self.observed_time = self._committed_time

    @abstractmethod
    def items(self) -> Iterator[tuple[Any, Stored]]:
        """Every entry by the key of its changelog, in no particular order."""

    @abstractmethod
    def __len__(self) -> int:
        """How many entries there are."""


def in_order(
    entries: Iterable[tuple[Any, Stored]], serialize: Callable[[Any], bytes], first: Any, last: Any
) -> Iterator[tuple[Any, Stored]]:
    """The entries from key ``first`` to ``last`` (None: no bound), both included, in the order of the keys' bytes."""
    low = b"" if first is None else serialize(first)
    high = None if last is None else serialize(last)
    found = [
        (data, entry) for entry in entries if (data := serialize(entry[0])) >= low and (high is None or data <= high)
    ]
    yield from (entry for _, entry in sorted(found, key=itemgetter(0)))
