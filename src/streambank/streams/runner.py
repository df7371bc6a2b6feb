"""Runs a topology on a log: joins the group, keeps the tasks, and commits what they do exactly once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NoReturn, TypeAlias

import structlog

from streambank.clock import Clock, monotonic_ms, system_clock
from streambank.errors import check
from streambank.log import (
    EventLog,
    FencedError,
    InvalidRecordError,
    LogError,
    OffsetAndMetadata,
    RecordBatch,
    RecordTooLargeError,
    StorageFullError,
    TopicConfig,
    TopicPartition,
    Transaction,
    TransactionAbortedError,
)
from streambank.streams.collection import collection_paused
from streambank.streams.collector import RecordCollector
from streambank.streams.compatibility import StoredTopology
from streambank.streams.config import StreamsConfig
from streambank.streams.drops import Drops
from streambank.streams.error_policies import ErrorContext, retry_delay_ms
from streambank.streams.errors import BufferFullError, ProcessingError, StoreError
from streambank.streams.global_tables import GlobalTables
from streambank.streams.metrics import Counters, Metrics, OperatorMeter, Stopwatch, observe
from streambank.streams.queries import Questions, Reached, StoreQuery, find_store
from streambank.streams.queue import InputQueue, RecordFailedError, Retrying
from streambank.streams.remote_queries import AnywhereQuery, KeyQueryMetadata, QueryPeers
from streambank.streams.restore import OnRestore
from streambank.streams.stores import StateStore
from streambank.streams.task import StreamTask, TaskId
from streambank.streams.task_manager import TaskManager, log_restore
from streambank.streams.topology import Topology

logger = structlog.get_logger(__name__)

BUFFERED_POLLS_MAX = 2
"""A partition is paused while the task that reads it holds this many polls' worth of its records unprocessed."""

OBSERVE_EVERY_MS = 100
"""How old a busy runner's metrics may be."""

METRICS_EVERY_MS = 10_000
"""Often enough for a chart of the last hour."""

OnMetrics: TypeAlias = Callable[[Metrics], object]

QUERY_TIMEOUT_S = 10.0

LOST_PLACE = (FencedError, TransactionAbortedError)
"""Nothing of the transaction is in the log: read on from what is committed, with what is owned then."""

CAREFUL_COMMITS = 100
"""For so many commits after a record failed, stores record what they replace: failures come in groups, and the next one
then costs no reload."""


@dataclass(frozen=True, slots=True)
class _Commit:
    """What is being committed, since when by ``perf_counter``."""

    transaction: Transaction
    tasks: list[StreamTask]
    offsets: Mapping[TopicPartition, OffsetAndMetadata]
    written: Counter[str]
    started: float


class StreamRunner:
    """One member of the application's group.

    Other threads may call :meth:`stop` and :meth:`metrics`. Each :meth:`step` is one cycle of the commit protocol:

    1. Poll: join or rejoin the group, take in records of the partitions this member owns, and what is new in global
       tables.
    2. For partitions newly owned, make tasks and restore their stores, before any of their records is processed.
    3. Run the punctuations that are due by the wall clock; if they write anything, commit it as in 5 and 6.
    4. Process what is buffered; outputs and changelog records are collected in memory.
    5. In one transaction of the log, append them and commit the input offsets, each with its partition's time. The log
       refuses the transaction if the member no longer owns one of these partitions. Where the log takes time to decide,
       the next cycle's poll is made meanwhile; none of it is processed before.
    6. Only then tell queues and stores that what they did is final.

    A cycle that wrote nothing leaves 5 and 6 to the next one that does, or that finds nothing to process: to repeat it
    would write nothing again.

    When it is made, it checks that the topology fits what the application has stored: see :class:`StoredTopology`.

    If anything fails before 5 has succeeded, nothing of the cycle is in the log, and the tasks go back to the last
    commit.
    """

    def __init__(
        self,
        topology: Topology,
        log: EventLog,
        config: StreamsConfig,
        *,
        on_restore: OnRestore | None = None,
        on_metrics: OnMetrics | None = None,
        metrics_every_ms: int = METRICS_EVERY_MS,
        monotonic_ms: Clock = monotonic_ms,
        clock: Clock = system_clock,
    ) -> None:
        """``on_metrics`` gets the metrics every so many ms, in the runner's thread, and a last time from :meth:`close`.

        ``monotonic_ms`` is the clock for that, and for when records that failed are tried again. ``clock`` is the wall
        clock of punctuations and of ``idle_close_ms``.
        """
        self._clock = clock
        self._topology, self._log, self._config = topology, log, config
        self._monotonic_ms = monotonic_ms
        self._on_metrics, self._metrics_every_ms = on_metrics, metrics_every_ms
        self._metrics, self._metrics_due_ms = Metrics(), monotonic_ms() + metrics_every_ms
        self._observe_at_ms, self._stale = 0, False
        self._operator_meter = OperatorMeter() if config.operator_metrics else None
        self._outputs: Counter[str] = Counter()
        self._commits = Stopwatch()
        self._waiting: list[InputQueue] = []
        self._collector = RecordCollector({topic.name: topic.partitions for topic in self._create_topics()})
        self._rebalanced = True
        self._in_flight: _Commit | None = None
        self._ahead: list[RecordBatch] = []
        self._paused: set[TopicPartition] = set()
        self._stopping = threading.Event()
        self._drops = Drops()
        self._alone = self._careful_commits = self._uncommitted = 0
        self.counters = Counters()
        # Before the group is joined, so that a long read costs no membership.
        self._global_tables = GlobalTables(topology.global_tables, log, on_restore or log_restore)
        self._open(on_restore)
        self._questions = Questions(self._settle, self._consumer.wakeup)
        self._peers.start()

    def _open(self, on_restore: OnRestore | None) -> None:
        """Get a producer and join the group, or leave nothing open."""
        topology, log, config = self._topology, self._log, self._config
        with ExitStack() as opened:
            self._producer = log.producer()
            opened.callback(self._producer.close)
            self._manager = TaskManager(
                topology,
                log,
                config,
                collector=self._collector,
                drops=self._drops,
                global_stores=self._global_tables.stores,
                meter=self._operator_meter,
                clock=self._clock,
                monotonic_ms=self._monotonic_ms,
                on_restore=on_restore,
            )
            # Before the group is joined: where the port is taken, nobody is to lose partitions to who does not start.
            self._peers = QueryPeers(topology, log, config, self.query)
            opened.callback(self._peers.close)
            group = config.application_id
            names = [topology.topic_name(topic.name, group) for topic in topology.source_topics]
            self._consumer = log.consumer(group, names, listener=self, instance_id=config.group_instance_id)
            opened.pop_all()

    def _create_topics(self) -> list[TopicConfig]:
        """Create what the topology reads and writes, unless it does not fit what ran before."""
        topology, log, config = self._topology, self._log, self._config
        configs = topology.topic_configs(config.application_id)
        if config.writes_dead_letters:
            configs.append(TopicConfig(name=config.dead_letter_topic, partitions=1))
        stored = StoredTopology(topology, log, config.application_id)
        stored.check()
        log.create_topics([*configs, stored.topic])
        stored.record()
        return configs

    def run(self) -> None:
        """Run until :meth:`stop`.

        Raises:
            ProcessingError: a record failed and the policy is ``fail``; nothing of it is in the log.
            BufferFullError: a suppression is full, and must not emit early; nothing of the transaction is in the log.
            LogError: the log cannot be used.
        """
        while not self._stopping.is_set():
            due_ms = self._monotonic_ms() + self._config.commit_interval_ms
            if self.step(self._config.poll_timeout_s):
                self._stopping.wait(max(0, due_ms - self._monotonic_ms()) / 1000)
        with suppress(*LOST_PLACE):
            self._commit()

    def stop(self) -> None:
        """Let :meth:`run` return after the transaction in work. May be called from any thread."""
        self._stopping.set()
        self._consumer.wakeup()

    def close(self, *, save: bool = True) -> None:
        """Leave the group; what is not committed is dropped and will be processed again.

        ``save``: stores on disk are saved, so that the next start reads nothing of their changelogs. False leaves them
        as a crash would.
        """
        self._report()
        try:
            self._questions.close()
            self._manager.close(save=save)
            self._consumer.close()
            self._producer.close()
        finally:
            self._peers.close()

    def step(self, timeout_s: float = 0.0) -> int:
        """One cycle of the commit protocol, waiting up to ``timeout_s``; returns how many records were processed."""
        self._end_waits()
        with self._questions.working():
            processed = self._cycle(timeout_s)
        if self._questions:
            self._questions.answer()
        return processed

    def query(
        self,
        store: str,
        *,
        min_position: Mapping[TopicPartition, int] | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> StoreQuery:
        """Read a store, from any thread, while the application runs: what is committed, and never half a transaction.

        ``min_position`` are offsets in topics that the topology reads, such as ``Transaction.end_offsets`` of what was
        just written: every answer then has what came of the records before them, through internal topics too. An
        answer is waited for up to ``timeout_s``.

        Raises:
            QueryError: there is no such store, or the topology does not read a topic of ``min_position``.
        """
        sub = find_store(self._topology, store)
        ready = Reached(self._topology, self._config.application_id, self._log, min_position or {}, sub)
        manager, questions = self._manager, self._questions
        return StoreQuery(
            store,
            sub,
            lambda: manager.stores(store),
            lambda answer, within_s: questions.ask(answer, ready, within_s),
            timeout_s,
        )

    def query_anywhere(
        self,
        store: str,
        *,
        min_position: Mapping[TopicPartition, int] | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> AnywhereQuery:
        """The same as :meth:`query`, of all members: what this one does not have, it asks those for that have it.

        They answer where their ``application_server`` says; all share ``query_secret``. What is moving, or with a
        member that cannot be reached, is asked for again up to ``timeout_s``. A member that has lost a partition and
        does not know yet is not asked: see :class:`AnywhereQuery`.

        Raises:
            QueryError: there is no such store, or the topology does not read a topic of ``min_position``.
        """
        local = self.query(store, min_position=min_position, timeout_s=timeout_s)
        return AnywhereQuery(self._peers, self._topology, store, local, min_position or {}, timeout_s)

    def query_metadata(self, store: str, key: Any) -> KeyQueryMetadata:
        """Who has a key of a store, as of now. Raises QueryError."""
        return self._peers.metadata(store, key)

    def _cycle(self, timeout_s: float) -> int:
        batches, self._ahead = self._ahead, []
        if not batches:
            batches = self._consumer.poll(self._config.poll_records, self._idle_s(timeout_s))
        self._global_tables.refresh()
        processed = self._work(batches)
        self._manager.follow_others(self._consumer)
        last, now = self._metrics, self._monotonic_ms()
        if processed or batches or self.counters.commits != last.commits or self._tasks.keys() != last.tasks.keys():
            self._stale = True
        # Not after each of many small cycles, which it would be a good part of.
        if self._stale and (not processed or now >= self._observe_at_ms):
            self._metrics, self._stale, self._observe_at_ms = self._observe(), False, now + OBSERVE_EVERY_MS
        if self._on_metrics is not None and now >= self._metrics_due_ms:
            self._metrics_due_ms = now + self._metrics_every_ms
            self._report()
        return processed

    def _work(self, batches: list[RecordBatch]) -> int:
        """Take the batches in, process and commit."""
        again = self._reconcile() if self._rebalanced else ()
        self._take_in(batch for batch in batches if batch.topic_partition not in again)
        try:
            self._follow_clock()
        except LOST_PLACE:
            self._start_over()
            return 0
        while True:
            try:
                with collection_paused():
                    processed = self._process()
                self._uncommitted += processed
                if not self._collector.empty or not processed or self._uncommitted >= self._config.poll_records:
                    self._commit(meanwhile=self._poll_ahead)
            except LOST_PLACE:
                self._start_over()
                return 0
            except (RecordTooLargeError, InvalidRecordError) as error:
                self._refused(error)
            else:
                self.counters.records += processed
                return processed

    def stores(self, name: str) -> list[StateStore]:
        """The store's parts that this member keeps, one a partition it owns; a global table's store is whole."""
        if name in self._global_tables.stores:
            return [self._global_tables.stores[name]]
        return [*self._manager.stores(name).values()]

    @property
    def _tasks(self) -> Mapping[TaskId, StreamTask]:
        return self._manager.tasks

    def _reconcile(self) -> set[TopicPartition]:
        """Make the tasks that can be made now; returns the partitions of which what was polled goes nowhere."""
        again = self._manager.reconcile(self._consumer)
        if again:
            self._seek_to_committed(again)
        # Once more in the next cycle, where the others could not be told.
        self._rebalanced = not self._peers.follow(self._consumer.metadata.member_id)
        return again

    def _settle(self) -> None:
        """Commit what cycles that wrote nothing have left."""
        try:
            self._commit()
        except LOST_PLACE:
            self._start_over()

    def metrics(self) -> Metrics:
        """What was counted and measured so far; where the runner is busy, a tenth of a second ago. From any thread."""
        return self._metrics

    @property
    def drops(self) -> Counter[str]:
        """How many records went no further, by reason; those to the dead letters and of global tables included."""
        return self._drops.counts + self._global_tables.drops

    @property
    def next_retry_ms(self) -> int | None:
        """When the next record that failed is tried again, on ``monotonic_ms``; None if none waits for that."""
        return min((queue.retrying.due_ms for queue in self._waiting if queue.retrying is not None), default=None)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that this member owns."""
        return self._consumer.assignment

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Tasks are made after the poll, when the whole assignment is known."""
        self._tell("partitions assigned", partitions)
        self._rebalanced = True

    def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Drop the tasks, when all that they wrote is committed: polls come after commits, or while one is decided."""
        self._tell("partitions revoked", partitions)
        self._rebalanced = True
        try:
            self._finish_commit()
        finally:
            self._manager.discard(partitions)

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """Drop the tasks without a commit."""
        self.on_revoked(partitions)

    def _tell(self, event: str, partitions: Collection[TopicPartition]) -> None:
        names = [str(at) for at in sorted(partitions)]
        logger.info(event, application=self._config.application_id, partitions=names)

    def _behind(self, topic_partition: TopicPartition) -> bool:
        return self._consumer.current_lag(topic_partition) > 0

    def _follow_clock(self) -> None:
        """What is due by the wall clock, in a transaction of its own where it writes anything."""
        tasks = [task for task in self._tasks.values() if task.follows_clock]
        if not tasks:
            return
        now = self._clock()
        try:
            ran = [task for task in tasks if task.follow_clock(now, self._behind)]
        except Exception as error:
            self._clock_failed(error)
        if self._collector.empty:
            return
        for task in ran:
            task.touch(self._consumer.position)
        try:
            self._commit()
        except (RecordTooLargeError, InvalidRecordError) as error:
            self._clock_failed(error)

    def _clock_failed(self, error: Exception) -> NoReturn:
        self._roll_back()
        raise ProcessingError(
            f"{self._config.application_id} stopped in what was due by the clock: {type(error).__name__}: {error}. "
            "Nothing of it was written; mend the program and start again"
        ) from error

    def _process(self) -> int:
        limit = 1 if self._alone else self._config.poll_records
        while True:
            try:
                processed = 0
                for task in self._tasks.values():
                    if task.has_buffered:
                        processed += self._run(task, limit)
                    if self._alone and processed:
                        break
                self._alone = max(0, self._alone - processed)
                return processed
            except RecordFailedError as failed:
                self._roll_back()
                self._put_aside(failed)

    def _run(self, task: StreamTask, limit: int) -> int:
        started = perf_counter()
        processed = task.process(limit, self._behind)
        if processed:
            task.watch.add(perf_counter() - started, processed)
        return processed

    def _put_aside(self, failed: RecordFailedError) -> None:
        """Let the record be tried again later, or left out when it comes up again, or stop."""
        queue, context = failed.queue, failed.context
        if isinstance(context.error, BufferFullError | StoreError):
            raise context.error
        delay_ms = retry_delay_ms(self._config.error_policy(context.kind), context)
        if delay_ms is not None:
            logger.warning("record failed: trying again", at=str(context), attempt=context.attempts, delay_ms=delay_ms)
            queue.retrying = Retrying(context.record.offset, context.attempts, self._monotonic_ms() + delay_ms)
            self._waiting.append(queue)
            self.counters.retries += 1
            return
        # The queue has decided already on a record that cannot be decoded.
        action = "fail" if context.kind == "deserialization" else queue.failed.decide(context)
        if action == "fail":
            raise ProcessingError(
                f"{self._config.application_id} stopped before {failed}. Nothing of it was written; mend the program "
                f"and start again, or let on_{context.kind}_error='dead-letter' put such records aside"
            ) from context.error
        queue.poison[context.record.offset] = (context, action)

    def _end_waits(self) -> None:
        """Let the records whose time has come be tried again."""
        if self._waiting:
            now = self._monotonic_ms()
            for queue in self._waiting:
                if queue.retrying is not None and queue.retrying.due_ms <= now:
                    queue.retrying.waiting = False
            self._waiting = [queue for queue in self._waiting if queue.retrying is not None and queue.retrying.waiting]

    def _idle_s(self, timeout_s: float) -> float:
        """How long to wait for records: not at all where there is work, no longer than until a record's next try."""
        if any(task.has_work for task in self._tasks.values()):
            return 0.0
        due = self.next_retry_ms
        return timeout_s if due is None else min(timeout_s, max(0, due - self._monotonic_ms()) / 1000)

    def _refused(self, error: LogError) -> None:
        """The log refuses a record that was written. Find out whose it is: one record a transaction, for this cycle."""
        culprits = [queue for task in self._tasks.values() for queue in task.advanced()]
        processed = sum(queue.advanced for queue in culprits)
        self._roll_back()
        if processed == 1:
            queue = culprits[0]
            record = queue.head
            check(record.offset not in queue.poison, f"a dead letter is refused: {error}")
            self._put_aside(RecordFailedError(queue, ErrorContext("production", record, error)))
        self._alone = processed

    def _commit(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Commit what was processed; ``meanwhile`` is called where the log takes its time to decide."""
        self._begin_commit()
        try:
            if self._in_flight is not None and not self._in_flight.transaction.decided:
                meanwhile()
        finally:
            self._finish_commit()

    def _poll_ahead(self) -> None:
        # A cycle in which the log refuses a record commits more than once: what was polled waits for the next cycle.
        if not self._ahead:
            with collection_paused():
                self._ahead = self._consumer.poll(self._config.poll_records, 0.0)

    def _begin_commit(self) -> None:
        tasks = [task for task in self._tasks.values() if task.dirty]
        offsets = {at: offset for task in tasks for at, offset in task.offsets().items()}
        if not offsets:
            return
        started = perf_counter()
        while True:
            try:
                # Not durable: after a crash of the machine, the same follows from the same input.
                with self._producer.transaction(durable=False, wait=False) as transaction:
                    written = self._collector.append_to(transaction)
                    transaction.commit_offsets(self._consumer.metadata, offsets)
                break
            except StorageFullError as error:
                logger.error("no space left: waiting", application=self._config.application_id, error=str(error))
                if self._stopping.wait(self._config.storage_retry_s):
                    raise
        self._in_flight = _Commit(transaction, tasks, offsets, written, started)

    def _finish_commit(self) -> None:
        """Wait for the decision, and let the tasks know of it."""
        commit, self._in_flight = self._in_flight, None
        if commit is None:
            return
        commit.transaction.wait()
        self._commits.add(perf_counter() - commit.started)
        self._outputs.update(commit.written)
        self._uncommitted = 0
        self._collector.clear()
        self._drops.committed()
        self._careful_commits = max(0, self._careful_commits - 1)
        for task in commit.tasks:
            task.committed(careful=self._careful_commits > 0)
        self.counters.written += commit.written.total()
        self.counters.commits += 1
        if self._manager.disk is not None:
            # Last, when all of them know of the commit: this may fail.
            ends = {at: offset.offset for at, offset in commit.offsets.items()} | dict(commit.transaction.end_offsets)
            for task in self._tasks.values():
                task.reached(ends)

    def _roll_back(self) -> None:
        self._collector.clear()
        self._drops.rollback()
        for task in self._tasks.values():
            task.rollback(lambda store, task=task: self._manager.reload(task, store, self._consumer))  # type: ignore[misc]
        self._careful_commits = CAREFUL_COMMITS
        self.counters.rollbacks += 1

    def _start_over(self) -> None:
        """The member lost its place: drop every task and read on from what is committed."""
        self.counters.fenced += 1
        logger.warning("commit refused: starting over from what is committed", application=self._config.application_id)
        self._manager.discard()
        self._rebalanced, self._ahead = True, []
        self._seek_to_committed(self._consumer.assignment)

    def _seek_to_committed(self, partitions: Collection[TopicPartition]) -> None:
        committed = self._consumer.committed(partitions)
        for topic_partition in partitions:
            found = committed.get(topic_partition)
            low = self._log.watermarks(topic_partition).low
            self._consumer.seek(topic_partition, max(low, found.offset) if found is not None else low)

    def _take_in(self, batches: Iterable[RecordBatch]) -> None:
        for batch in batches:
            if (task := self._manager.by_partition.get(batch.topic_partition)) is not None:
                task.add(batch)
            else:
                self._manager.pass_over(batch.topic_partition)
        paused = self._manager.buffering(BUFFERED_POLLS_MAX * self._config.poll_records)
        if paused != self._paused:
            self._consumer.resume([at for at in self._paused if at in self._manager.by_partition])
            self._consumer.pause(paused)
            self._paused = paused

    def _observe(self) -> Metrics:
        return observe(
            self._tasks,
            self._consumer.current_lag,
            self.counters,
            outputs=dict(self._outputs),
            commit_s=self._commits.seconds,
            drops=dict(self._drops.by_operator),
            operators=self._operator_meter.read() if self._operator_meter is not None else {},
        )

    def _report(self) -> None:
        if self._on_metrics is None:
            return
        try:
            self._on_metrics(self._metrics)
        except Exception:
            logger.exception("on_metrics failed", application=self._config.application_id)
