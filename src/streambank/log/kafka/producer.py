"""Transactions on Kafka (KIP-98, KIP-447).

A transaction is collected in memory, and sent when its block ends:

1. Begin; hand every record to librdkafka, which sends them from threads of its own.
2. Send the group's offsets, with what makes the broker refuse a member that lost its place.
3. Commit: librdkafka waits for all records, then for the coordinator, which has decided when it answers.

Where 2 is refused because the group has moved on, and the member still has the partitions, all is aborted and done
again with its present place. If anything else fails before 3, nothing of it can be read by anyone.

Two clients take turns: the next transaction need not wait until the brokers have written the marks of the last one.
With one, transactions that follow one another at once take 100 ms each; with two, some 15.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import KafkaException

from streambank.log.errors import ClosedError, FencedError, LogError, TransactionAbortedError
from streambank.log.interface import GroupMetadata
from streambank.log.kafka.background import Background
from streambank.log.kafka.client import CLIENTS, HangingError, TransactionalClient
from streambank.log.kafka.errors import STALE_EPOCH, translate
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.kafka.transaction import KafkaGroupMetadata, KafkaTransaction, Topics
from streambank.log.records import OffsetAndMetadata, TopicPartition

STALE_WAIT_S = 0.02
STALE_ATTEMPTS_MAX = 500
"""The group's news reach a member with its next heartbeat: within 5 s by the broker's default."""


class KafkaProducer:
    """See :class:`streambank.log.interface.Producer`."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Topics,
        writer_id: str,
        *,
        exclusive: bool,
        memberless: Callable[[str], KafkaGroupMetadata],
        on_commit: Callable[[KafkaTransaction], None],
        on_close: Callable[[KafkaProducer], None],
    ) -> None:
        """With ``exclusive``, earlier producers of that id are fenced for good.

        ``memberless`` gives the place of a writer that is no member; it raises FencedError where there are some.

        ``on_commit`` is told of each transaction that has committed.
        """
        self._settings, self._topics = settings, topics
        self.writer_id, self._exclusive = writer_id, exclusive
        self._memberless, self._on_commit, self._on_close = memberless, on_commit, on_close
        self._turns = itertools.count()
        self._clients: list[TransactionalClient | None] = [None] * CLIENTS
        self._next = 0
        self._current: KafkaTransaction | None = None
        self._fenced: FencedError | None = None
        self._closed = False
        self._background = Background("streambank-commits")
        if exclusive:
            # All at once: an older producer must not find one of them still its own.
            for number in range(CLIENTS):
                self._client(number)

    @contextmanager
    def transaction(self, *, durable: bool = True, wait: bool = True) -> Iterator[KafkaTransaction]:
        """A transaction that commits when the block ends; the topics' ``min.insync.replicas`` say how durable it is."""
        self._check_open()
        if self._current is not None:
            raise LogError("the producer has an open transaction; it has one at a time")
        self._current = transaction = KafkaTransaction(self._topics, self._turns)
        try:
            yield transaction
            self._check_open()
            transaction.end()
            if transaction.columns or transaction.offsets:
                if wait:
                    self._commit(transaction)
                else:
                    transaction.commit = self._background.submit(lambda: self._commit_in_background(transaction))
                    # Before that, both would want the interpreter, which only one at a time can have.
                    transaction.handed_over.wait()
        finally:
            transaction.end()
            if transaction.commit is None:
                self._current = None

    def close(self) -> None:
        """Release the producer."""
        if not self._closed:
            self._closed = True
            self._clients = [None] * CLIENTS
            self._on_close(self)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the producer is closed; get another one from the log")

    def _client(self, number: int) -> TransactionalClient:
        client = self._clients[number]
        if client is None:
            client = TransactionalClient(self._settings, self.writer_id, number)
            self._clients[number] = client
        return client

    def _commit(self, transaction: KafkaTransaction) -> None:
        if self._fenced is not None:
            raise self._fenced
        number, self._next = self._next, (self._next + 1) % CLIENTS
        offsets = [(self._place(member), positions) for member, positions in transaction.offsets]
        attempts = 0
        while not self._send(transaction, number, offsets, last=attempts >= STALE_ATTEMPTS_MAX):
            time.sleep(STALE_WAIT_S)
            attempts += 1
            offsets = [(member.refreshed(), positions) for member, positions in offsets]
        self._on_commit(transaction)

    def _commit_in_background(self, transaction: KafkaTransaction) -> None:
        try:
            self._commit(transaction)
        finally:
            self._current = None
            transaction.handed_over.set()

    def _send(
        self,
        transaction: KafkaTransaction,
        number: int,
        offsets: list[tuple[KafkaGroupMetadata, Mapping[TopicPartition, OffsetAndMetadata]]],
        *,
        last: bool,
    ) -> bool:
        """Try to commit; False where the members' places are old and it may be tried again with new ones."""
        for member, positions in offsets:
            member.check_owned(positions)
        client = self._client(number)
        try:
            transaction.ends = client.send(transaction.columns, offsets, transaction.handed_over.set)
            return True
        except BaseException as cause:
            usable = client.abort(cause)
            if not usable:
                # Whoever fences a writer fences all of its clients.
                self._clients = [None] * CLIENTS
            if isinstance(cause, HangingError):
                # Nothing commits a transaction whose client was left behind before it was told to commit.
                raise TransactionAbortedError(f"transactional id {self.writer_id!r}: {cause}") from cause
            if not isinstance(cause, KafkaException):
                raise
            error = cause.args[0]
            if usable and error.code() in STALE_EPOCH and not last:
                return False
            refusal = translate(error, f"transactional id {self.writer_id!r}")
            if not usable and self._exclusive:
                self._fenced = FencedError(
                    f"a newer producer has the transactional id {self.writer_id!r}: {error.str()}"
                )
                refusal = self._fenced
            elif type(refusal) is LogError and (not usable or error.txn_requires_abort() or error.retriable()):
                refusal = TransactionAbortedError(str(refusal))
            raise refusal from cause

    def _place(self, member: GroupMetadata) -> KafkaGroupMetadata:
        return member if isinstance(member, KafkaGroupMetadata) else self._memberless(member.group)
