"""A task: one sub-topology on one partition. The same code runs on every log and in the test driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from streambank.log import OffsetAndMetadata, Record, RecordBatch, TopicPartition
from streambank.streams.collector import RecordCollector
from streambank.streams.config import StreamsConfig
from streambank.streams.dead_letters import write_dead_letter
from streambank.streams.drops import Drops
from streambank.streams.operators.base import Process, StoreSpec, View, fan_out
from streambank.streams.operators.table_source import TableSource
from streambank.streams.punctuation import Schedules
from streambank.streams.queue import InputQueue, Position
from streambank.streams.stores import StateStore, create_store
from streambank.streams.stores.base import NO_TIME
from streambank.streams.stores.disk import DiskStores
from streambank.streams.times import CommittedTimes, decode_times, encode_times
from streambank.streams.topic import Topic
from streambank.streams.topology import SourceNode, SubTopology, Topology

logger = structlog.get_logger(__name__)

_UNBOUNDED = 2**63


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
        now: int = 0,
        disk: DiskStores | None = None,
    ) -> None:
        """``now`` is the wall clock's time, in ms; ``disk`` makes the stores that are not to be in memory."""
        self.sub_topology = sub_topology
        self.partition = partition
        self._schedules = Schedules(now)
        self._context = _Context(topology, sub_topology, partition, config, collector, drops, self._schedules, disk)
        processes = self._context.bind()
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
                reject=self._context.rejecter(source) if config.on_error == "dead-letter" else None,
                drop=self._context.drop,
            )
            for source, name in names
        ]
        self._dirty = False
        self._idle_close_ms = config.idle_close_ms if self._schedules.any_while_idle else None
        self._idle_since: tuple[int, int] | None = None
        self._by_partition = {queue.topic_partition: queue for queue in self._queues}

    @property
    def inputs(self) -> Iterable[TopicPartition]:
        """The partitions that it reads."""
        return self._by_partition.keys()

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
            queue, bound = self._next()
            if queue is None or self._waits(behind):
                break
            self._dirty = True
            self._idle_since = None
            done += queue.run(self._context.position, bound, limit - done)
            if queue.poison:
                break
        return done

    @property
    def follows_clock(self) -> bool:
        """Whether :meth:`follow_clock` is of any use."""
        return self._schedules.any_by_wall_clock or self._idle_close_ms is not None

    def follow_clock(self, now: int, behind: Callable[[TopicPartition], bool]) -> bool:
        """Do what the wall clock makes due, between commits; whether there was any. :meth:`touch` lets it be committed.

        Those are its punctuations; and when no record has come for ``idle_close_ms``, its stream time goes on as the
        clock does. ``behind`` is that of :meth:`process`.
        """
        dirty, self._dirty = self._dirty, True  # until it is known that nothing ran, or failed half-way
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
        self._dirty = dirty or ran
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
        self._dirty = False

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
                if self._dirty:
                    reload(store)
                store.record(True)
        self._dirty = False
        self._context.position.stream_time = self._context.committed_stream_time
        self._schedules.resume_at(self.stream_time)

    def _advance(self, stream_time: int) -> None:
        self._context.position.stream_time = stream_time
        for queue in self._queues:
            queue.advance(stream_time)
        self._schedules.advance(stream_time)

    def _next(self) -> tuple[InputQueue | None, int]:
        """The queue whose head is earliest, and up to which timestamp it stays so."""
        chosen: InputQueue | None = None
        first, bound = _UNBOUNDED, _UNBOUNDED
        for queue in self._queues:
            head = queue.head_timestamp
            if head is None:
                continue
            if head < first:
                # Whoever was chosen before comes earlier in the order of preference, so that a tie is theirs.
                chosen, first, bound = queue, head, min(bound, first - 1)
            else:
                bound = min(bound, head)
        return chosen, bound

    def _waits(self, behind: Callable[[TopicPartition], bool]) -> bool:
        if len(self._queues) == 1:
            return False
        return any(queue.head_timestamp is None and behind(queue.topic_partition) for queue in self._queues)


def _punctuated(process: Process, position: Position, schedules: Schedules) -> Process:
    """A source's function that runs the punctuations which its records make due, after each of them."""

    def process_and_punctuate(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
        process(key, value, timestamp, headers)
        if position.stream_time >= schedules.due:
            schedules.run_by_stream_time(position.stream_time)

    return process_and_punctuate


class _Context:
    """Implements :class:`streambank.streams.operators.base.TaskContext`."""

    def __init__(
        self,
        topology: Topology,
        sub_topology: SubTopology,
        partition: int,
        config: StreamsConfig,
        collector: RecordCollector,
        drops: Drops,
        schedules: Schedules,
        disk: DiskStores | None,
    ) -> None:
        self.partition = partition
        self.schedule, self.on_advance = schedules.add, schedules.add_advance
        self.position = Position()
        self.committed_stream_time = self.position.stream_time
        self._topology, self._sub, self._config = topology, sub_topology, config
        self._collector, self._drops = collector, drops
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

    def bind(self) -> dict[str, Process]:
        """Every node's function, children before parents."""
        children: dict[str, list[Process]] = {node.name: [] for node in self._sub.nodes}
        processes: dict[str, Process] = {}
        for node in reversed(self._sub.nodes):
            processes[node.name] = node.operator.bind(self, fan_out(children[node.name][::-1]))
            for parent in node.parents:
                children[parent].append(processes[node.name])
        return processes

    def store(self, name: str) -> Any:
        return self.stores[name]

    def view(self, node: str) -> View:
        operator: Any = self._operators[node]
        view: View = operator.view(self)
        return view

    def sink(self, topic: Topic[Any, Any], *, own_partition: bool) -> Process:
        name = self._topology.topic_name(topic.name, self._config.application_id)
        partition = self.partition if own_partition else None
        return self._collector.writer(name, topic.key, topic.value, headers_of=topic.headers, partition=partition)

    def drop(self, reason: str) -> None:
        count = self._drops.add(reason)
        if count & (count - 1) == 0:
            logger.warning("record dropped", reason=reason, at=str(self.position), count=count)

    def rejecter(self, source: SourceNode) -> Callable[[Record, Exception], None]:
        """The function that puts a record of that source aside."""
        operator = self._operators[source.node]
        if not (isinstance(operator, TableSource) and operator.materialized):
            return self._reject
        store: Any = self.stores[operator.store.name]
        topic = source.topic

        def reject_update(record: Record, error: Exception) -> None:
            # A table is what its topic says, after a restore too: only what follows from the update failed.
            self._reject(record, error)
            if record.key is None:
                return
            try:
                key = topic.key.deserialize(record.key)
                value = None if record.value is None else topic.value.deserialize(record.value)
            except Exception:
                return
            store.put(key, value, record.timestamp, store.get(key))

        return reject_update

    def _reject(self, record: Record, error: Exception) -> None:
        topic = self._config.dead_letter_topic
        logger.error(
            "record to dead letters",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
            dead_letters=topic,
        )
        self._drops.add("dead letter")
        write_dead_letter(self._collector.columns(topic, 0), record, error)

    def _store_of(self, spec: StoreSpec, disk: DiskStores | None) -> StateStore:
        log_update = self._changelog_writer(spec) if spec.changelog is None else None
        if disk is not None and spec.kind == "key-value":
            return disk.create(spec, log_update, self.changelogs[spec.name])
        return create_store(spec, log_update)

    def _changelog_writer(self, spec: StoreSpec) -> Process:
        at = self.changelogs[spec.name]
        return self._collector.writer(at.topic, spec.key, spec.value, partition=at.partition)
