"""Which tasks a member has: made when it owns all that they read, with their stores restored, and dropped with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from time import perf_counter
from urllib.parse import quote

import structlog

from streambank.clock import Clock
from streambank.log import Consumer, EventLog, OffsetAndMetadata, TopicPartition
from streambank.streams.collector import RecordCollector
from streambank.streams.config import StreamsConfig
from streambank.streams.drops import Drops
from streambank.streams.metrics import OperatorMeter, Stopwatch
from streambank.streams.restore import OnRestore, RestoreProgress, restore
from streambank.streams.standby import StandbyTasks
from streambank.streams.stores import KeyValueStore, StateStore
from streambank.streams.stores.disk import DiskStores
from streambank.streams.task import StreamTask, TaskId
from streambank.streams.topology import SubTopology, Topology

logger = structlog.get_logger(__name__)


class TaskManager:
    """The tasks of one member.

    Attributes:
        tasks: in the same order however they came, so that what is written by several comes out the same.
        by_partition: the task that reads each partition.
    """

    def __init__(
        self,
        topology: Topology,
        log: EventLog,
        config: StreamsConfig,
        *,
        collector: RecordCollector,
        drops: Drops,
        global_stores: Mapping[str, KeyValueStore],
        meter: OperatorMeter | None,
        clock: Clock,
        monotonic_ms: Clock,
        on_restore: OnRestore | None,
    ) -> None:
        self._topology, self._log, self._config = topology, log, config
        self._collector, self._drops, self._global_stores = collector, drops, global_stores
        self._meter, self._clock = meter, clock
        self._on_restore = on_restore or log_restore
        self.disk = _disk_stores(config, log, clock)
        self.tasks: dict[TaskId, StreamTask] = {}
        self.by_partition: dict[TopicPartition, StreamTask] = {}
        self._passed_over: set[TopicPartition] = set()
        self._standbys = StandbyTasks(topology, log, config, self._new_task, monotonic_ms)

    def reconcile(self, consumer: Consumer) -> set[TopicPartition]:
        """Make the tasks whose partitions the member owns now; returns the partitions that have to be read again.

        Those are the ones it had before it had all of a task's: what it polled of them meanwhile went nowhere.
        """
        owned = consumer.assignment
        new = [
            (sub, partition)
            for sub in self._topology.sub_topologies
            for partition in range(sub.partitions)
            if (sub.index, partition) not in self.tasks and owned.issuperset(self._inputs(sub, partition))
        ]
        if not new:
            return set()
        begun = {at for sub, partition in new for at in self._inputs(sub, partition)}
        committed = consumer.committed([*begun, *self._changelogs(new)])
        for sub, partition in new:
            self._add(sub, partition, committed)
        self.tasks = dict(sorted(self.tasks.items()))
        again = begun & self._passed_over
        self._passed_over -= again
        return again

    def pass_over(self, topic_partition: TopicPartition) -> None:
        """Records of a partition came that no task reads yet."""
        self._passed_over.add(topic_partition)

    def buffering(self, records: int) -> set[TopicPartition]:
        """The partitions of which at least so many fetched records wait."""
        return {at for at, task in self.by_partition.items() if task.has_buffered and task.buffered(at) >= records}

    def discard(self, partitions: Collection[TopicPartition] | None = None, *, save: bool = True) -> None:
        """Drop the tasks that read any of these partitions, or all, with what they have not committed."""
        gone = {
            task_id: task
            for task_id, task in self.tasks.items()
            if partitions is None or any(at in partitions for at in task.inputs)
        }
        self._collector.clear()
        for task_id, task in gone.items():
            task.close(save=save)
            del self.tasks[task_id]
            for topic_partition in task.inputs:
                del self.by_partition[topic_partition]
                if partitions is not None and topic_partition not in partitions:
                    self._passed_over.add(topic_partition)

    def close(self, *, save: bool) -> None:
        """Drop all, standby copies too."""
        self.discard(save=save)
        self._standbys.close()

    def follow_others(self, consumer: Consumer) -> None:
        """Keep the standby copies of other members' tasks up to date."""
        self._standbys.follow(consumer)

    def reload(self, task: StreamTask, store: StateStore, consumer: Consumer) -> None:
        """Load a store as of the last commit."""
        changelog = self._changelog(store, task.partition)
        self._restore(task, store, consumer.committed([changelog]) if store.spec.read_only else {}, store.open())

    def stores(self, name: str) -> dict[int, StateStore]:
        """By partition, the parts of a store that this member's tasks keep."""
        return {task.partition: task.stores[name] for task in self.tasks.values() if name in task.stores}

    def _add(self, sub: SubTopology, partition: int, committed: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        task, kept = self._standbys.take((sub.index, partition)) or (self._new_task(sub, partition), {})
        try:
            for store in task.stores.values():
                self._restore(task, store, committed, kept.get(store.spec.name, store.open()))
        except BaseException:
            task.close(save=False)
            raise
        task.resume_at({at: committed[at] for at in task.inputs if at in committed})
        self.tasks[sub.index, partition] = task
        for topic_partition in task.inputs:
            self.by_partition[topic_partition] = task

    def _new_task(self, sub: SubTopology, partition: int) -> StreamTask:
        return StreamTask(
            self._topology,
            sub,
            partition,
            config=self._config,
            collector=self._collector,
            drops=self._drops,
            global_stores=self._global_stores,
            meter=self._meter,
            now=self._clock(),
            disk=self.disk,
        )

    def _restore(
        self,
        task: StreamTask,
        store: StateStore,
        committed: Mapping[TopicPartition, OffsetAndMetadata],
        kept: int | None,
    ) -> None:
        changelog = self._changelog(store, task.partition)
        position = committed[changelog].offset if changelog in committed else None
        started = perf_counter()
        records = restore(store, self._log, changelog, position, self._on_restore, kept)
        task.restored.setdefault(store.spec.name, Stopwatch()).add(perf_counter() - started, records)

    def _changelog(self, store: StateStore, partition: int) -> TopicPartition:
        return TopicPartition(self._topology.changelog_name(store.spec, self._config.application_id), partition)

    def _changelogs(self, new: Iterable[tuple[SubTopology, int]]) -> list[TopicPartition]:
        """Those whose committed positions say how much of a table has been processed."""
        return [
            TopicPartition(self._topology.changelog_name(spec, self._config.application_id), partition)
            for sub, partition in new
            for spec in sub.stores
            if spec.read_only
        ]

    def _inputs(self, sub: SubTopology, partition: int) -> list[TopicPartition]:
        return self._topology.task_inputs(sub, partition, self._config.application_id)


def _disk_stores(config: StreamsConfig, log: EventLog, clock: Clock) -> DiskStores | None:
    if config.store == "memory" or config.state_dir is None:
        return None
    return DiskStores(config.state_dir / quote(config.application_id, safe=""), log, clock)


def log_restore(progress: RestoreProgress) -> None:
    """Tell of a store that is restored, where nobody shows the progress."""
    if progress.offset == progress.end and progress.records:
        logger.info("restored", store=progress.store, changelog=str(progress.changelog), records=progress.records)
