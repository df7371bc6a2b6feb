"""A task: one sub-topology on one partition. The same code runs on every log and in the test driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, TypeAlias

import structlog

from streambank.log import OffsetAndMetadata, Record, RecordBatch, TopicPartition
from streambank.streams.blame import operator_of
from streambank.streams.collector import RecordCollector
from streambank.streams.config import StreamsConfig
from streambank.streams.dead_letters import write_dead_letter
from streambank.streams.drops import Drops
from streambank.streams.errors import RecordDroppedError
from streambank.streams.failed_records import FailedRecords
from streambank.streams.metrics import OperatorMeter, Stopwatch
from streambank.streams.operators.base import Process, StoreSpec, View, fan_out
from streambank.streams.operators.table_source import TableSource
from streambank.streams.punctuation import Schedules
from streambank.streams.queue import InputQueue, Position
from streambank.streams.stores import KeyValueStore, StateStore, create_store
from streambank.streams.stores.base import NO_TIME
from streambank.streams.stores.disk import DiskStores
from streambank.streams.times import CommittedTimes, decode_times, encode_times
from streambank.streams.topic import Topic
from streambank.streams.topology import SourceNode, SubTopology, Topology

logger = structlog.get_logger(__name__)

_UNBOUNDED = 2**63

TaskId: TypeAlias = tuple[int, int]
"""The number of the sub-topology, and the partition."""


class StreamTask:
    """Takes records in, runs them through the operators, keeps the stores.

    Where it reads several partitions, the record with the lowest timestamp is next, and while one of them has records
    in the log that are not fetched yet, the task waits for them (Kafka Streams' ``max.task.idle.ms = 0``). That makes
    joins come out the same however often they are repeated.
    """

    def __init__(
        self,
        topology: Topology,
        sub_topology: SubTopology,
        partition: int,
        *,
        config: StreamsConfig,
        collector: RecordCollector,
        drops: Drops,
        global_stores: Mapping[str, KeyValueStore] = MappingProxyType({}),
        meter: OperatorMeter | None = None,
        now: int = 0,
        disk: DiskStores | None = None,
    ) -> None:
        """``meter`` counts and times the calls of every operator; ``now`` is the wall clock's time, in ms.

        ``disk`` makes the stores that are not to be in memory.
        """
        self.sub_topology = sub_topology
        self.partition = partition
        self.watch = Stopwatch()
        self.restored: dict[str, Stopwatch] = {}
        self._schedules = Schedules(now)
        self._context = _Context(
            topology, sub_topology, partition, config, collector, drops, global_stores, self._schedules, disk
        )
        operators, processes = self._context.bind(meter)
        if self._schedules.any_by_stream_time:
            position, schedules = self._context.position, self._schedules
            processes = {node: _punctuated(process, position, schedules) for node, process in processes.items()}
        names = [
            (source, topology.topic_name(source.topic.name, config.application_id)) for source in sub_topology.sources
        ]
        self._queues = [
            InputQueue(
                TopicPartition(name, partition),
                source.topic.key,
                source.topic.value,
                processes[source.node],
                failed=self._context.failed_records(source, operators),
                drop=self._context.of(source.node).drop,
            )
            for source, name in names
        ]
        self.dirty = False
        self.has_buffered = False
        """Whether fetched records wait, those that have to be tried again included."""
        self._idle_close_ms = config.idle_close_ms if self._schedules.any_while_idle else None
        self._idle_since: tuple[int, int] | None = None
        self.follows_clock = self._schedules.any_by_wall_clock or self._idle_close_ms is not None
        """Whether :meth:`follow_clock` is of any use."""
        self._by_partition = {queue.topic_partition: queue for queue in self._queues}

    @property
    def inputs(self) -> Iterable[TopicPartition]:
        """The partitions that it reads."""
        return self._by_partition.keys()

    @property
    def queues(self) -> Sequence[InputQueue]:
        """What waits of each of them."""
        return self._queues

    @property
    def stores(self) -> dict[str, StateStore]:
        """Its stores by name."""
        return self._context.stores

    @property
    def stream_time(self) -> int:
        """The highest timestamp seen; -1 before the first record."""
        return self._context.position.stream_time

    def resume_at(self, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Take over the times that were committed with the offsets, once the stores are restored."""
        times = {at: decode_times(offset.metadata) for at, offset in committed.items()}
        for queue in self._queues:
            if queue.topic_partition in times:
                queue.resume_at(times[queue.topic_partition].partition)
        stream_time = max(queue.partition_time for queue in self._queues)
        self._context.position.stream_time = self._context.committed_stream_time = stream_time
        self._schedules.resume_at(stream_time)
        for name, store in self.stores.items():
            store.resume_at(max((each.observed.get(name, NO_TIME) for each in times.values()), default=NO_TIME))

    def add(self, batch: RecordBatch) -> None:
        """Take in a fetched batch of one of :attr:`inputs`."""
        self._by_partition[batch.topic_partition].add(batch)
        self.has_buffered = True

    def buffered(self, topic_partition: TopicPartition) -> int:
        """How many fetched records of that partition wait."""
        return self._by_partition[topic_partition].buffered

    def process(self, limit: int, behind: Callable[[TopicPartition], bool]) -> int:
        """Process up to ``limit`` records; returns how many.

        ``behind(partition)`` tells whether the log has records of that partition which are not fetched yet.

        Raises:
            RecordFailedError: an operator raised; the caller rolls back.
        """
        done = 0
        while done < limit:
            queue, bound, complete = self._next()
            if queue is None or not (complete or self._may_go_on(behind)):
                break
            if queue.retrying is not None and queue.waits_for_retry:
                break
            self.dirty = True
            self._idle_since = None
            done += queue.run(self._context.position, bound, limit - done)
            if queue.poison:
                break
        self.has_buffered = any(queue.buffered for queue in self._queues)
        return done

    @property
    def has_work(self) -> bool:
        """Whether there is a record to process that need not wait to be tried again."""
        if not self.has_buffered:
            return False
        queue, _, _ = self._next()
        return queue is not None and not queue.waits_for_retry

    def follow_clock(self, now: int, behind: Callable[[TopicPartition], bool]) -> bool:
        """Do what the wall clock makes due, between commits; whether there was any. :meth:`touch` lets it be committed.

        Those are its punctuations; and when no record has come for ``idle_close_ms``, its stream time goes on as the
        clock does. ``behind`` is that of :meth:`process`.
        """
        dirty, self.dirty = self.dirty, True  # until it is known that nothing ran, or failed half-way
        ran = self._schedules.run_by_wall_clock(now)
        if self._idle_close_ms is not None:
            if self._idle_since is None or any(
                queue.buffered or behind(queue.topic_partition) for queue in self._queues
            ):
                self._idle_since = (now, self.stream_time)
            idle_ms, stream_time = now - self._idle_since[0], self._idle_since[1]
            if idle_ms >= self._idle_close_ms and stream_time + idle_ms > self.stream_time > NO_TIME:
                self._advance(stream_time + idle_ms)
                ran = True
        self.dirty = dirty or ran
        return ran

    def touch(self, position: Callable[[TopicPartition], int]) -> None:
        """Let the next commit include its inputs' offsets though none of their records was processed."""
        for queue in self._queues:
            queue.touch(position(queue.topic_partition))

    def offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What to commit for the records processed since the last commit."""
        observed = {name: store.observed_time for name, store in self.stores.items() if store.observed_time > NO_TIME}
        return {
            queue.topic_partition: OffsetAndMetadata(
                offset, encode_times(CommittedTimes(queue.partition_time, observed))
            )
            for queue in self._queues
            if (offset := queue.offset_to_commit) is not None
        }

    def advanced(self) -> list[InputQueue]:
        """The queues of which something was processed since the last commit."""
        return [queue for queue in self._queues if queue.advanced]

    def committed(self, *, careful: bool = False) -> None:
        """The transaction committed. ``careful``: stores record what they replace from now on."""
        for queue in self._queues:
            queue.committed()
        for store in self.stores.values():
            store.committed()
            store.record(careful)
        self._context.committed_stream_time = self.stream_time
        self.dirty = False

    def reached(self, ends: Mapping[TopicPartition, int]) -> None:
        """``ends`` are the offsets that the transaction which committed has come to, in what it read and wrote.

        Raises:
            StoreError: a store cannot be saved on disk.
        """
        for name, store in self.stores.items():
            if (end := ends.get(self._context.changelogs[name])) is not None:
                store.reached(end)

    def close(self, *, save: bool) -> None:
        """Release its stores; ``save`` those on disk as of the last commit."""
        for store in self.stores.values():
            store.close(save=save)

    def rollback(self, reload: Callable[[StateStore], None]) -> None:
        """Go back to the last commit: queues, stores and stream time.

        ``reload`` loads a store that did not record what it replaced; from now on it does.
        """
        for queue in self._queues:
            queue.rollback()
        for store in self.stores.values():
            if store.recording:
                store.rollback()
            else:
                if self.dirty:
                    reload(store)
                store.record(True)
        self.dirty, self.has_buffered = False, True
        self._context.position.stream_time = self._context.committed_stream_time
        self._schedules.resume_at(self.stream_time)

    def _advance(self, stream_time: int) -> None:
        self._context.position.stream_time = stream_time
        for queue in self._queues:
            queue.advance(stream_time)
        self._schedules.advance(stream_time)

    def _next(self) -> tuple[InputQueue | None, int, bool]:
        """The queue whose head is earliest, up to which timestamp it stays so, and whether every queue has a record."""
        chosen: InputQueue | None = None
        first, bound, complete = _UNBOUNDED, _UNBOUNDED, True
        for queue in self._queues:
            head = queue.head_timestamp
            if head is None:
                complete = False
            elif head < first:
                # Whoever was chosen before comes earlier in the order of preference, so that a tie is theirs.
                if first <= bound:
                    bound = first - 1
                chosen, first = queue, head
            elif head < bound:
                bound = head
        return chosen, bound, complete

    def _may_go_on(self, behind: Callable[[TopicPartition], bool]) -> bool:
        """Whether the queues without a record have none in the log either."""
        if len(self._queues) == 1:
            return True
        return not any(queue.head_timestamp is None and behind(queue.topic_partition) for queue in self._queues)


def _punctuated(process: Process, position: Position, schedules: Schedules) -> Process:
    """A source's function that runs the punctuations which its records make due, after each of them."""

    def process_and_punctuate(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
        process(key, value, timestamp, headers)
        if position.stream_time >= schedules.due:
            schedules.run_by_stream_time(position.stream_time)

    return process_and_punctuate


class _Context:
    """Implements :class:`streambank.streams.operators.base.TaskContext`: for each node a copy that knows its name."""

    def __init__(
        self,
        topology: Topology,
        sub_topology: SubTopology,
        partition: int,
        config: StreamsConfig,
        collector: RecordCollector,
        drops: Drops,
        global_stores: Mapping[str, KeyValueStore],
        schedules: Schedules,
        disk: DiskStores | None,
    ) -> None:
        self.partition = partition
        self.node = ""
        self.schedule, self.on_advance = schedules.add, schedules.add_advance
        self.position = Position()
        self.committed_stream_time = self.position.stream_time
        self._topology, self._sub, self._config = topology, sub_topology, config
        self._collector, self._drops, self._global_stores = collector, drops, global_stores
        self._operators = {node.name: node.operator for node in sub_topology.nodes}
        self.changelogs = {
            spec.name: TopicPartition(topology.changelog_name(spec, config.application_id), partition)
            for spec in sub_topology.stores
        }
        self.stores = {spec.name: self._store_of(spec, disk) for spec in sub_topology.stores}

    @property
    def stream_time(self) -> int:
        return self.position.stream_time

    @property
    def record_at(self) -> tuple[str, int, int] | None:
        return self.position.record_at

    def bind(self, meter: OperatorMeter | None) -> tuple[dict[str, Process], dict[str, Process]]:
        """Every node's function, children before parents: as its operator made it, and as it is called."""
        children: dict[str, list[Process]] = {node.name: [] for node in self._sub.nodes}
        operators: dict[str, Process] = {}
        processes: dict[str, Process] = {}
        for node in reversed(self._sub.nodes):
            process = node.operator.bind(self.of(node.name), fan_out(children[node.name][::-1]))
            operators[node.name] = process
            processes[node.name] = process if meter is None else meter.measured(node.name, process)
            for parent in node.parents:
                children[parent].append(processes[node.name])
        return operators, processes

    def of(self, node: str) -> _Context:
        """The context of one node, which shares all there is."""
        context = copy(self)
        context.node = node
        return context

    def store(self, name: str) -> Any:
        return self.stores[name]

    def view(self, node: str) -> View:
        operator: Any = self._operators[node]
        view: View = operator.view(self)
        return view

    def global_view(self, topic: str) -> View:
        return self._global_stores[topic].get

    def sink(self, topic: Topic[Any, Any], *, partition: int | None) -> Process:
        name = self._topology.topic_name(topic.name, self._config.application_id)
        return self._collector.writer(name, topic.key, topic.value, headers_of=topic.headers, partition=partition)

    def drop(self, reason: str, **details: int) -> None:
        count = self._drops.add(self.node, reason)
        if count & (count - 1) == 0:
            at = str(self.position)
            logger.warning("record dropped", operator=self.node, reason=reason, at=at, count=count, **details)
        if self._config.keeps_dropped(reason) and (record := self.position.record_to_keep()) is not None:
            error = RecordDroppedError(f"{reason}: dropped by operator {self.node!r}")
            write_dead_letter(self._collector.columns(self._config.dead_letter_topic, 0), record, error)

    def failed_records(self, source: SourceNode, processes: Mapping[str, Process]) -> FailedRecords:
        """What happens to the failed records of that source."""
        return FailedRecords(
            self._config,
            self._collector,
            self._drops,
            source=source.node,
            operator_of=lambda error: operator_of(error, processes),
            keep_update=self._update_keeper(source),
        )

    def _update_keeper(self, source: SourceNode) -> Callable[[Record], None] | None:
        """A table is what its topic says, after a restore too: of a failed update, only what follows is left out."""
        operator = self._operators[source.node]
        if not (isinstance(operator, TableSource) and operator.materialized):
            return None
        update, topic = operator.bind(self, fan_out(())), source.topic

        def keep_update(record: Record) -> None:
            if record.key is None:
                return
            try:
                key = topic.key.deserialize(record.key)
                value = None if record.value is None else topic.value.deserialize(record.value)
            except Exception:
                return
            update(key, value, record.timestamp, None)

        return keep_update

    def _store_of(self, spec: StoreSpec, disk: DiskStores | None) -> StateStore:
        log_update = self._changelog_writer(spec) if spec.changelog is None else None
        if disk is not None and spec.kind == "key-value":
            return disk.create(spec, log_update, self.changelogs[spec.name])
        return create_store(spec, log_update)

    def _changelog_writer(self, spec: StoreSpec) -> Process:
        at = self.changelogs[spec.name]
        return self._collector.writer(at.topic, spec.key, spec.value, partition=at.partition)
