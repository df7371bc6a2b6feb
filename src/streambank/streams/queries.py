"""Interactive queries: reading a running application's stores from any thread, as of the last commit.

A question is put to the runner and answered by its thread between two transactions. So an answer never has half a
transaction in it, the stores need no locks, and processing pays for a question only when there is one. A lock that the
runner holds while it works would do as well, but a busy runner would take it again before a waiting thread wakes up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from streambank.log import EventLog, TopicPartition, partition_for
from streambank.streams.errors import NotHereError, QueryError, QueryTimeoutError
from streambank.streams.serde import Serde
from streambank.streams.stores import StateStore
from streambank.streams.stores.base import Stored
from streambank.streams.topology import SubTopology, Topology

if TYPE_CHECKING:
    from collections.abc import Iterator

A = TypeVar("A")

Parts: TypeAlias = Mapping[int, StateStore]
"""The parts of a store that a member keeps, by partition."""

_BY_TIME = {"window": "fetch_range", "session": "find"}
"""The method of each kind of store of windows that finds a key's windows by time."""


@dataclass(slots=True)
class _Question:
    answer: Callable[[], Any]
    ready: Callable[[], bool]
    future: Future[Any]

    def try_to_answer(self) -> bool:
        """Whether it is done with: answered, or nobody waits for it any more."""
        if self.future.cancelled():
            return True
        try:
            if not self.ready():
                return False
            result = self.answer()
        except Exception as error:
            if self.future.set_running_or_notify_cancel():
                self.future.set_exception(error)
        else:
            if self.future.set_running_or_notify_cancel():
                self.future.set_result(result)
        return True


class Questions:
    """What other threads ask of the thread that runs an application."""

    def __init__(self, settle: Callable[[], None], wake: Callable[[], None]) -> None:
        """``settle`` commits what there is to commit; ``wake`` lets the runner go on where it waits for records."""
        self._settle, self._wake = settle, wake
        self._waiting: deque[_Question] = deque()
        self._thread: int | None = None
        self._busy = self._closed = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @contextmanager
    def working(self) -> Iterator[None]:
        """The runner's thread works, with half a transaction in the stores perhaps."""
        self._thread, self._busy = threading.get_ident(), True
        try:
            yield
        finally:
            self._busy = False

    def ask(self, answer: Callable[[], A], ready: Callable[[], bool], timeout_s: float) -> A:
        """What ``answer()`` says on the runner's thread, between transactions, once ``ready()`` is true there.

        Raises:
            QueryTimeoutError: not within ``timeout_s``.
            NotHereError: the runner is closed.
            QueryError: the question came from within an operator.
        """
        own_thread = self._thread == threading.get_ident()
        if own_thread and self._busy:
            raise QueryError("an operator cannot query the application it runs in: read a table by a join")
        question = _Question(answer, ready, Future())
        self._waiting.append(question)
        if self._closed:
            self.close()
        elif own_thread:
            self.answer()
            timeout_s = 0.0  # Nobody else would answer it.
        else:
            self._wake()
        try:
            result: A = question.future.result(timeout_s)
        except CancelledError:
            raise NotHereError("the application is closed") from None
        except TimeoutError:
            if question.future.cancel():
                raise QueryTimeoutError(
                    f"no answer within {timeout_s:g} s: the application does not run, or works on one transaction "
                    "for longer, or has not come to min_position yet"
                ) from None
            result = question.future.result()
        return result

    def answer(self) -> None:
        """Answer what can be answered; called by the runner's thread between transactions."""
        self._settle()
        for _ in range(len(self._waiting)):
            question = self._waiting.popleft()
            if not question.try_to_answer():
                self._waiting.append(question)

    def close(self) -> None:
        """Nothing is answered any more."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._waiting.popleft().future.cancel()


class Reached:
    """Whether given positions of an application's inputs are processed, with all that follows within the application.

    What they were made into may have gone on through internal topics: then those have to be processed too, up to where
    they ended when the step before was done. By the group's committed offsets, so that other members' work counts.
    """

    def __init__(
        self,
        topology: Topology,
        application_id: str,
        log: EventLog,
        positions: Mapping[TopicPartition, int],
        until: SubTopology,
    ) -> None:
        """``until`` is the sub-topology that is of interest: what follows from it is not waited for.

        Raises:
            QueryError: a position is in a topic that the application does not read.
        """
        self._application_id, self._log, self._missing = application_id, log, dict(positions)
        self._seen: set[str] = set()
        self._followed = [sub for sub in topology.sub_topologies if sub.index != until.index]
        self._name = partial(topology.topic_name, application_id=application_id)
        self._read = {self._name(topic.name): topic.partitions for topic in topology.source_topics}
        for at in positions:
            if at.topic not in self._read:
                raise QueryError(f"min_position: topic {at.topic!r} is not read here, only {', '.join(self._read)}")

    def __call__(self) -> bool:
        """Look at the committed offsets."""
        while self._missing:
            committed = self._log.committed(self._application_id)
            if any(at not in committed or committed[at].offset < offset for at, offset in self._missing.items()):
                return False
            self._missing = self._following({at.topic for at in self._missing})
        return True

    def _following(self, topics: set[str]) -> dict[TopicPartition, int]:
        """The present ends of what the sub-topologies that read ``topics`` write, and others read."""
        self._seen |= topics
        readers = [sub for sub in self._followed if topics & {self._name(each.topic.name) for each in sub.sources}]
        written = {self._name(topic.name) for sub in readers for topic in sub.sinks} - self._seen
        partitions = [TopicPartition(name, n) for name in written & self._read.keys() for n in range(self._read[name])]
        ends = {at: self._log.watermarks(at).high for at in partitions}
        return {at: end for at, end in ends.items() if end > 0}


def find_store(topology: Topology, name: str) -> SubTopology:
    """The sub-topology whose tasks keep the store. Raises QueryError, with the stores that there are."""
    for sub in topology.sub_topologies:
        if any(store.name == name for store in sub.stores):
            return sub
    raise QueryError(f"there is no store {name!r}, only {', '.join(sorted(topology.stores)) or 'none'}")


class StoreQuery:
    """Reads one store of a running application, from any thread. See :meth:`StreamRunner.query`.

    Each call is a question of its own: what one says is as of one commit, and what two say may not be. Values must not
    be changed. Every method raises QueryError where this member does not have what is asked for, and QueryTimeoutError.
    """

    def __init__(
        self,
        name: str,
        sub: SubTopology,
        parts: Callable[[], Parts],
        ask: Callable[[Callable[[], Any], float], Any],
        timeout_s: float,
    ) -> None:
        """``parts`` are those of the store, to be called within what ``ask`` asks for, which also gets a time-out."""
        (self._spec,) = (store for store in sub.stores if store.name == name)
        self._name, self._partitions, self._parts = name, sub.partitions, parts
        self._ask_within, self._timeout_s = ask, timeout_s

    def of(self, partitions: Collection[int]) -> StoreQuery:
        """The same of these partitions alone; every method raises NotHereError unless this member has all of them."""
        query = copy(self)
        query._parts = lambda: self._all_of(partitions)
        return query

    def within(self, timeout_s: float) -> StoreQuery:
        """The same, with another time-out."""
        query = copy(self)
        query._timeout_s = timeout_s
        return query

    def _ask(self, answer: Callable[[], Any]) -> Any:
        return self._ask_within(answer, self._timeout_s)

    def _all_of(self, partitions: Collection[int]) -> Parts:
        parts = self._parts()
        if missing := set(partitions) - parts.keys():
            raise NotHereError(f"store {self._name!r}: partition {min(missing)}, {self._elsewhere(parts)}")
        return {partition: parts[partition] for partition in partitions}

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions of the store that this member has at the moment: what all, range and count cover."""
        found: frozenset[int] = self._ask(lambda: frozenset(self._parts()))
        return found

    def get(self, key: Any) -> Any | None:
        """The value of a key; None where there is none."""
        self.check_kind()
        stored = self._ask(lambda: self._find(key, self._spec.key, lambda store: store.get(key)))
        return None if stored is None else stored[0]

    def range(self, first: Any = None, last: Any = None) -> list[tuple[Any, Any]]:
        """Keys and values from key ``first`` to ``last`` (None: no bound), both included, by the keys' bytes."""
        self.check_kind()
        return self._in_order(self._ask(lambda: [store.range(first, last) for store in self._local()]))

    def all(self) -> list[tuple[Any, Any]]:
        """Every key and value, by the keys' bytes; in a store of windows keys are windowed."""
        return self._in_order(self._ask(lambda: [list(store.items()) for store in self._local()]))

    def count(self) -> int:
        """How many entries there are."""
        count: int = self._ask(lambda: sum(len(store) for store in self._local()))
        return count

    def fetch(self, key: Any, from_ms: int, to_ms: int) -> list[tuple[Any, Any]]:
        """A key's windows, earliest first, with their values: those that start from ``from_ms`` to ``to_ms`` inclusive.

        Of sessions and sliding windows, those that overlap with that time.
        """
        method = _BY_TIME.get(self._spec.kind)
        if method is None:
            raise QueryError(f"store {self._name!r} keeps no windows: use get, range, all or count")
        # Records are placed by the key alone, not by its window's bounds.
        inner = getattr(self._spec.key, "inner", self._spec.key)

        def windows(store: Any) -> list[tuple[Any, Stored]]:
            return list(getattr(store, method)(key, from_ms, to_ms))

        return [(window, stored[0]) for window, stored in self._ask(lambda: self._find(key, inner, windows))]

    def check_kind(self) -> None:
        """Raise QueryError where get and range cannot read the store."""
        if self._spec.kind != "key-value":
            raise QueryError(f"store {self._name!r} is not read by keys alone: use fetch(key, from_ms, to_ms) or all")

    def _find(self, key: Any, serde: Serde[Any], read: Callable[[Any], Any]) -> Any:
        """What one of the parts has, whichever it is: records may have been placed otherwise than by their keys."""
        parts = self._parts()
        partition = partition_for(serde.serialize(key), self._partitions)
        for number, store in parts.items():
            if number != partition and (found := read(store)):
                return found
        if partition not in parts:
            raise NotHereError(
                f"store {self._name!r}: key {key!r} is in partition {partition}, {self._elsewhere(parts)}"
            )
        return read(parts[partition])

    def _local(self) -> list[Any]:
        parts = self._parts()
        if not parts:
            raise NotHereError(f"store {self._name!r} has {self._partitions} partitions, {self._elsewhere(parts)}")
        return [*parts.values()]

    @staticmethod
    def _elsewhere(parts: Parts) -> str:
        here = ", ".join(map(str, sorted(parts))) or "none"
        return f"which this member does not have at the moment; it has {here}"

    def _in_order(self, parts: Iterable[Iterable[tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
        serialize = self._spec.key.serialize
        entries = sorted((entry for part in parts for entry in part), key=lambda entry: serialize(entry[0]))
        return [(key, stored[0]) for key, stored in entries]
