"""The transactional outbox: a service's rows and its outgoing records in one database transaction.

The relay brings them into the log, in order and each exactly once:

1. :meth:`Outbox.add` takes ids from a counter row. Its lock is held until the transaction ends, so ids commit in order,
   on PostgreSQL too: once id n is visible, no smaller one can appear. Records that are added together share a row.
2. The relay opens a producer with a transactional id, which fences every earlier relay of this service.
3. Only then it reads how far the log holds the outbox: the committed position of the group ``<service>-outbox``.
4. It appends the records after that position and commits the new position in the same transaction of the log.
5. It deletes the rows, of several batches at once while more come. A crash before that leaves rows behind that step 3
   knows to be published.

The position is kept as the metadata of an offset of the empty topic ``<service>.outbox``, since it counts rows of this
database and not records of a topic; it names the outbox too, so that a new database's ids are not taken for those of
an old one.
"""

import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from streambank.clock import Clock
from streambank.errors import InvariantError, check
from streambank.log import (
    EventLog,
    FencedError,
    GroupMetadata,
    OffsetAndMetadata,
    Producer,
    TopicConfig,
    TopicPartition,
)
from streambank.service.bulk import BulkInsert
from streambank.service.database import Database, announce
from streambank.service.errors import StaleDatabaseError
from streambank.service.tables import OUTBOX, SERVICE_STATE
from streambank.streams.topic import Topic

logger = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")

BATCH_RECORDS_MAX = 500
BATCH_BYTES_MAX = 4 * 1024 * 1024
"""One transaction of the log: large enough to share its disk flush, small enough to stay short and in memory."""

FALLBACK_POLL_S = 1.0
"""Rows of this process wake the relay; this is for those that another process left and did not live to publish."""

STAND_BY_MS = 2_000
"""How long a row may be the first one before a relay that was fenced takes over: many times what a batch takes."""

ROW_BYTES_MAX = 256 * 1024
"""Records that came together share a row up to here. A larger one is alone."""

BATCHES_KEPT_MAX = 8
"""Published batches whose rows are still there, while more come: far fewer than would take ``STAND_BY_MS``."""

READ_ROWS = 10
"""Rows read at once: a batch is bounded by its records and bytes, which are known only as its rows come."""


class OutgoingRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record to publish. ``timestamp`` is event time in ms; ``headers`` are encoded."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: bytes | None
    timestamp: int


def outbox_group(service: str) -> str:
    """The group whose committed position says how far a service's outbox is published."""
    return f"{service}-outbox"


def outbox_topic(service: str) -> str:
    """The empty topic in whose partition 0 that position is kept."""
    return f"{service}.outbox"


def outgoing(topic: Topic[K, V], key: K, value: V, timestamp: int) -> OutgoingRecord:
    """The record that says ``value`` on ``topic``. ``timestamp`` is event time in ms."""
    headers = topic.headers(value, timestamp) if topic.headers is not None else None
    return OutgoingRecord(topic.name, topic.key.serialize(key), topic.value.serialize(value), headers, timestamp)


class Outbox:
    """Where a service puts what it publishes."""

    def add(self, connection: Connection, records: Sequence[OutgoingRecord]) -> None:
        """Publish ``records``, in this order, if and only if the connection's transaction commits."""
        if not records:
            return
        last = connection.execute(_TAKE_IDS, {"count": len(records)}).scalar_one_or_none()
        check(last is not None, "Database.bind_log comes before the first outgoing record")
        _INSERT(connection, list(_packed(records, int(last or 0) - len(records))))
        announce(connection, OUTBOX.name)


def _packed(records: Sequence[OutgoingRecord], after: int) -> Iterator[tuple[int, int, bytes]]:
    """The rows that hold the records, whose ids follow on ``after``."""
    count = len(records)
    packed = _encode(records) if count <= BATCH_RECORDS_MAX else b""
    if packed and (count == 1 or len(packed) <= ROW_BYTES_MAX):
        yield after + count, count, packed
        return
    half = count // 2
    yield from _packed(records[:half], after)
    yield from _packed(records[half:], after + half)


_Packed: TypeAlias = tuple[str, bytes | None, bytes | None, bytes | None, int]
"""An :class:`OutgoingRecord` as it is read."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Packed]).decode

# Built once: to build them costs more than to execute them.
_TAKE_IDS = (
    update(SERVICE_STATE)
    .values(outbox_last_id=SERVICE_STATE.c.outbox_last_id + bindparam("count"))
    .returning(SERVICE_STATE.c.outbox_last_id)
)
_INSERT = BulkInsert(OUTBOX)
_NEXT = select(OUTBOX).where(OUTBOX.c.id > bindparam("position")).order_by(OUTBOX.c.id).limit(BATCH_RECORDS_MAX)
_PUBLISHED = delete(OUTBOX).where(OUTBOX.c.id <= bindparam("position"))


class OutboxRelay:
    """Publishes one service's outbox. Several processes may run one each: the latest works, the others stand by."""

    def __init__(self, log: EventLog, database: Database, *, service: str, outbox_id: str, clock: Clock) -> None:
        self.name = outbox_group(service)
        self.published_count = 0
        self._log = log
        self._database = database
        self._outbox_id = outbox_id
        self._clock = clock
        self._group = GroupMetadata(self.name)
        self._place = TopicPartition(outbox_topic(service), 0)
        self._producer: Producer | None = None
        self._position = 0
        self._stand_by: tuple[int, int] | None = None
        self._wake = threading.Event()
        self._more_came = False
        self._batches_kept = 0
        log.create_topics([TopicConfig(name=self._place.topic, partitions=1)])
        database.after_commit(self._wake_up, of=OUTBOX.name)

    def run(self, stop: threading.Event) -> None:
        """Publish until ``stop`` is set and :meth:`interrupt` was called."""
        try:
            while not stop.is_set():
                if not self.step():
                    self._wake.wait(FALLBACK_POLL_S)
                # Before the looks at stop and at the rows, so that neither is missed.
                self._wake.clear()
        finally:
            self.close()

    def _wake_up(self) -> None:
        self._more_came = True
        self._wake.set()

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now. May be called from any thread."""
        self._wake.set()

    def step(self) -> int:
        """Publish one batch; how many records it had.

        Raises:
            StaleDatabaseError: the database was put back to an earlier state than what was published from it.
            RecordTooLargeError: a record is larger than the log takes; nothing behind it is published.
        """
        self._more_came = False
        rows = self._next_rows()
        if not rows and self._batches_kept:
            self._delete_published()
        if not rows or self._must_stand_by(rows[0].id):
            return 0
        try:
            if self._producer is None:
                self._open()
                rows = self._next_rows()
            if rows:
                self._check_follows(rows[0])
                return self._publish(rows)
        except FencedError:
            self.close()
            self._stand_by = (rows[0].id, self._clock()) if rows else None
            logger.info("outbox relay fenced: another process publishes now", relay=self.name)
            return 0
        except BaseException:
            # Whether the log has the batch is unknown now; opening again reads it from the log.
            self.close()
            raise
        return 0

    def close(self) -> None:
        """Release the producer. Idempotent."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()

    def _must_stand_by(self, first_id: int) -> bool:
        # Two living relays would fence each other for ever. A fenced one takes over again only once the row that is
        # first has been first for a while: whoever fenced it is gone then.
        if self._stand_by is None:
            return False
        stuck_id, since_ms = self._stand_by
        if stuck_id != first_id:
            self._stand_by = (first_id, self._clock())
        elif self._clock() - since_ms >= STAND_BY_MS:
            self._stand_by = None
        return self._stand_by is not None

    def _open(self) -> None:
        self._producer = self._log.producer(self.name)
        self._position = self._published_position()
        with self._database.read() as connection:
            last = connection.execute(select(SERVICE_STATE.c.outbox_last_id)).scalar_one()
        if last < self._position:
            raise StaleDatabaseError(
                f"{self._position} records were published from the database {self._database.name}, but it has only "
                f"made {last}: it is an older copy. Put the latest copy back, or move it away so that a new one is made"
            )
        self._delete_published()

    def _published_position(self) -> int:
        kept = self._log.committed(self.name).get(self._place)
        outbox_id, _, position = kept.metadata.rpartition(" ") if kept else ("", "", "0")
        return int(position) if outbox_id == self._outbox_id else 0

    def _check_follows(self, row: Row[Any]) -> None:
        """Rows behind what is published are deleted by who published them: another relay, or else they are lost."""
        if row.id - row.record_count <= self._position:
            return
        if self._published_position() != self._position:
            raise FencedError("another relay has published and deleted rows")
        raise InvariantError(f"{self.name}: ids have a gap after {self._position}")

    def _next_rows(self) -> list[Row[Any]]:
        rows: list[Row[Any]] = []
        size_bytes = 0
        place = {"position": self._position}
        with (
            self._database.read() as connection,
            # Left in the midst, it has to be closed: on PostgreSQL it is a cursor of the server's.
            connection.execution_options(yield_per=READ_ROWS).execute(_NEXT, place) as found,
        ):
            # Part by part: to take them one by one from the result costs more than to read them.
            for row in chain.from_iterable(found.partitions()):
                size_bytes += len(row.records)
                if rows and size_bytes > BATCH_BYTES_MAX:
                    break
                rows.append(row)
                if row.id - self._position >= BATCH_RECORDS_MAX:
                    break
        return rows

    def _publish(self, rows: Sequence[Row[Any]]) -> int:
        check(self._producer is not None, f"{self.name}: no producer")
        records = self._unpublished(rows)
        last = self._position + len(records)
        with self._producer.transaction() as transaction:  # type: ignore[union-attr]
            for topic, key, value, headers, timestamp in records:
                transaction.append(topic, value, timestamp=timestamp, key=key, headers=headers)
            kept = OffsetAndMetadata(0, f"{self._outbox_id} {last}")
            transaction.commit_offsets(self._group, {self._place: kept})
        self._position = last
        self.published_count += len(records)
        self._delete_published()
        return len(records)

    def _delete_published(self) -> None:
        # Those who write wait for it, and for its disk flush: while more comes, once for several batches is enough.
        if self._more_came and self._batches_kept < BATCHES_KEPT_MAX:
            self._batches_kept += 1
            return
        self._batches_kept = 0
        with self._database.begin() as connection:
            connection.execute(_PUBLISHED, {"position": self._position})

    def _unpublished(self, rows: Sequence[Row[Any]]) -> list[_Packed]:
        """The records of one batch. Of the first row, some may have gone with the batch before."""
        begin = last = rows[0].id - rows[0].record_count
        records: list[_Packed] = []
        for row in rows:
            records += _decode(row.records)
            check(row.id - row.record_count == last, f"{self.name}: ids have a gap after {last}")
            check(row.id - begin == len(records), f"{self.name}: the row {row.id} has not as many records as it says")
            last = row.id
        return records[self._position - begin :][:BATCH_RECORDS_MAX]


def outbox_length(database: Database) -> int:
    """How many records wait to be published."""
    with database.read() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(OUTBOX.c.record_count), 0))).scalar_one())
