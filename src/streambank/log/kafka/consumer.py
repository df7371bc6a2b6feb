"""A member of a consumer group on Kafka: librdkafka polls, heartbeats and rebalances; positions are kept here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from streambank.log.errors import ClosedError, LogError
from streambank.log.interface import RebalanceListener, StartPosition
from streambank.log.kafka.batches import batches_of
from streambank.log.kafka.errors import is_fatal, translate, translated
from streambank.log.kafka.groups import KafkaGroups
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.kafka.topics import KafkaTopics
from streambank.log.kafka.transaction import KafkaGroupMetadata
from streambank.log.records import OffsetAndMetadata, RecordBatch, TopicPartition

_logger = logging.getLogger(__name__)

WAKE_S = 0.05
"""How soon a poll that waits notices :meth:`KafkaConsumer.wakeup`, and an interpreter a signal."""

TakeOver = Callable[[str, Collection[TopicPartition]], dict[TopicPartition, OffsetAndMetadata]]
"""Fences whoever has written last for these partitions of a group, if it is gone; returns the committed positions."""

_OUT_OF_RANGE = frozenset({KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET})


class KafkaConsumer:
    """See :class:`streambank.log.interface.Consumer`."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: KafkaTopics,
        groups: KafkaGroups,
        group: str,
        subscription: Collection[str],
        *,
        listener: RebalanceListener | None,
        start: StartPosition,
        instance_id: str | None,
        take_over: TakeOver,
        on_close: Callable[[KafkaConsumer], None],
    ) -> None:
        if start not in ("earliest", "latest"):
            raise ValueError(f"start must be 'earliest' or 'latest', not {start!r}")
        for topic in subscription:
            topics.partitions(topic)
        self._topics, self._groups, self._group = topics, groups, group
        self._listener, self._start = listener, start
        self._take_over, self._on_close = take_over, on_close
        self._incremental = settings.incremental
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._assigning = False
        self._failure: BaseException | None = None
        self._woken = threading.Event()
        self._closed = False
        config = {**settings.member(group, instance_id=instance_id), "error_cb": self._on_error}
        with translated(f"group {group!r}"):
            self._consumer = Consumer(config)
            self._consumer.subscribe(
                list(subscription), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )

    @property
    def metadata(self) -> KafkaGroupMetadata:
        """What to pass to ``commit_offsets`` for the records polled so far."""
        return KafkaGroupMetadata(self._group, self._consumer.memberid() or "", place=self.place(), membership=self)

    def place(self) -> Any:
        """See :class:`streambank.log.kafka.transaction.Membership`."""
        return self._consumer.consumer_group_metadata()

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this member reads now; empty before the first poll."""
        return frozenset(self._positions)

    def poll(self, max_records: int, timeout_s: float) -> list[RecordBatch]:
        """Read on from the positions, waiting up to ``timeout_s`` where there is nothing."""
        if max_records < 1:
            raise ValueError(f"max_records must be at least 1, not {max_records}")
        deadline = time.monotonic() + timeout_s
        while True:
            self._check_open()
            remaining_s = max(0.0, deadline - time.monotonic())
            batches = self._fetch(max_records, min(remaining_s, WAKE_S))
            if batches or remaining_s == 0:
                return batches
            if self._woken.is_set():
                self._woken.clear()
                return []

    def position(self, topic_partition: TopicPartition) -> int:
        """The offset that the next poll reads from."""
        self._check_owned(topic_partition)
        return self._positions[topic_partition]

    def current_lag(self, topic_partition: TopicPartition) -> int:
        """How many offsets the position is behind the partition's end, as the last poll saw it."""
        self._check_owned(topic_partition)
        return max(0, self._ends[topic_partition] - self._positions[topic_partition])

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Read on from ``offset``."""
        self._check_owned(topic_partition)
        self._positions[topic_partition] = offset
        if not self._assigning:
            self._assign([topic_partition], again=True)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Leave these partitions out of :meth:`poll` until :meth:`resume`."""
        for at in partitions:
            self._check_owned(at)
        self._paused.update(partitions)
        self._consumer.pause([KafkaPartition(*at) for at in partitions])

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these partitions again."""
        for at in partitions:
            self._check_owned(at)
        self._paused.difference_update(partitions)
        self._consumer.resume([KafkaPartition(*at) for at in partitions])

    def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; a partition without one is left out."""
        self._check_open()
        return self._groups.committed(self._group, partitions)

    def wakeup(self) -> None:
        """Let a waiting :meth:`poll`, or else the next one, return at once."""
        self._woken.set()

    def close(self) -> None:
        """Tell the listener, while a commit still counts, and leave the group."""
        if self._closed:
            return
        self._closed = True
        try:
            self._consumer.close()
            # Where librdkafka has not told of it, as when no broker answers.
            self._revoke(frozenset(self._positions), lost=True)
            self._raise_failure()
        finally:
            self._on_close(self)

    def abandon(self) -> None:
        """Leave the group without a word to the listener, as its log is being closed, maybe by another thread."""
        self._listener = None
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed; get another one from the log")

    def _check_owned(self, topic_partition: TopicPartition) -> None:
        if topic_partition not in self._positions:
            self._check_open()
            raise LogError(f"{topic_partition} is not assigned to this member; poll() tells what is")

    def _fetch(self, max_records: int, timeout_s: float) -> list[RecordBatch]:
        # consume() waits for as many records as it may return: so for the first one only.
        messages: list[Message] = self._consumer.consume(1, timeout_s)
        if messages and max_records > 1:
            messages += self._consumer.consume(max_records - 1, 0)
        self._raise_failure()
        if any(message.error() is not None for message in messages):
            for message in messages:
                if (error := message.error()) is not None:
                    self._fetch_failed(error, message)
            messages = [message for message in messages if message.error() is None]
        # A rebalance between the two calls may have taken partitions away.
        batches = [batch for batch in batches_of(messages) if batch.topic_partition in self._positions]
        for batch in batches:
            self._positions[batch.topic_partition] = batch.next_offset
        self._look_at_ends()
        return batches

    def _look_at_ends(self) -> None:
        """Note where the partitions end as far as was fetched, and step over marks of transactions before that."""
        behind = []
        for at, position in self._positions.items():
            end = self._consumer.get_watermark_offsets(KafkaPartition(*at), cached=True)[1]
            if end > self._ends[at]:
                self._ends[at] = end
            if position < self._ends[at]:
                behind.append(KafkaPartition(*at))
        if behind:
            for found in self._consumer.position(behind):
                at = TopicPartition(found.topic, found.partition)
                if found.offset > self._positions[at]:
                    self._positions[at] = found.offset

    def _fetch_failed(self, error: KafkaError, message: Message) -> None:
        topic, partition = message.topic(), message.partition()
        if error.code() in _OUT_OF_RANGE and topic is not None and partition is not None:
            self._reset(TopicPartition(topic, partition), error)
        elif is_fatal(error) or type(translate(error, "")) is not LogError:
            raise translate(error, f"group {self._group!r}")
        elif "denies" in str(problem := translate(error, f"group {self._group!r}")):
            raise problem
        else:
            _logger.warning("group %s: %s", self._group, error)

    def _reset(self, at: TopicPartition, error: KafkaError) -> None:
        if at not in self._positions:
            return
        target = self._topics.offsets([at], self._start)[at]
        _logger.warning(
            "group %s, %s: position %d is out of range (%s); going on at %d",
            self._group,
            at,
            self._positions[at],
            error.str(),
            target,
        )
        self.seek(at, target)

    def _on_error(self, error: KafkaError) -> None:
        if is_fatal(error):
            self._failure = self._failure or translate(error, f"group {self._group!r}")
        else:
            _logger.warning("group %s: %s", self._group, error)

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _on_assign(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        gained = [TopicPartition(at.topic, at.partition) for at in partitions]
        self._assigning = True
        try:
            self._positions.update(self._starts(gained))
            if gained and self._listener is not None:
                self._listener.on_assigned(frozenset(gained))
            self._assign(gained)
        except BaseException as error:
            # Out of a callback of librdkafka nothing can be raised.
            self._failure = error
        finally:
            self._assigning = False

    def _starts(self, gained: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to begin: at the committed positions, else as ``start`` says."""
        if not gained:
            return {}
        committed = self._take_over(self._group, gained)
        low = self._topics.offsets(gained, "earliest")
        high = self._topics.offsets(gained, "latest")
        self._ends.update(high)
        default = low if self._start == "earliest" else high
        return {at: committed[at].offset if at in committed else default[at] for at in gained}

    def _assign(self, partitions: list[TopicPartition], *, again: bool = False) -> None:
        """Let librdkafka read these from their positions; with ``again`` it does already, from elsewhere."""
        if self._incremental:
            places = [KafkaPartition(*at, self._positions[at]) for at in partitions]
            if again:
                self._consumer.incremental_unassign([KafkaPartition(*at) for at in partitions])
            self._consumer.incremental_assign(places)
        else:
            self._consumer.assign([KafkaPartition(*at, offset) for at, offset in self._positions.items()])
        if paused := self._paused & set(partitions if self._incremental else self._positions):
            self._consumer.pause([KafkaPartition(*at) for at in paused])

    def _on_revoke(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        self._revoke(frozenset(TopicPartition(at.topic, at.partition) for at in partitions), lost=False)

    def _on_lost(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        self._revoke(frozenset(TopicPartition(at.topic, at.partition) for at in partitions), lost=True)

    def _revoke(self, partitions: frozenset[TopicPartition], *, lost: bool) -> None:
        try:
            if partitions and self._listener is not None:
                (self._listener.on_lost if lost else self._listener.on_revoked)(partitions)
        except BaseException as error:
            self._failure = error
        for at in partitions:
            self._positions.pop(at, None)
            self._ends.pop(at, None)
        self._paused -= partitions
        if self._closed:
            return
        try:
            if self._incremental:
                self._consumer.incremental_unassign([KafkaPartition(*at) for at in partitions])
            else:
                self._consumer.unassign()
        except KafkaException as error:
            self._failure = translate(error.args[0], f"group {self._group!r}")
