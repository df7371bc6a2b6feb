"""Streams of records, and streams grouped by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from streambank.streams.cogrouped_kstream import CogroupedKStream
from streambank.streams.errors import TopologyError
from streambank.streams.global_ktable import GlobalKTable, join_global_table
from streambank.streams.infer import forwarded, returned_item, returned_pair, returned_value
from streambank.streams.ktable import KTable
from streambank.streams.operators.aggregate import Aggregate
from streambank.streams.operators.base import Operator, StoreSpec
from streambank.streams.operators.filter import Filter
from streambank.streams.operators.flat_map import FlatMap
from streambank.streams.operators.flat_map_values import FlatMapValues
from streambank.streams.operators.map import Map
from streambank.streams.operators.map_values import MapValues
from streambank.streams.operators.merge import Merge
from streambank.streams.operators.peek import Peek
from streambank.streams.operators.process import ProcessRecords
from streambank.streams.operators.reduce import Reduce
from streambank.streams.operators.select_key import SelectKey
from streambank.streams.operators.sink import Sink
from streambank.streams.operators.split import Branch
from streambank.streams.operators.stream_table_join import StreamTableJoin
from streambank.streams.operators.stream_versioned_table_join import versioned_join
from streambank.streams.operators.table_source import TableSource
from streambank.streams.operators.versioned_table import versioned_table
from streambank.streams.processor import ProcessFunction, Processor, factory_of
from streambank.streams.serde import LONG, Serde
from streambank.streams.stream_joins import How, join_streams
from streambank.streams.topic import Topic
from streambank.streams.windowed_kstream import SessionWindowedKStream, TimeWindowedKStream
from streambank.streams.windows import JoinWindows, SessionWindows, SlidingWindows, TimeWindows

if TYPE_CHECKING:
    from streambank.streams.builder import StreamBuilder

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")
A = TypeVar("A")
R = TypeVar("R")


class KStream(Generic[K, V]):
    """A stream of records. Every method adds an operator and returns what comes out of it.

    Functions that are passed in must be pure; a function's return annotation tells the serde of what it makes, and
    ``key=``/``value=`` say it where there is none.
    """

    def __init__(
        self,
        builder: StreamBuilder,
        node: str,
        key: Serde[Any],
        value: Serde[Any],
        partitions: int,
        *,
        rekeyed: bool = False,
    ) -> None:
        self._builder = builder
        self._node = node
        self._key = key
        self._value = value
        self._partitions = partitions
        self._rekeyed = rekeyed

    def filter(self, predicate: Callable[[K, V], bool]) -> KStream[K, V]:
        """The records that ``predicate(key, value)`` accepts."""
        return self._derive(Filter(predicate))

    def filter_not(self, predicate: Callable[[K, V], bool]) -> KStream[K, V]:
        """The records that ``predicate(key, value)`` rejects."""
        return self._derive(Filter(predicate, keep=False))

    def map(
        self,
        mapper: Callable[[K, V], tuple[K2, V2]],
        *,
        key: Serde[K2] | None = None,
        value: Serde[V2] | None = None,
    ) -> KStream[K2, V2]:
        """``mapper(key, value) -> (key, value)`` for each record. Keys may change: see :meth:`repartition`."""
        keys, values = returned_pair(mapper, "map")
        return self._derive(Map(mapper), key=key or keys, value=value or values, rekeyed=True)

    def map_values(self, mapper: Callable[[V], V2], *, value: Serde[V2] | None = None) -> KStream[K, V2]:
        """``mapper(value) -> value`` for each record."""
        return self._derive(MapValues(mapper), value=value or returned_value(mapper, "map_values"))

    def flat_map(
        self,
        mapper: Callable[[K, V], Iterable[tuple[K2, V2]]],
        *,
        key: Serde[K2] | None = None,
        value: Serde[V2] | None = None,
    ) -> KStream[K2, V2]:
        """``mapper(key, value)`` gives any number of records for each record."""
        keys, values = returned_pair(mapper, "flat_map", iterable=True)
        return self._derive(FlatMap(mapper), key=key or keys, value=value or values, rekeyed=True)

    def flat_map_values(self, mapper: Callable[[V], Iterable[V2]], *, value: Serde[V2] | None = None) -> KStream[K, V2]:
        """``mapper(value)`` gives any number of values for each value."""
        return self._derive(FlatMapValues(mapper), value=value or returned_item(mapper, "flat_map_values"))

    def select_key(self, selector: Callable[[K, V], K2], *, key: Serde[K2] | None = None) -> KStream[K2, V]:
        """The records under the key ``selector(key, value)``."""
        return self._derive(SelectKey(selector), key=key or returned_value(selector, "select_key"), rekeyed=True)

    def peek(self, action: Callable[[K, V], object]) -> KStream[K, V]:
        """Call ``action(key, value)`` for each record on its way; a crash may repeat the call."""
        return self._derive(Peek(action))

    def process(
        self,
        processor: Callable[[], Processor[K, V, K2, V2]] | ProcessFunction[K, V, K2, V2],
        *,
        name: str,
        stores: Iterable[StoreSpec] = (),
        key: Serde[K2] | None = None,
        value: Serde[V2] | None = None,
    ) -> KStream[K2, V2]:
        """What a processor makes of the records. Keys may change: see :meth:`repartition`.

        ``processor`` is a :class:`Processor` class, or what makes one, called once per task; or a mere function
        ``(record, context)``. ``stores`` are its stores; processors that get the same StoreSpec object share the store,
        and run in one task. Records whose key has changed before are not repartitioned by themselves, as in Kafka
        Streams: call :meth:`repartition` first where the stores need it.
        """
        return self._process(processor, name, tuple(stores), key, value, keeps_keys=False)

    def process_values(
        self,
        processor: Callable[[], Processor[K, V, K, V2]] | ProcessFunction[K, V, K, V2],
        *,
        name: str,
        stores: Iterable[StoreSpec] = (),
        value: Serde[V2] | None = None,
    ) -> KStream[K, V2]:
        """As :meth:`process`, for a processor that keeps the record's key: nothing is repartitioned after it.

        Another key is refused when it is forwarded. In a punctuation it must be one that the task had records of.
        """
        return self._process(processor, name, tuple(stores), self._key, value, keeps_keys=True)

    def _process(
        self,
        processor: Callable[[], Processor[Any, Any, Any, Any]] | ProcessFunction[Any, Any, Any, Any],
        name: str,
        stores: tuple[StoreSpec, ...],
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        *,
        keeps_keys: bool,
    ) -> KStream[Any, Any]:
        operator = ProcessRecords(factory_of(processor, name), stores, keeps_keys)
        keys, values = forwarded(processor, f"process {name!r}")
        node = self._builder.add_node(name, operator, (self._node,))
        rekeyed = self._rekeyed or not keeps_keys
        return KStream(self._builder, node, key or keys, value or values, self._partitions, rekeyed=rekeyed)

    def merge(self, other: KStream[K, V]) -> KStream[K, V]:
        """The records of both streams. Raises TopologyError for streams of different builders."""
        self._same_builder(other._builder)
        node = self._builder.add_node(self._builder.automatic_name("merge"), Merge(), (self._node, other._node))
        rekeyed = self._rekeyed or other._rekeyed
        return KStream(self._builder, node, self._key, self._value, self._partitions, rekeyed=rekeyed)

    def split(
        self, branches: Mapping[str, Callable[[K, V], bool]], *, default: str | None = None
    ) -> dict[str, KStream[K, V]]:
        """Each record to the first branch whose predicate takes it; what none takes, to ``default`` if given."""
        if not branches or default in branches:
            raise TopologyError("split: name at least one branch, and the default differently")
        predicates = tuple(branches.values())
        result = {
            name: self._derive(Branch(predicates[:index], predicate))
            for index, (name, predicate) in enumerate(branches.items())
        }
        if default is not None:
            result[default] = self._derive(Branch(predicates, None))
        return result

    def to(self, topic: Topic[K, V]) -> None:
        """Write the records to ``topic``, where their keys belong."""
        name = self._builder.automatic_name(f"to({topic.name})")
        self._builder.add_node(name, Sink(topic), (self._node,))

    def through(self, topic: Topic[K, V]) -> KStream[K, V]:
        """Write the records to ``topic`` and go on with what is read from it."""
        self.to(topic)
        return self._builder.stream(topic)

    def repartition(self, *, name: str, partitions: int | None = None) -> KStream[K, V]:
        """Send the records through the internal topic ``<application>-<name>-repartition``, placed by their keys.

        Operators that need it do this by themselves; it is called to change the number of partitions.
        """
        return self._repartitioned(name, partitions or self._partitions, drop_null_keys=False)

    def group_by_key(self) -> KGroupedStream[K, V]:
        """Group by the present key; repartitioned only if that may have changed."""
        return KGroupedStream(self)

    def group_by(self, selector: Callable[[K, V], K2], *, key: Serde[K2] | None = None) -> KGroupedStream[K2, V]:
        """Group by ``selector(key, value)``."""
        return KGroupedStream(self.select_key(selector, key=key))

    def to_table(self, *, name: str, history_retention_ms: int | None = None) -> KTable[K, V]:
        """The stream's records as updates of a table kept in the store ``name``; a null value deletes its key.

        With ``history_retention_ms`` the table is versioned, as :meth:`StreamBuilder.table` says.
        """
        stream = self._keyed(name, drop_null_keys=True)
        serdes = (stream._key, stream._value)
        operator, history = TableSource(None, StoreSpec(name, *serdes), materialized=True, kind="to-table"), None
        if history_retention_ms is not None:
            operator, history = versioned_table(name, None, name, serdes, history_retention_ms)
        node = self._builder.add_node(name, operator, (stream._node,))
        return KTable(self._builder, node, *serdes, stream._partitions, history=history)

    @overload
    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2], R],
        /,
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
        grace_ms: int | None = None,
    ) -> KStream[K, R]: ...

    @overload
    def join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[V, V2], R],
        /,
        *,
        windows: JoinWindows,
        name: str,
        value: Serde[R] | None = None,
    ) -> KStream[K, R]: ...

    @overload
    def join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[K, V], K2 | None],
        joiner: Callable[[V, V2], R],
        /,
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
    ) -> KStream[K, R]: ...

    def join(
        self,
        other: KTable[K, Any] | KStream[K, Any] | GlobalKTable[Any, Any],
        /,
        *functions: Callable[..., Any],
        windows: JoinWindows | None = None,
        grace_ms: int | None = None,
        name: str | None = None,
        value: Serde[Any] | None = None,
    ) -> KStream[K, Any]:
        """Each record with its row of a table, or with the records of another stream within ``windows``.

        The result is ``joiner(value, other value)``; records without a partner are left out. The row is that of the
        record's key, or of ``key_selector(key, value)`` in a global table. A versioned table gives the row as of the
        record's time; with ``grace_ms`` records are joined once the stream is that much further, so that rows may be so
        much late (KIP-923). ``name`` names what is kept or repartitioned; a join of streams needs one.

        Raises:
            TopologyError: another builder's partner; ``windows`` or a name are missing or mean nothing; or ``grace_ms``
                with a table that is not versioned, or keeps less history than that.
        """
        return self._join(other, functions, "inner", windows, name, value, grace_ms)

    @overload
    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2 | None], R],
        /,
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
        grace_ms: int | None = None,
    ) -> KStream[K, R]: ...

    @overload
    def left_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[V, V2 | None], R],
        /,
        *,
        windows: JoinWindows,
        name: str,
        value: Serde[R] | None = None,
    ) -> KStream[K, R]: ...

    @overload
    def left_join(
        self,
        other: GlobalKTable[K2, V2],
        key_selector: Callable[[K, V], K2 | None],
        joiner: Callable[[V, V2 | None], R],
        /,
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
    ) -> KStream[K, R]: ...

    def left_join(
        self,
        other: KTable[K, Any] | KStream[K, Any] | GlobalKTable[Any, Any],
        /,
        *functions: Callable[..., Any],
        windows: JoinWindows | None = None,
        grace_ms: int | None = None,
        name: str | None = None,
        value: Serde[Any] | None = None,
    ) -> KStream[K, Any]:
        """As :meth:`join`, but a record without a partner is joined with None: with a stream, once none can come."""
        return self._join(other, functions, "left", windows, name, value, grace_ms)

    def outer_join(
        self,
        other: KStream[K, V2],
        joiner: Callable[[V | None, V2 | None], R],
        /,
        *,
        windows: JoinWindows,
        name: str,
        value: Serde[R] | None = None,
        grace_ms: int | None = None,
    ) -> KStream[K, R]:
        """As :meth:`left_join` with a stream, for the records of both sides."""
        return self._join(other, (joiner,), "outer", windows, name, value)

    def _join(
        self,
        other: KTable[K, Any] | KStream[K, Any] | GlobalKTable[Any, Any],
        functions: tuple[Callable[..., Any], ...],
        how: How,
        windows: JoinWindows | None,
        name: str | None,
        value: Serde[Any] | None,
        grace_ms: int | None = None,
    ) -> KStream[K, Any]:
        self._same_builder(other._builder)
        if grace_ms is not None and not isinstance(other, KTable):
            raise TopologyError("grace_ms is for joins with a versioned table; a join of streams has it in its windows")
        if isinstance(other, KStream):
            return join_streams(self, other, *functions, how=how, windows=windows, name=name, value=value)
        if windows is not None:
            raise TopologyError("a join with a table takes no windows: each record meets the row of its key")
        if isinstance(other, GlobalKTable):
            return join_global_table(self, other, *functions, left=how == "left", name=name, value=value)
        return self._join_table(other, *functions, left=how == "left", name=name, value=value, grace_ms=grace_ms)

    def _join_table(
        self,
        table: KTable[K, V2],
        joiner: Callable[[V, Any], R],
        *,
        left: bool,
        name: str | None,
        value: Serde[R] | None,
        grace_ms: int | None,
    ) -> KStream[K, R]:
        partner = table._node.removeprefix("table(").removesuffix(")")
        name = name or self._builder.derived_name(f"join-{partner}")
        stream = self._keyed(name, partitions=table._partitions, drop_null_keys=not left)
        operator: Operator = (plain := StreamTableJoin(table._node, joiner, left))
        if table._history is not None or grace_ms is not None:
            operator = versioned_join(name, plain, table._history, (stream._key, stream._value), grace_ms)
        node = self._builder.add_node(name, operator, (stream._node,))
        serde = value or returned_value(joiner, f"join {name!r}")
        return KStream(self._builder, node, stream._key, serde, stream._partitions)

    def _keyed(self, name: str, *, partitions: int | None = None, drop_null_keys: bool) -> KStream[K, V]:
        """This stream with every record in the partition of its key."""
        if not self._rekeyed:
            return self
        return self._repartitioned(name, partitions or self._partitions, drop_null_keys=drop_null_keys)

    def _repartitioned(self, name: str, partitions: int, *, drop_null_keys: bool) -> KStream[K, V]:
        topic = Topic(name=f"{name}-repartition", key=self._key, value=self._value, partitions=partitions)
        node = self._builder.repartition(self._node, topic, drop_null_keys=drop_null_keys)
        return KStream(self._builder, node, self._key, self._value, partitions)

    def _derive(
        self,
        operator: Operator,
        *,
        name: str | None = None,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        rekeyed: bool = False,
    ) -> KStream[Any, Any]:
        name = name or self._builder.automatic_name(operator.kind)
        node = self._builder.add_node(name, operator, (self._node,))
        return KStream(
            self._builder,
            node,
            key or self._key,
            value or self._value,
            self._partitions,
            rekeyed=rekeyed or self._rekeyed,
        )

    def _same_builder(self, other: StreamBuilder) -> None:
        if other is not self._builder:
            raise TopologyError("streams and tables of different builders cannot meet")


class KGroupedStream(Generic[K, V]):
    """A stream grouped by key, to be aggregated into a table."""

    def __init__(self, stream: KStream[K, V]) -> None:
        self._stream = stream

    @overload
    def windowed_by(self, windows: TimeWindows | SlidingWindows) -> TimeWindowedKStream[K, V]: ...

    @overload
    def windowed_by(self, windows: SessionWindows) -> SessionWindowedKStream[K, V]: ...

    def windowed_by(
        self, windows: TimeWindows | SlidingWindows | SessionWindows
    ) -> TimeWindowedKStream[K, V] | SessionWindowedKStream[K, V]:
        """Cut the records of each key into windows of time."""
        if isinstance(windows, SessionWindows):
            return SessionWindowedKStream(self._stream, windows)
        return TimeWindowedKStream(self._stream, windows)

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[K, V, A | R], R | None],
        *,
        name: str,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """One value per key: ``aggregator(key, value, aggregate)`` for every record, from ``initializer()`` on.

        ``name`` names the store and its changelog. Returning None deletes the key. Records with a null key or value are
        dropped and counted.
        """
        serde = value or returned_value(aggregator, f"aggregate {name!r}")
        return self._table(name, serde, lambda store: Aggregate(initializer, aggregator, store))

    def count(self, *, name: str) -> KTable[K, int]:
        """How many records each key has had."""
        return self._table(
            name, LONG, lambda store: replace(Aggregate(lambda: 0, lambda _key, _value, n: n + 1, store), kind="count")
        )

    def cogroup(self, aggregator: Callable[[K, V, A], A | None]) -> CogroupedKStream[K, A]:
        """Aggregate this stream together with others: ``aggregator(key, value, aggregate)`` is for its records."""
        return CogroupedKStream(((self._stream, aggregator),))

    def reduce(self, reducer: Callable[[V, V], V], *, name: str, value: Serde[V] | None = None) -> KTable[K, V]:
        """One value per key: the first, then ``reducer(reduced, value)`` for every further one."""
        return self._table(name, value or self._stream._value, lambda store: Reduce(reducer, store))

    def _table(self, name: str, value: Serde[Any], operator: Callable[[StoreSpec], Operator]) -> KTable[K, Any]:
        stream = self._stream._keyed(name, drop_null_keys=True)
        builder = stream._builder
        node = builder.add_node(name, operator(StoreSpec(name, stream._key, value)), (stream._node,))
        return KTable(builder, node, stream._key, value, stream._partitions)
