"""Standby copies (KIP-441's ``num.standby.replicas``): stores of other members' tasks, kept up to date to take over.

The group itself says who has what, so that there is no plan to agree on: the copies of a task are with the members
that would get its partitions by the range assignor if its owner went, and then the next. Where the group decides
otherwise, a store is restored from the beginning as without a copy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache

import structlog

from streambank.clock import Clock
from streambank.log import Consumer, EventLog, OffsetAndMetadata, TopicPartition, range_assign
from streambank.streams.config import StreamsConfig
from streambank.streams.restore import READ_RECORDS, load_rows
from streambank.streams.stores import StateStore
from streambank.streams.task import StreamTask, TaskId
from streambank.streams.topology import SubTopology, Topology

logger = structlog.get_logger(__name__)

LOOK_EVERY_MS = 1_000
"""How often to ask who the members are: they change seldom, and a copy that comes late is still ahead of none."""

READ_EVERY_MS = 100
"""What a copy is behind by has to be read when it takes over: a tenth of a second's writes are read in less."""


def heirs(
    members: Mapping[str, Collection[TopicPartition]], partitions: Mapping[str, int], replicas: int
) -> dict[TopicPartition, list[str]]:
    """For each partition that a member owns, the members that would get it if its owner went, and then the first heir.

    ``members`` have what they own, ``partitions`` are the topics that all of them read.
    """

    @cache
    def owners(gone: frozenset[str]) -> dict[TopicPartition, str]:
        subscriptions = {member: list(partitions) for member in members if member not in gone}
        assigned = range_assign(subscriptions, partitions)
        return {at: member for member, owned in assigned.items() for at in owned}

    found: dict[TopicPartition, list[str]] = {}
    for owner, owned in members.items():
        for at in owned:
            line = [owner]
            while len(line) <= replicas and (heir := owners(frozenset(line)).get(at)) is not None:
                line.append(heir)
            found[at] = line[1:]
    return found


@dataclass(slots=True)
class _Copy:
    task: StreamTask
    positions: dict[str, int] = field(default_factory=dict)
    """By store, the changelog's offset up to which it is loaded."""


class StandbyTasks:
    """The copies that one member keeps."""

    def __init__(
        self,
        topology: Topology,
        log: EventLog,
        config: StreamsConfig,
        new_task: Callable[[SubTopology, int], StreamTask],
        monotonic_ms: Clock,
    ) -> None:
        self._topology, self._log, self._config, self._new_task = topology, log, config, new_task
        self._monotonic_ms = monotonic_ms
        self._look_at_ms = self._read_at_ms = 0
        self._copies: dict[TaskId, _Copy] = {}
        self._committed: Mapping[TopicPartition, OffsetAndMetadata] = {}

    def follow(self, consumer: Consumer) -> None:
        """Make and drop copies as the group changes, and read what was written to their changelogs."""
        if not self._config.num_standby_replicas:
            return
        now = self._monotonic_ms()
        if now >= self._look_at_ms:
            self._look_at_ms = now + LOOK_EVERY_MS
            self._choose(consumer)
        if now >= self._read_at_ms:
            self._read_at_ms = now + READ_EVERY_MS
            self._read()

    def take(self, task_id: TaskId) -> tuple[StreamTask, Mapping[str, int]] | None:
        """Give a copy up to its new owner, with the offsets that its stores have come to; None if there is none."""
        copy = self._copies.pop(task_id, None)
        return (copy.task, copy.positions) if copy is not None else None

    @property
    def task_ids(self) -> frozenset[TaskId]:
        """The tasks that there are copies of."""
        return frozenset(self._copies)

    def close(self) -> None:
        """Drop all copies."""
        for copy in self._copies.values():
            copy.task.close(save=False)
        self._copies.clear()

    def _choose(self, consumer: Consumer) -> None:
        application, me = self._config.application_id, consumer.metadata.member_id
        topics = {
            self._topology.topic_name(topic.name, application): topic.partitions
            for topic in self._topology.source_topics
        }
        group = self._log.describe_group(application)
        self._committed = group.committed
        members = {member.member_id: member.assignment for member in group.members}
        lines = heirs(members, topics, self._config.num_standby_replicas)
        mine = {at for at, line in lines.items() if me in line}
        wanted = self._tasks_on(mine)
        # What nobody has for the moment, or this member without knowing it yet, is about to be taken over.
        others = {at for member, owned in members.items() if member != me for at in owned}
        for task_id in self._copies.keys() - wanted.keys():
            sub = self._topology.sub_topologies[task_id[0]]
            if others.isdisjoint(self._inputs(sub, task_id[1])):
                wanted[task_id] = sub
        if self._copies.keys() != wanted.keys():
            logger.info("standby copies", application=application, tasks=sorted(wanted))
        for task_id in self._copies.keys() - wanted.keys():
            self._copies.pop(task_id).task.close(save=False)
        for task_id in sorted(wanted.keys() - self._copies.keys()):
            self._copies[task_id] = _Copy(self._new_task(wanted[task_id], task_id[1]))

    def _tasks_on(self, partitions: set[TopicPartition]) -> dict[TaskId, SubTopology]:
        """The tasks with stores that read only these partitions."""
        return {
            (sub.index, partition): sub
            for sub in self._topology.sub_topologies
            if sub.stores
            for partition in range(sub.partitions)
            if partitions.issuperset(self._inputs(sub, partition))
        }

    def _inputs(self, sub: SubTopology, partition: int) -> list[TopicPartition]:
        return self._topology.task_inputs(sub, partition, self._config.application_id)

    def _read(self) -> None:
        name_of, application = self._topology.changelog_name, self._config.application_id
        places = [
            (copy, store, TopicPartition(name_of(store.spec, application), partition))
            for (_, partition), copy in self._copies.items()
            for store in copy.task.stores.values()
        ]
        if not places:
            return
        if not self._log.wait({at: copy.positions.get(store.spec.name, 0) for copy, store, at in places}, 0.0):
            return
        for copy, store, at in places:
            low, end = self._log.watermarks(at)
            if store.spec.read_only:
                # Of a table's topic, only what its owner has processed when the group was looked at.
                end = min(end, self._committed[at].offset) if at in self._committed else low
            self._read_one(copy, store, at, low, end)

    def _read_one(self, copy: _Copy, store: StateStore, at: TopicPartition, low: int, end: int) -> None:
        name = store.spec.name
        offset = copy.positions.get(name, low)
        if offset < low:
            store.clear()
            offset = low
        while offset < end:
            batch = self._log.read(at, offset, READ_RECORDS)
            if batch.next_offset == offset:
                break
            # Whatever cannot be loaded is found, and told of, by the restore that takes the copy over.
            load_rows(store, batch, bisect_left(batch.offsets, end), lambda _offset, _error: None)
            offset = min(batch.next_offset, end)
        copy.positions[name] = offset
