"""One of librdkafka's transactional producers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from itertools import islice
from math import inf
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as KafkaPartition

from streambank.log.errors import RecordTooLargeError
from streambank.log.headers import decode_headers
from streambank.log.kafka.background import Background
from streambank.log.kafka.commits import CommitNote, encode_note
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.kafka.transaction import Columns, KafkaGroupMetadata
from streambank.log.records import OffsetAndMetadata, TopicPartition

_logger = logging.getLogger(__name__)

CLIENTS = 2
"""The clients of one writer: see :mod:`streambank.log.kafka.producer`."""

CALL_S = 10.0
"""One attempt of a call to the coordinator. One that ran out may be tried again, as long as it takes."""

HANGS_S = 15.0
"""librdkafka's own time-out is over by then. Where a group's coordinator dies, a call that asks it may never return."""

RETRY_S = 0.1
QUEUE_FULL_WAIT_S = 0.1


def transactional_ids(writer_id: str) -> list[str]:
    """The transactional ids of the clients of one writer."""
    return [f"{writer_id}-{number}" if number else writer_id for number in range(CLIENTS)]


def fence(settings: KafkaSettings, writer_id: str) -> None:
    """Let the writer's open transaction be aborted, and whatever it still sends be refused."""
    for number in range(CLIENTS):
        TransactionalClient(settings, writer_id, number)


class HangingError(Exception):
    """A call does not return. The client is of no use any more, and what it has begun is aborted by time, or by the
    next client of its id."""


class TransactionalClient:
    """Sends one transaction at a time. Earlier clients of its id are fenced from when it is made."""

    def __init__(self, settings: KafkaSettings, writer_id: str, number: int) -> None:
        self._writer_id = writer_id
        self.transactional_id = transactional_id = transactional_ids(writer_id)[number]
        self._producer = Producer(settings.producer(transactional_id))
        self._background = Background("streambank-send-offsets")
        self._retried(self._producer.init_transactions)

    def send(
        self,
        columns: Sequence[Columns],
        offsets: Sequence[tuple[KafkaGroupMetadata, Mapping[TopicPartition, OffsetAndMetadata]]],
        on_handed_over: Callable[[], None],
    ) -> dict[TopicPartition, int]:
        """Send a transaction and commit it; the offset after the last record, of each partition.

        ``on_handed_over`` is called before the commit itself, when nothing is left but to wait.

        Raises:
            KafkaException: it did not commit; :meth:`abort` has to follow.
            RecordTooLargeError, HangingError: likewise.
        """
        ends: dict[TopicPartition, int] = {}
        self._producer.begin_transaction()
        for column in columns:
            self._produce(column, ends)
        for member, positions in offsets:
            self._send_offsets(member, positions)
        on_handed_over()
        self._retried(self._producer.commit_transaction)
        return ends

    def abort(self, cause: BaseException) -> bool:
        """Leave nothing of the transaction that failed; whether the client can be used again."""
        if isinstance(cause, HangingError):
            return False
        error = cause.args[0] if isinstance(cause, KafkaException) else None
        if isinstance(error, KafkaError) and error.fatal():
            return False
        try:
            self._retried(self._producer.abort_transaction)
        except KafkaException as exception:
            _logger.warning("transactional id %s: cannot abort, given up: %s", self.transactional_id, exception)
            return False
        return True

    def _produce(self, column: Columns, ends: dict[TopicPartition, int]) -> None:
        place, timestamps, keys, values, headers = column
        last = len(timestamps) - 1
        plain = max(0, last) if headers is None else 0

        def delivered(error: KafkaError | None, message: Message) -> None:
            offset = message.offset()
            if error is None and offset is not None:
                ends[place] = offset + 1

        rows = zip(timestamps, keys, values, strict=True)
        produce, (topic, partition) = self._producer.produce, place
        for timestamp, key, value in islice(rows, plain):
            try:
                # As short a call as can be: there are many.
                produce(topic, value, key, partition, timestamp=timestamp or 1)
            except (BufferError, KafkaException):
                self._hand_over(place, timestamp, key, value)
        for number, (timestamp, key, value) in enumerate(rows, plain):
            pairs = decode_headers(headers[number]) if headers is not None else ()
            # One report a partition, since each costs a call.
            report = {"on_delivery": delivered} if number == last else {}
            self._hand_over(place, timestamp, key, value, headers=list(pairs) or None, **report)

    def _hand_over(
        self, place: TopicPartition, timestamp: int, key: bytes | None, value: bytes | None, **named: Any
    ) -> None:
        """Give librdkafka one record, once it has room. Raises RecordTooLargeError, KafkaException."""
        while True:
            try:
                # A time of 0 would be the present for librdkafka.
                self._producer.produce(place.topic, value, key, place.partition, timestamp=timestamp or 1, **named)
                return
            except BufferError:
                self._producer.poll(QUEUE_FULL_WAIT_S)
            except KafkaException as exception:
                if exception.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise RecordTooLargeError(f"{place}: a record is too large: {exception.args[0]}") from exception
                raise

    def _send_offsets(self, member: KafkaGroupMetadata, positions: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        places = [
            KafkaPartition(
                *at, position.offset, encode_note(CommitNote(self._writer_id, member.member_id, position.metadata))
            )
            for at, position in positions.items()
        ]
        send = self._producer.send_offsets_to_transaction
        sending = self._background.submit(
            lambda: self._retried(lambda timeout_s: send(places, member.place, timeout_s), HANGS_S - CALL_S)
        )
        if not wait([sending], HANGS_S).done:
            raise HangingError(f"no answer within {HANGS_S:.0f} s")
        sending.result()

    def _retried(self, call: Callable[[float], object], patience_s: float = inf) -> None:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                call(CALL_S)
                return
            except KafkaException as exception:
                error: KafkaError = exception.args[0]
                if not error.retriable() or time.monotonic() > deadline:
                    raise
                _logger.warning("transactional id %s: trying again: %s", self.transactional_id, error)
                time.sleep(RETRY_S)
