"""Grouped streams cut into windows, to be aggregated window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from streambank.streams.errors import TopologyError
from streambank.streams.infer import returned_value
from streambank.streams.ktable import KTable
from streambank.streams.operators.base import Operator
from streambank.streams.operators.late_records import IsLate, LateRecords
from streambank.streams.operators.session_aggregate import SessionAggregate
from streambank.streams.operators.sliding_window_aggregate import SlidingWindowAggregate
from streambank.streams.operators.window_aggregate import WindowAggregate
from streambank.streams.serde import LONG, Serde
from streambank.streams.stores.base import StoreKind, StoreSpec
from streambank.streams.stores.session import SessionStore
from streambank.streams.stores.window import WindowStore
from streambank.streams.windowed import SessionWindowedSerde, TimeWindowedSerde, Windowed
from streambank.streams.windows import SessionWindows, SlidingWindows, TimeWindows

if TYPE_CHECKING:
    from streambank.streams.kstream import KStream

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")
R = TypeVar("R")

Emit: TypeAlias = Literal["update", "final"]
"""When a window's result is sent: at every change, or once, when it can no longer change."""

Windows: TypeAlias = TimeWindows | SlidingWindows | SessionWindows


class _Windowed(Generic[K, V]):
    """What the kinds of windowed streams share: a store's table, and the records that came too late for it."""

    def __init__(self, stream: KStream[K, V], windows: Windows, kind: StoreKind, is_late: IsLate) -> None:
        self._stream, self._windows, self._kind, self._is_late = stream, windows, kind, is_late
        self._inputs: dict[str, KStream[K, V]] = {}

    def late_records(self, table: KTable[Windowed[K], Any]) -> KStream[K, V]:
        """The records that were too late for every window of theirs in ``table``, which was aggregated from this.

        One that was in time for some of its windows is in those, and not here. With sliding windows a record that may
        still be part of a later window is not here either.
        """
        stream = self._inputs.get(table._node)
        if stream is None:
            raise TopologyError(
                f"late_records: {table._node!r} was not aggregated from these windows: keep what windowed_by() "
                "returned, and call count(), reduce() or aggregate() and then late_records() on it"
            )
        return stream._derive(LateRecords(table._node, self._is_late))

    def _table(
        self, name: str, value: Serde[Any], retention_ms: int | None, operator: Callable[[StoreSpec], Operator]
    ) -> KTable[Windowed[K], Any]:
        needed_ms = self._windows.retention_ms
        if retention_ms is not None and retention_ms < needed_ms:
            raise TopologyError(
                f"{name!r}: retention_ms must be at least {needed_ms}, what the windows need to be right"
            )
        stream = self._stream._keyed(name, drop_null_keys=True)
        key = self._windowed_serde(stream._key)
        spec = StoreSpec(name, key, value, kind=self._kind, retention_ms=retention_ms or needed_ms)
        node = stream._builder.add_node(name, operator(spec), (stream._node,))
        self._inputs[node] = stream
        return KTable(stream._builder, node, key, value, stream._partitions, grace_ms=self._closes_after_ms())

    def _closes_after_ms(self) -> int:
        """How far beyond its end stream time is when nothing can change a window any more."""
        windows = self._windows
        if isinstance(windows, TimeWindows):
            return windows.grace_ms
        # One that contains its end still takes a record at the very time.
        return windows.grace_ms + 1 + (windows.gap_ms if isinstance(windows, SessionWindows) else 0)

    def _windowed_serde(self, key: Serde[Any]) -> Serde[Any]:
        if isinstance(self._windows, SessionWindows):
            return SessionWindowedSerde(key)
        size = self._windows.size_ms if isinstance(self._windows, TimeWindows) else self._windows.time_difference_ms
        return TimeWindowedSerde(key, size)


class TimeWindowedKStream(_Windowed[K, V]):
    """A grouped stream in tumbling, hopping or sliding windows."""

    def __init__(self, stream: KStream[K, V], windows: TimeWindows | SlidingWindows) -> None:
        if isinstance(windows, TimeWindows):
            super().__init__(stream, windows, "window", _late_for(windows))
        else:
            super().__init__(stream, windows, "session", _late_for_sliding(windows))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A | R], R | None],
        *,
        name: str,
        value: Serde[R] | None = None,
        emit: Emit = "update",
        retention_ms: int | None = None,
    ) -> KTable[Windowed[K], R]:
        """One value for each key and window: ``aggregator(key, value, aggregate)``, from ``initializer()`` on.

        ``name`` names the store and its changelog. ``retention_ms`` keeps windows for queries for longer than they are
        needed. ``emit="final"`` sends each result once, when its window and its grace are over (KIP-825).

        Raises:
            TopologyError: ``retention_ms`` is too short for the windows.
        """
        serde = value or returned_value(aggregator, f"aggregate {name!r}")
        return self._aggregated(name, initializer, aggregator, serde, "aggregate", emit, retention_ms)

    def count(self, *, name: str, emit: Emit = "update", retention_ms: int | None = None) -> KTable[Windowed[K], int]:
        """How many records each key has in each window."""
        return self._aggregated(name, _zero, _plus_one, LONG, "count", emit, retention_ms)

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        *,
        name: str,
        value: Serde[V] | None = None,
        emit: Emit = "update",
        retention_ms: int | None = None,
    ) -> KTable[Windowed[K], V]:
        """One value for each key and window: the first, then ``reducer(reduced, value)`` for every further one."""
        serde = value or self._stream._value
        return self._aggregated(name, _nothing, _reducing(reducer), serde, "reduce", emit, retention_ms)

    def _aggregated(
        self,
        name: str,
        initializer: Callable[[], Any],
        aggregator: Callable[[Any, Any, Any], Any],
        value: Serde[Any],
        kind: str,
        emit: Emit,
        retention_ms: int | None,
    ) -> KTable[Windowed[K], Any]:
        windows, final = self._windows, _is_final(emit, name)

        def operator(store: StoreSpec) -> Operator:
            if isinstance(windows, TimeWindows):
                made: WindowAggregate | SlidingWindowAggregate = WindowAggregate(
                    initializer, aggregator, windows, store, final
                )
            else:
                assert isinstance(windows, SlidingWindows)
                made = SlidingWindowAggregate(initializer, aggregator, windows, store, final)
            return replace(made, kind=made.kind.replace("aggregate", kind))

        return self._table(name, value, retention_ms, operator)


class SessionWindowedKStream(_Windowed[K, V]):
    """A grouped stream in sessions."""

    def __init__(self, stream: KStream[K, V], windows: SessionWindows) -> None:
        super().__init__(stream, windows, "session", _late_for_session(windows))

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A | R], R],
        merger: Callable[[K, A | R, R], A | R],
        *,
        name: str,
        value: Serde[R] | None = None,
        emit: Emit = "update",
        retention_ms: int | None = None,
    ) -> KTable[Windowed[K], R]:
        """One value for each key and session. ``merger(key, one, other)`` makes one aggregate of two sessions'.

        The rest as :meth:`TimeWindowedKStream.aggregate` has it.
        """
        serde = value or returned_value(aggregator, f"aggregate {name!r}")
        return self._aggregated(name, initializer, aggregator, merger, serde, "aggregate", emit, retention_ms)

    def count(self, *, name: str, emit: Emit = "update", retention_ms: int | None = None) -> KTable[Windowed[K], int]:
        """How many records each session has."""
        return self._aggregated(name, _zero, _plus_one, _plus, LONG, "count", emit, retention_ms)

    def reduce(
        self,
        reducer: Callable[[V, V], V],
        *,
        name: str,
        value: Serde[V] | None = None,
        emit: Emit = "update",
        retention_ms: int | None = None,
    ) -> KTable[Windowed[K], V]:
        """One value for each session: the first, then ``reducer(reduced, value)`` for every further one."""
        aggregator = _reducing(reducer)
        serde = value or self._stream._value
        return self._aggregated(name, _nothing, aggregator, _merging(reducer), serde, "reduce", emit, retention_ms)

    def _aggregated(
        self,
        name: str,
        initializer: Callable[[], Any],
        aggregator: Callable[[Any, Any, Any], Any],
        merger: Callable[[Any, Any, Any], Any],
        value: Serde[Any],
        kind: str,
        emit: Emit,
        retention_ms: int | None,
    ) -> KTable[Windowed[K], Any]:
        windows, final = self._windows, _is_final(emit, name)
        assert isinstance(windows, SessionWindows)
        return self._table(
            name,
            value,
            retention_ms,
            lambda store: SessionAggregate(
                initializer, aggregator, merger, windows, store, final, kind=f"session-{kind}"
            ),
        )


def _is_final(emit: Emit, name: str) -> bool:
    if emit not in ("update", "final"):
        raise TopologyError(f"{name!r}: emit must be 'update' or 'final', not {emit!r}")
    return emit == "final"


def _late_for(windows: TimeWindows) -> IsLate:
    def is_late(store: WindowStore, _key: Any, _value: Any, timestamp: int) -> bool:
        return windows.starts(timestamp)[-1] + windows.size_ms <= store.observed_time - windows.grace_ms

    return is_late


def _late_for_sliding(windows: SlidingWindows) -> IsLate:
    def is_late(store: SessionStore, _key: Any, value: Any, timestamp: int) -> bool:
        # A null value is dropped as that, whenever it comes.
        return value is not None and (
            timestamp + 1 + windows.time_difference_ms <= store.observed_time - windows.grace_ms
        )

    return is_late


def _late_for_session(windows: SessionWindows) -> IsLate:
    def is_late(store: SessionStore, key: Any, _value: Any, timestamp: int) -> bool:
        near = store.find(key, timestamp - windows.gap_ms, timestamp + windows.gap_ms)
        end = max([timestamp, *(window.end for window, _ in near)])
        return end < store.observed_time - windows.grace_ms - windows.gap_ms

    return is_late


def _zero() -> int:
    return 0


def _nothing() -> None:
    return None


def _plus_one(_key: Any, _value: Any, count: int) -> int:
    return count + 1


def _plus(_key: Any, one: int, other: int) -> int:
    return one + other


def _reducing(reducer: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda _key, value, reduced: value if reduced is None else reducer(reduced, value)


def _merging(reducer: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda _key, one, other: other if one is None else reducer(one, other)
