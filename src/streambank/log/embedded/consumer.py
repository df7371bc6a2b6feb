"""A member of a consumer group."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from streambank.log.embedded.batches import slice_batch
from streambank.log.embedded.catalog import Catalog
from streambank.log.embedded.database import Database
from streambank.log.embedded.groups import Groups, Membership
from streambank.log.embedded.reader import check_range, read_batch
from streambank.log.embedded.signals import Signals
from streambank.log.errors import ClosedError, LogError
from streambank.log.interface import GroupMetadata, RebalanceListener, StartPosition
from streambank.log.records import OffsetAndMetadata, RecordBatch, TopicPartition, Watermarks

_logger = logging.getLogger(__name__)

CHECK_INTERVAL_MS = 500
"""How often a member that polls looks for dead ones: a killed process's partitions move within this time."""


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """What consumers share."""

    database: Database
    catalog: Catalog
    groups: Groups
    signals: Signals


@dataclass(slots=True)
class _Fetch:
    """Where a member stands in one partition. ``ahead`` has what was read from the file but not returned yet."""

    partition_id: int
    since: int
    position: int
    ahead: RecordBatch | None = None
    paused: bool = False


class EmbeddedConsumer:
    """See :class:`streambank.log.interface.Consumer`."""

    def __init__(
        self,
        parts: ConsumerParts,
        group: str,
        topics: Collection[str],
        listener: RebalanceListener | None,
        start: StartPosition,
        on_close: Callable[["EmbeddedConsumer"], None],
    ) -> None:
        if start not in ("earliest", "latest"):
            raise ValueError(f"start must be 'earliest' or 'latest', not {start!r}")
        self._parts = parts
        self._group = group
        self._topics = frozenset(topics)
        self._listener = listener
        self._start = start
        self._on_close = on_close
        self._fetches: dict[TopicPartition, _Fetch] = {}
        self._turn: list[TopicPartition] = []
        self._marks: dict[int, Watermarks] = {}
        self._looked_at: int | None = None
        """The signals' ticket just before the last look at the file."""
        self._woken = False
        self._closed = False
        self._next_check_ms = 0
        self._next_heartbeat_ms = 0
        self._generation = -1
        parts.signals.listen()
        self._group_id, self._member_id = self._join()

    @property
    def metadata(self) -> GroupMetadata:
        """What to pass to ``commit_offsets`` for the records polled so far."""
        return GroupMetadata(self._group, self._member_id, self._generation)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this member reads now; empty before the first poll."""
        return frozenset(self._fetches)

    def poll(self, max_records: int, timeout_s: float) -> list[RecordBatch]:
        """Read on from the positions, waiting up to ``timeout_s`` where there is nothing."""
        if max_records < 1:
            raise ValueError(f"max_records must be at least 1, not {max_records}")
        # Real time whatever clock the log has: this is how long a thread sleeps, not what anything is decided by.
        deadline = time.monotonic() + timeout_s
        signals = self._parts.signals
        may_wait = timeout_s > 0
        while True:
            ticket = signals.ticket(self._topics)
            self._check_open()
            # Whoever waits anyway is woken when there is something: the look that would find nothing is left out.
            if not (may_wait and ticket == self._looked_at and self._is_drained()):
                self._looked_at = ticket
                if batches := self._fetch(max_records):
                    return batches
            may_wait = False
            if self._woken:
                self._woken = False
                return []
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return []
            signals.wait(ticket, min(remaining_s, CHECK_INTERVAL_MS / 1000), self._topics)

    def position(self, topic_partition: TopicPartition) -> int:
        """The offset that the next poll reads from."""
        return self._fetch_of(topic_partition).position

    def current_lag(self, topic_partition: TopicPartition) -> int:
        """How many offsets the position is behind the partition's end, as the last poll saw it."""
        fetch = self._fetch_of(topic_partition)
        seen = self._marks.get(fetch.partition_id)
        return max(0, seen.high - fetch.position) if seen is not None else 0

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Read on from ``offset``. Raises OffsetOutOfRangeError."""
        fetch = self._fetch_of(topic_partition)
        with self._parts.database.read() as connection:
            check_range(topic_partition, offset, self._parts.catalog.watermarks(connection, fetch.partition_id))
        fetch.position = offset
        fetch.ahead = None

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leave these partitions out of :meth:`poll` until :meth:`resume`."""
        for fetch in [self._fetch_of(topic_partition) for topic_partition in partitions]:
            fetch.paused = True

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these partitions again."""
        for fetch in [self._fetch_of(topic_partition) for topic_partition in partitions]:
            fetch.paused = False

    def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; a partition without one is left out."""
        self._check_open()
        wanted = set(partitions)
        return {at: position for at, position in self._parts.groups.committed(self._group).items() if at in wanted}

    def wakeup(self) -> None:
        """Let a waiting :meth:`poll`, or else the next one, return at once."""
        self._woken = True
        self._parts.signals.stir()

    def close(self) -> None:
        """Tell the listener, while a commit still counts, and leave the group."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._listener is not None and self._fetches:
                self._listener.on_revoked(frozenset(self._fetches))
        finally:
            self._fetches = {}
            self._turn = []
            self._leave()

    def abandon(self) -> None:
        """Leave the group without a word to the listener, as its log is being closed, maybe by another thread."""
        if not self._closed:
            self._closed = True
            self._leave()

    def _join(self) -> tuple[int, str]:
        joined = self._parts.groups.join(self._group, self._topics)
        self._schedule()
        self._parts.signals.announce()
        return joined

    def _leave(self) -> None:
        try:
            self._parts.groups.leave(self._group_id, self._member_id)
            self._parts.signals.announce()
        finally:
            self._on_close(self)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed; get another one from the log")

    def _fetch_of(self, topic_partition: TopicPartition) -> _Fetch:
        self._check_open()
        fetch = self._fetches.get(topic_partition)
        if fetch is None:
            raise LogError(f"{topic_partition} is not assigned to this member; poll() tells what is")
        return fetch

    def _schedule(self) -> None:
        liveness = self._parts.groups.liveness
        now = liveness.monotonic_ms()
        self._next_check_ms = now + min(CHECK_INTERVAL_MS, liveness.session_timeout_ms // 3)
        self._next_heartbeat_ms = now + liveness.session_timeout_ms // 3

    def _keep_alive(self) -> None:
        groups = self._parts.groups
        now = groups.liveness.monotonic_ms()
        if now < self._next_check_ms:
            return
        if now >= self._next_heartbeat_ms:
            groups.keep_alive(self._group_id, self._member_id)
            self._next_heartbeat_ms = now + groups.liveness.session_timeout_ms // 3
        self._next_check_ms = now + min(CHECK_INTERVAL_MS, groups.liveness.session_timeout_ms // 3)
        if groups.expel_dead(self._group_id, spared=self._member_id):
            self._parts.signals.announce()

    def _fetch(self, max_records: int) -> list[RecordBatch]:
        self._keep_alive()
        while True:
            # One snapshot, so that no record is fetched beyond the marks: a lag of 0 then says that nothing which was
            # committed before any of the fetched records is missing.
            with self._parts.database.snapshot() as connection:
                generation, marks = self._look(connection)
                if generation == self._generation:
                    self._marks = marks
                    return self._take(connection, max_records, marks)
            self._rebalance()

    def _look(self, connection: sqlite3.Connection) -> tuple[int, dict[int, Watermarks]]:
        """The group's generation, and the watermarks of what this member is assigned."""
        # In one row: each row that is fetched lets the other threads run first.
        generation, marks = connection.execute(
            "SELECT generation, (SELECT '[' || group_concat(partition_id || ',' || low || ',' || high) || ']'"
            "  FROM assignments JOIN partitions USING (partition_id) WHERE group_id = ?1 AND member_id = ?2)"
            " FROM groups WHERE group_id = ?1",
            (self._group_id, self._member_id),
        ).fetchone()
        numbers = json.loads(marks or "[]")
        triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        return generation, {partition_id: Watermarks(low, high) for partition_id, low, high in triples}

    def _take(
        self, connection: sqlite3.Connection, max_records: int, marks: dict[int, Watermarks]
    ) -> list[RecordBatch]:
        """Share ``max_records`` out among the partitions that have something, beginning where it is longest ago."""
        ready = [at for at in self._turn if self._is_ready(at, marks)]
        batches: list[RecordBatch] = []
        left = max_records
        for number, topic_partition in enumerate(ready):
            if left <= 0:
                break
            share = -(-left // (len(ready) - number))
            fetch = self._fetches[topic_partition]
            batch = _read(connection, topic_partition, fetch, share, marks[fetch.partition_id].high)
            fetch.position = batch.next_offset
            self._turn.remove(topic_partition)
            self._turn.append(topic_partition)
            left -= len(batch)
            if len(batch):
                batches.append(batch)
        return batches

    def _is_ready(self, topic_partition: TopicPartition, marks: dict[int, Watermarks]) -> bool:
        fetch = self._fetches[topic_partition]
        if fetch.paused:
            return False
        if fetch.ahead is not None:
            return True
        low, high = marks[fetch.partition_id]
        if not low <= fetch.position <= high:
            fetch.position = self._reset(topic_partition, fetch.position, Watermarks(low, high))
        return fetch.position < high

    def _is_drained(self) -> bool:
        """Whether all that the last look saw was returned."""
        for fetch in self._fetches.values():
            if not fetch.paused:
                seen = self._marks.get(fetch.partition_id)
                if seen is None or fetch.position < seen.high or fetch.ahead is not None:
                    return False
        return True

    def _reset(self, topic_partition: TopicPartition, position: int, marks: Watermarks) -> int:
        target = marks.low if self._start == "earliest" else marks.high
        _logger.warning(
            "group %s, %s: position %d is out of range (%d to %d: retention removed it, or it was never written);"
            " going on at %d",
            self._group,
            topic_partition,
            position,
            marks.low,
            marks.high,
            target,
        )
        return target

    def _rebalance(self) -> None:
        """Take note of the group's new generation; join again where this member was expelled.

        1. Read the new assignment and the committed positions in one snapshot.
        2. Tell the listener what is gone, while the old assignment still stands.
        3. Take over the new one: old positions for what was kept without a break, committed ones for the rest.
        4. Tell the listener what is new.
        """
        groups = self._parts.groups
        membership = groups.membership(self._group_id, self._member_id)
        if membership is None:
            lost = frozenset(self._fetches)
            if lost and self._listener is not None:
                self._listener.on_lost(lost)
            self._fetches = {}
            self._turn = []
            self._generation = -1
            self._group_id, self._member_id = self._join()
            return
        kept = {at: fetch for at, fetch in self._fetches.items() if membership.since.get(at) == fetch.since}
        revoked = frozenset(self._fetches.keys() - kept.keys())
        gained = [at for at in membership.since if at not in kept]
        if revoked and self._listener is not None:
            self._listener.on_revoked(revoked)
        self._fetches = kept | {at: self._start_of(at, membership) for at in gained}
        self._turn = [at for at in self._turn if at in kept] + gained
        self._generation = membership.generation
        if gained and self._listener is not None:
            self._listener.on_assigned(frozenset(gained))

    def _start_of(self, topic_partition: TopicPartition, membership: Membership) -> _Fetch:
        partition_id = self._parts.catalog.partition_id(topic_partition)
        position = membership.committed.get(topic_partition)
        if position is not None:
            offset = position.offset
        else:
            with self._parts.database.read() as connection:
                marks = self._parts.catalog.watermarks(connection, partition_id)
            offset = marks.low if self._start == "earliest" else marks.high
        return _Fetch(partition_id, membership.since[topic_partition], offset)


def _read(
    connection: sqlite3.Connection, topic_partition: TopicPartition, fetch: _Fetch, max_records: int, high: int
) -> RecordBatch:
    batch = fetch.ahead
    if batch is None:
        batch = read_batch(connection, topic_partition, fetch.partition_id, fetch.position, high, max_records)
    if len(batch) <= max_records:
        fetch.ahead = None
        return batch
    fetch.ahead = slice_batch(batch, max_records)
    return slice_batch(batch, 0, max_records)
