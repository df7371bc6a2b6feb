"""The Processor API: a step written as a class, with stores of its own and work to do at intervals."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar, cast

from streambank.log import Headers, decode_headers, encode_headers
from streambank.streams.errors import StreamsError, TopologyError
from streambank.streams.operators.base import Process, TaskContext
from streambank.streams.punctuation import Punctuation
from streambank.streams.stores.base import NO_TIME, StoreSpec

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")


class Record(NamedTuple, Generic[K, V]):
    """A record as a processor gets it. ``timestamp`` in ms."""

    key: K
    value: V
    timestamp: int
    headers: Headers


class RecordMetadata(NamedTuple):
    """Where in the log a record is."""

    topic: str
    partition: int
    offset: int


class Processor(Generic[K, V, K2, V2]):
    """A step of a stream: takes records of K and V, forwards records of K2 and V2.

    Each task has an instance of its own. It must be pure but for its stores: they go back to the last commit when a
    transaction is undone, and come back after a restart; attributes of the instance do neither.

    Attributes:
        schedules: when :meth:`punctuate` is called.
    """

    schedules: ClassVar[Sequence[Punctuation]] = ()

    def process(self, record: Record[K, V], context: ProcessorContext[K2, V2]) -> None:
        """Take a record."""
        raise StreamsError(f"{type(self).__name__} has no process(record, context)")

    def punctuate(self, timestamp: int, context: ProcessorContext[K2, V2]) -> None:
        """One of :attr:`schedules` is due: ``context.punctuation``.

        ``timestamp`` is the stream time, or the wall clock's where the schedule goes by that. By stream time, it is
        called after the record that made it due, whose failure it is if it raises. By the wall clock, between two
        transactions, as exactly as ``StreamsConfig.poll_timeout_s`` allows; if it raises, the application stops.
        """
        raise StreamsError(f"{type(self).__name__} has schedules, but no punctuate(timestamp, context)")


ProcessFunction: TypeAlias = Callable[[Record[K, V], "ProcessorContext[K2, V2]"], object]
"""A processor that is no more than its ``process``."""


class ProcessorContext(Generic[K, V]):
    """What a processor can see and do while it handles a record or a punctuation.

    Attributes:
        timestamp: that of the record; in a punctuation the task's stream time (before its first record: the wall
            clock's). What is forwarded or put without another has this.
        punctuation: the schedule that is due; None while a record is handled.
    """

    def __init__(self, task: TaskContext, stores: Iterable[StoreSpec], forward: Process, *, keeps_keys: bool) -> None:
        self.timestamp = NO_TIME
        self.punctuation: Punctuation | None = None
        self._key: Any = None
        self._headers: bytes | None = None
        self._task, self._forward, self._keeps_keys = task, forward, keeps_keys
        self._stores: dict[str, Any] = {spec.name: self._state(spec) for spec in stores}

    def forward(self, key: K, value: V, *, timestamp: int | None = None, headers: Headers | None = None) -> None:
        """Send a record on; by default with the record's timestamp and headers.

        Raises:
            StreamsError: the timestamp is negative, or :meth:`KStream.process_values` was given another key.
        """
        if timestamp is None:
            timestamp = self.timestamp
        elif timestamp < 0:
            raise StreamsError(f"a processor forwards the timestamp {timestamp}: it must not be negative")
        if self._keeps_keys and self.punctuation is None and key != self._key:
            raise StreamsError(
                f"process_values: the record of key {self._key!r} is forwarded under {key!r}. Use process, which "
                "lets the records go where their keys belong"
            )
        encoded = self._headers if headers is None else encode_headers(headers)
        self._forward(key, value, timestamp, encoded)

    def store(self, name: str) -> Any:
        """One of the processor's stores: a :class:`KeyValueState`, or what a store of another kind offers.

        Raises:
            StreamsError: the processor was given none of that name.
        """
        try:
            return self._stores[name]
        except KeyError:
            known = ", ".join(map(repr, self._stores)) or "none"
            raise StreamsError(f"the processor has no store {name!r}: pass it in stores=. It has {known}") from None

    @property
    def stream_time(self) -> int:
        """The highest timestamp that the task has seen, in ms; -1 before the first record."""
        return self._task.stream_time

    @property
    def partition(self) -> int:
        """The partition that the task works on."""
        return self._task.partition

    @property
    def record_metadata(self) -> RecordMetadata | None:
        """Where the record in work was read, by the topic's name in the log; None in a punctuation."""
        if self.punctuation is not None or (at := self._task.record_at) is None:
            return None
        return RecordMetadata(*at)

    def _state(self, spec: StoreSpec) -> Any:
        store = self._task.store(spec.name)
        return KeyValueState(store, self) if spec.kind == "key-value" else store

    def _enter(self, key: Any, timestamp: int, headers: bytes | None, punctuation: Punctuation | None) -> None:
        self._key, self.timestamp, self._headers, self.punctuation = key, timestamp, headers, punctuation


class KeyValueState(Generic[K, V]):
    """A processor's key-value store. Values must not be changed in place."""

    def __init__(self, store: Any, context: ProcessorContext[Any, Any]) -> None:
        self._store, self._context = store, context

    def get(self, key: K) -> V | None:
        """The key's value; None where there is none."""
        stored = self._store.get(key)
        return None if stored is None else stored[0]

    def timestamp(self, key: K) -> int | None:
        """The timestamp that the key's value was put with."""
        stored = self._store.get(key)
        return None if stored is None else stored[1]

    def put(self, key: K, value: V | None, timestamp: int | None = None) -> None:
        """Set the key's value, with the timestamp of what is in work unless another is given; None deletes it."""
        at = self._context.timestamp if timestamp is None else timestamp
        self._store.put(key, value, at, self._store.get(key))

    def delete(self, key: K) -> V | None:
        """Delete the key; returns what it had."""
        stored = self._store.get(key)
        if stored is None:
            return None
        self._store.put(key, None, self._context.timestamp, stored)
        value: V = stored[0]
        return value

    def range(self, first: K | None = None, last: K | None = None) -> Iterator[tuple[K, V]]:
        """The entries from key ``first`` to ``last``, both included, in the order of the keys' bytes.

        They are those at the time of the call: the store may be changed meanwhile.
        """
        return ((key, stored[0]) for key, stored in self._store.range(first, last))

    def items(self) -> Iterator[tuple[K, V]]:
        """Every entry, as :meth:`range`."""
        return self.range()

    def __contains__(self, key: K) -> bool:
        return self._store.get(key) is not None

    def __len__(self) -> int:
        return len(self._store)


class _FunctionProcessor(Processor[Any, Any, Any, Any]):
    def __init__(self, function: ProcessFunction[Any, Any, Any, Any]) -> None:
        self._function = function

    def process(self, record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
        self._function(record, context)


def factory_of(
    processor: Callable[[], Processor[Any, Any, Any, Any]] | ProcessFunction[Any, Any, Any, Any], name: str
) -> Callable[[], Processor[Any, Any, Any, Any]]:
    """What makes a processor for each task: a class or factory as it is, a function ``(record, context)`` wrapped.

    Raises:
        TopologyError: it is neither; an instance, for one, which all tasks would share.
    """
    if callable(processor):
        signature = inspect.signature(processor)
        with contextlib.suppress(TypeError):
            signature.bind()
            return cast("Callable[[], Processor[Any, Any, Any, Any]]", processor)
        with contextlib.suppress(TypeError):
            signature.bind(None, None)
            return functools.partial(_FunctionProcessor, cast("ProcessFunction[Any, Any, Any, Any]", processor))
    raise TopologyError(
        f"process {name!r}: pass a Processor class, a factory without arguments such as functools.partial(Class, 1), "
        f"or a function of (record, context), not {processor!r}"
    )


def bind_processor(
    processor: Processor[Any, Any, Any, Any],
    task: TaskContext,
    stores: Iterable[StoreSpec],
    forward: Process,
    *,
    keeps_keys: bool,
) -> Process:
    """The function that hands a task's records to ``processor``, whose punctuations are scheduled with the task."""
    context: ProcessorContext[Any, Any] = ProcessorContext(task, stores, forward, keeps_keys=keeps_keys)
    handle, enter = processor.process, context._enter

    def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
        enter(key, timestamp, headers, None)
        handle(Record(key, value, timestamp, decode_headers(headers) if headers is not None else ()), context)

    def punctuator(punctuation: Punctuation) -> Callable[[int], None]:
        def punctuate(timestamp: int) -> None:
            stream_time = task.stream_time
            enter(None, timestamp if stream_time == NO_TIME else stream_time, None, punctuation)
            processor.punctuate(timestamp, context)

        return punctuate

    # Backwards, as operators are bound: of two that are due at the same time, the one declared first runs first.
    for punctuation in reversed(processor.schedules):
        task.schedule(punctuation, punctuator(punctuation))
    return process
