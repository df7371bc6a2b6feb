"""The projection: what a service keeps of the log, in its own database.

1. Poll records as a member of the consumer group.
2. Decode them. One that is not a value of its topic becomes a dead letter, by way of the outbox.
3. In one database transaction: move the positions on, each by compare-and-set on where this process thinks it stands;
   apply the records; put the dead letters into the outbox.
4. Commit the positions to the log too. That is for whoever looks at the group's lag; nothing here reads it back, except
   where the database has no position yet.

A crash before 3 ends repeats the records, after it does not. A process that lost its partitions without noticing fails
in 3, since the new owner's position is another, and rolls back.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar, cast

import structlog
from sqlalchemy import Connection, bindparam, insert, select, update

from streambank.errors import check
from streambank.log import (
    Consumer,
    EventLog,
    FencedError,
    OffsetAndMetadata,
    Producer,
    Record,
    RecordBatch,
    TopicPartition,
)
from streambank.service.database import Database
from streambank.service.dead_letters import dead_letter, dead_letter_topic
from streambank.service.errors import PositionFencedError, StaleDatabaseError
from streambank.service.outbox import Outbox, OutgoingRecord
from streambank.service.tables import PROJECTION_POSITION
from streambank.streams.errors import DeserializationError
from streambank.streams.topic import Topic

logger = structlog.get_logger(__name__)

V = TypeVar("V")

BATCH_RECORDS_MAX = 500
"""Records asked for in one poll: enough to share the disk flush of a transaction, few enough to keep it short."""

UNTOLD_BATCHES_MAX = 10
UNTOLD_S = 0.1
"""The log learns the positions when nothing has come for that long, or after so many batches."""

POLL_S = 5.0
"""How long a poll waits at most; :meth:`Projection.interrupt` ends it earlier. Well within any session time-out."""


@dataclass(frozen=True, slots=True)
class Received(Generic[V]):
    """A record and its decoded value."""

    value: V
    record: Record


@dataclass(frozen=True, slots=True)
class Subscription(Generic[V]):
    """A topic, and what to do with its records within the projection's transaction. ``apply`` does no I/O but that.

    ``remove`` is for tombstones, in their place among the other records; without it they are dead letters. What either
    raises stops the projection, with nothing of the batch stored.

    A compacted topic is a table: a database that is new reads it from its beginning, wherever the group stood.
    """

    topic: Topic[Any, V]
    apply: Callable[[Connection, Sequence[Received[V]]], None]
    remove: Callable[[Connection, Sequence[Record]], None] | None = None

    def store(self, connection: Connection, received: Sequence[Received[V] | Record]) -> None:
        """Hand values to ``apply`` and tombstones to ``remove``, in the order they came in."""
        for is_tombstone, run in groupby(received, key=lambda item: isinstance(item, Record)):
            if is_tombstone:
                check(self.remove is not None, f"{self.topic.name}: a tombstone that nobody asked for")
                self.remove(connection, cast("list[Record]", list(run)))  # type: ignore[misc]
            else:
                self.apply(connection, cast("list[Received[V]]", list(run)))


class PartitionsListener(Protocol):
    """Told which partitions' rows this process looks after."""

    def assigned(self, member_id: str, partitions: Collection[TopicPartition]) -> None:
        """Partitions to look after from now on, as this member of the group."""

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Partitions that belong to another process from now on."""


@dataclass(slots=True)
class _Batch:
    expected: dict[TopicPartition, int] = field(default_factory=dict)
    reached: dict[TopicPartition, int] = field(default_factory=dict)
    received: dict[str, list[Received[Any] | Record]] = field(default_factory=dict)
    dead: list[OutgoingRecord] = field(default_factory=list)


# Built once: to build it costs more than to execute it.
_MOVE = (
    update(PROJECTION_POSITION)
    .where(
        PROJECTION_POSITION.c.group_name == bindparam("group"),
        PROJECTION_POSITION.c.topic == bindparam("of_topic"),
        PROJECTION_POSITION.c.partition == bindparam("number"),
        PROJECTION_POSITION.c.next_offset == bindparam("expected"),
    )
    .values(next_offset=bindparam("reached"))
)


class Projection:
    """One member of a service's consumer group. For one thread; only :meth:`interrupt` may be called from others."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        outbox: Outbox,
        *,
        group: str,
        subscriptions: Sequence[Subscription[Any]],
        listener: PartitionsListener | None = None,
        on_stored: Callable[[], None] = lambda: None,
        gather_s: float = 0.0,
    ) -> None:
        """``on_stored`` is called after each batch: a hint to look, for whoever works on the rows.

        After a batch :meth:`run` polls again no sooner than ``gather_s`` after it began: records gather meanwhile, and
        cost fewer transactions. For what nobody waits for within so long.
        """
        self.name = f"{group}-projection"
        self.dead_letter_count = 0
        self.fenced_count = 0
        self._log = log
        self._database = database
        self._outbox = outbox
        self._group = group
        self._subscriptions: Mapping[str, Subscription[Any]] = {s.topic.name: s for s in subscriptions}
        self._listener = listener
        self._on_stored = on_stored
        self._gather_s = gather_s
        self._positions: dict[TopicPartition, int] = {}
        self._untold: dict[TopicPartition, int] = {}
        self._untold_batches = 0
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._interrupted = False
        log.create_topics([*(s.topic.config for s in subscriptions), dead_letter_topic(group)])

    def run(self, stop: threading.Event) -> None:
        """Project until ``stop`` is set and :meth:`interrupt` was called."""
        try:
            while not stop.is_set():
                due_s = time.monotonic() + self._gather_s
                if self.step(POLL_S):
                    stop.wait(max(0.0, due_s - time.monotonic()))
        finally:
            self.close()

    def interrupt(self) -> None:
        """Let a waiting :meth:`step` return now. May be called from any thread."""
        self._interrupted = True
        if self._consumer is not None:
            self._consumer.wakeup()

    def step(self, timeout_s: float) -> int:
        """Poll once, waiting up to ``timeout_s``, and store what came; how many records.

        Raises:
            StaleDatabaseError: a stored position lies beyond the log's end.
        """
        consumer = self._join()
        wait_s = min(timeout_s, UNTOLD_S) if self._untold else timeout_s
        batches = consumer.poll(BATCH_RECORDS_MAX, 0 if self._interrupted else wait_s)
        batch = _Batch()
        for records in batches:
            # A rebalance within this poll may have taken the partition after its records were read.
            if records.topic_partition in self._positions:
                self._decode(records, batch)
        if not batch.reached:
            self._tell_lag(consumer)
            return 0
        # Or else the database could remember records that a crash of the machine takes from the log.
        self._log.flush()
        try:
            with self._database.begin() as connection:
                self._store(connection, batch)
        except PositionFencedError as error:
            self.fenced_count += 1
            logger.warning("projection fenced, goes on from the stored positions", group=self._group, reason=str(error))
            self._seek_to_stored(list(self._positions))
            return 0
        self._on_stored()
        self._positions.update(batch.reached)
        self.dead_letter_count += len(batch.dead)
        self._untold.update(batch.reached)
        self._untold_batches += 1
        if self._untold_batches >= UNTOLD_BATCHES_MAX:
            self._tell_lag(consumer)
        return sum(map(len, batches))

    def close(self) -> None:
        """Leave the group; :meth:`step` joins again. Idempotent. Call it from the thread that polls."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            self._tell_lag(consumer)
            consumer.close()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """See :class:`streambank.log.RebalanceListener`."""
        self._seek_to_stored(partitions)

    def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """See :class:`streambank.log.RebalanceListener`."""
        for partition in partitions:
            self._positions.pop(partition, None)
        if self._listener is not None:
            self._listener.revoked(partitions)

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """See :class:`streambank.log.RebalanceListener`."""
        self.on_revoked(partitions)

    def _join(self) -> Consumer:
        if self._consumer is None:
            self._producer = self._log.producer()
            self._consumer = self._log.consumer(self._group, list(self._subscriptions), listener=self)
            # A log may assign before the constructor returns, when there is nothing to seek in yet.
            self._seek_to_stored(self._consumer.assignment - self._positions.keys())
        return self._consumer

    def _seek_to_stored(self, partitions: Collection[TopicPartition]) -> None:
        if self._consumer is None or not partitions:
            return
        with self._database.begin() as connection:
            positions = {p: self._stored_position(connection, self._consumer, p) for p in sorted(partitions)}
        for partition, offset in positions.items():
            self._consumer.seek(partition, offset)
        self._positions.update(positions)
        if self._listener is not None:
            self._listener.assigned(self._consumer.metadata.member_id, partitions)

    def _stored_position(self, connection: Connection, consumer: Consumer, partition: TopicPartition) -> int:
        low, high = self._log.watermarks(partition)
        stored = connection.execute(select(PROJECTION_POSITION.c.next_offset).where(self._is(partition))).scalar()
        if stored is None:
            is_table = self._subscriptions[partition.topic].topic.cleanup_policy == "compact"
            stored = low if is_table else consumer.position(partition)
            if stored > low:
                logger.warning(
                    "the database is new but the group has read before: what came earlier is not in it",
                    group=self._group,
                    partition=str(partition),
                    next_offset=stored,
                )
            values = {"group_name": self._group, **partition._asdict(), "next_offset": stored}
            connection.execute(insert(PROJECTION_POSITION).values(values))
        if stored > high:
            raise StaleDatabaseError(
                f"the database {self._database.name} has read {partition} up to offset {stored}, but the log ends at "
                f"{high}: the log is an older copy. Put the latest copy back"
            )
        if stored < low:
            logger.warning(
                "records were removed by retention before they were read",
                group=self._group,
                partition=str(partition),
                lost_count=low - stored,
            )
            connection.execute(update(PROJECTION_POSITION).where(self._is(partition)).values(next_offset=low))
        return max(int(stored), low)

    def _is(self, partition: TopicPartition) -> Any:
        columns = PROJECTION_POSITION.c
        return (
            (columns.group_name == self._group)
            & (columns.topic == partition.topic)
            & (columns.partition == partition.partition)
        )

    def _decode(self, records: RecordBatch, into: _Batch) -> None:
        partition = records.topic_partition
        subscription = self._subscriptions[partition.topic]
        topic = subscription.topic
        received = into.received.setdefault(partition.topic, [])
        into.expected.setdefault(partition, self._positions[partition])
        for record in records:
            try:
                if record.value is None:
                    if subscription.remove is None:
                        raise DeserializationError("a record without a value")
                    received.append(record)
                    continue
                received.append(Received(topic.value.deserialize(record.value), record))
            except ValueError as error:
                name = type(error).__name__
                into.dead.append(dead_letter(self._group, record, exception=name, message=str(error)))
                logger.warning(
                    "record cannot be decoded, goes to the dead letters",
                    group=self._group,
                    partition=str(partition),
                    offset=record.offset,
                    error=name,
                )
        into.reached[partition] = records.next_offset

    def _store(self, connection: Connection, batch: _Batch) -> None:
        for partition, reached in sorted(batch.reached.items()):
            expected = batch.expected[partition]
            check(reached >= expected, f"{self._group}: {partition} went back from {expected} to {reached}")
            place = {"group": self._group, "of_topic": partition.topic, "number": partition.partition}
            moved = connection.execute(_MOVE, {**place, "expected": expected, "reached": reached})
            if moved.rowcount != 1:
                raise PositionFencedError(f"another process moved {self._group}'s position in {partition}")
        for topic, received in batch.received.items():
            if received:
                self._subscriptions[topic].store(connection, received)
        self._outbox.add(connection, batch.dead)

    def _tell_lag(self, consumer: Consumer) -> None:
        """Commit the positions to the log too, for whoever looks at the lag; not while more urgent things are due."""
        reached = {at: offset for at, offset in self._untold.items() if at in self._positions}
        self._untold.clear()
        self._untold_batches = 0
        if not reached:
            return
        check(self._producer is not None, f"{self.name}: no producer")
        try:
            with self._producer.transaction(durable=False) as transaction:  # type: ignore[union-attr]
                offsets = {partition: OffsetAndMetadata(offset) for partition, offset in reached.items()}
                transaction.commit_offsets(consumer.metadata, offsets)
        except FencedError:
            # The database is what counts and has the batch; the new owner of the partitions tells the lag from now on.
            logger.info("partitions moved while a batch was stored", group=self._group)
