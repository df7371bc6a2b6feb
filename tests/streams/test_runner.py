"""The runner: members of a group that share, stop, crash and lose partitions; full storage; what it counts."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import pytest
from tests.streams import workload
from tests.streams.support import ANY, IN, OUT, topic

from streambank.log import (
    EventLog,
    FencedError,
    LogError,
    RecordTooLargeError,
    StorageFullError,
    TopicPartition,
)
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamBuilder, StreamRunner, StreamsConfig, Topology
from streambank.streams.testing import TopologyTestDriver

CONFIG = StreamsConfig(application_id="app", poll_records=20, poll_timeout_s=0.02, storage_retry_s=0.01)
WAIT_S = 20.0
RECORDS = 600


def counting(seen: Callable[[Any, Any], object] = lambda _key, _value: None) -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).peek(seen).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


class CrashError(BaseException):
    """Not an Exception, so that nothing treats it as a failed record."""


class Member:
    """A runner in a thread of its own."""

    def __init__(self, log: EventLog, topology: Topology) -> None:
        self.runner = StreamRunner(topology, log, CONFIG)
        self.crashed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.runner.run()
            self.runner.close()
        except CrashError:
            self.crashed = True  # and nothing is closed: the member just stops to poll

    def stop(self) -> None:
        self.runner.stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


@contextmanager
def undisturbed(records: int) -> Iterator[dict[str, Any]]:
    with EmbeddedLog.open(None) as log:
        workload.write_inputs(log, records)
        runner = StreamRunner(workload.build(), log, CONFIG)
        while not workload.done(log, "app"):
            runner.step()
        runner.close()
        yield workload.outcome(log)


@pytest.mark.parametrize("how", ["stops", "crashes"])
def test_two_members_share_the_partitions_and_one_takes_over_from_the_other(how: str) -> None:
    crash = threading.Event()

    def seen(_key: object, _value: object) -> None:
        time.sleep(0.0005)
        if crash.is_set() and threading.current_thread() is first._thread:
            raise CrashError

    with EmbeddedLog.open(None, session_timeout_ms=600) as log, undisturbed(RECORDS) as expected:
        workload.write_inputs(log, 0)
        first, second = Member(log, workload.build(seen)), Member(log, workload.build(seen))
        await_true(lambda: bool(first.runner.assignment) and bool(second.runner.assignment))
        workload.write_inputs(log, RECORDS)
        await_true(lambda: first.runner.counters.records > 20 and second.runner.counters.records > 20)
        if how == "stops":
            first.stop()
        else:
            crash.set()
            await_true(lambda: first.crashed)
        assert not workload.done(log, "app"), "the first ended too late to leave anything"
        await_true(lambda: workload.done(log, "app"))
        assert {at.partition for at in second.runner.assignment} == {0, 1}
        second.stop()
        assert workload.outcome(log) == expected


def test_a_member_that_joins_later_gets_its_share_and_the_state_with_it() -> None:
    with EmbeddedLog.open(None) as log, undisturbed(RECORDS) as expected:
        workload.write_inputs(log, RECORDS)
        first = Member(log, workload.build(lambda _key, _value: time.sleep(0.0005)))
        await_true(lambda: first.runner.counters.records > 50)
        second = Member(log, workload.build())
        await_true(lambda: workload.done(log, "app") and second.runner.counters.records > 0)
        first.stop()
        second.stop()
        assert workload.outcome(log) == expected


def test_what_was_polled_before_all_partitions_of_a_task_were_owned_is_read_again() -> None:
    # Another version of the program reads one topic of the two, so that the halves of a task are at two members.
    changes, limits, out = topic("changes", partitions=2), topic("limits", partitions=2), topic("out", partitions=2)
    joining, counting_only = StreamBuilder(), StreamBuilder()
    joining.stream(changes).join(joining.table(limits), lambda change, limit: [change, limit], value=ANY).to(out)
    counting_only.stream(changes).to(out)
    with EmbeddedLog.open(None) as log:
        first = StreamRunner(joining.build(), log, CONFIG)
        second = StreamRunner(counting_only.build(), log, CONFIG)
        for runner in (first, second, first, second):
            runner.step()
        assert len(first.assignment) == 3
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            for number in range(10):
                limits.write(transaction, f"k{number}", number, 1)
        while first.step():
            pass
        second.close()
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            for number in range(10):
                changes.write(transaction, f"k{number}", number, 2)
        await_true(lambda: first.step() == 0 and len(first.assignment) == 4)
        joined = [value for values in workload.by_key(log, "out").values() for value in values]
        assert sorted(joined) == [[number, number] for number in range(10)]
        first.close()


def test_a_fenced_member_starts_over_from_what_is_committed() -> None:
    #  first:   a b | c (its session ends here, second takes over: c d) commit refused ... second leaves ... e
    now = 0
    second: list[StreamRunner] = []

    def hang(_key: object, value: object) -> None:
        nonlocal now
        if value == "c" and not second:
            now += 10_000
            second.append(StreamRunner(counting(), log, CONFIG))
            while second[0].step() or not second[0].assignment:
                pass

    with EmbeddedLog.open(None, monotonic_ms=lambda: now, session_timeout_ms=1_000) as log:
        driver = TopologyTestDriver(counting(hang), application_id="app", log=log)
        driver.pipe(IN, "k", "a", 1)
        driver.pipe(IN, "k", "b", 2)
        driver.write(IN, "k", "c", 3)
        driver.write(IN, "k", "d", 4)
        assert driver.runner.step() == 0
        assert driver.runner.counters.fenced == 1
        assert log.committed("app")[TopicPartition("in", 0)].offset == 4
        assert driver.store("n") == {}
        now += 500
        driver.run()
        second[0].close()
        driver.pipe(IN, "k", "e", 5)
        await_true(lambda: bool(driver.runner.step()) or driver.store("n") == {"k": 5})
        assert driver.store("n") == {"k": 5}
        assert driver.read(OUT) == [("k", n, n) for n in range(1, 6)]
        driver.close()


class AlteredLog:
    """A log whose producers make their transactions by ``transaction``, which is given the producer."""

    def __init__(self, log: EventLog, transaction: Callable[..., AbstractContextManager[Any]]) -> None:
        self._log, self._transaction = log, transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def producer(self) -> Any:
        producer: Any = self._log.producer()
        return SimpleNamespace(transaction=partial(self._transaction, producer), close=producer.close)


def full_log(log: EventLog, refusals: Iterator[LogError]) -> Any:
    """A log without space for as many transactions."""

    @contextmanager
    def transaction(producer: Any, **how: bool) -> Iterator[Any]:
        with producer.transaction(**how) as transaction:
            yield transaction
            if (refusal := next(refusals, None)) is not None:
                raise refusal

    return AlteredLog(log, transaction)


def slow_log(log: EventLog, refusals: Iterator[LogError]) -> Any:
    """A log that decides on a commit only when it is waited for; the first ones it refuses."""

    @contextmanager
    def transaction(producer: Any, *, wait: bool = True, **how: bool) -> Iterator[Any]:
        yield (transaction := SlowTransaction(producer.transaction(**how), next(refusals, None)))
        if wait:
            transaction.wait()

    return AlteredLog(log, transaction)


class SlowTransaction:
    def __init__(self, block: AbstractContextManager[Any], refusal: LogError | None) -> None:
        self._block, self._inner, self._refusal = block, block.__enter__(), refusal
        self.decided = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def wait(self) -> None:
        assert not self.decided
        self.decided = True
        if self._refusal is not None:
            self._block.__exit__(type(self._refusal), self._refusal, None)
            raise self._refusal
        self._block.__exit__(None, None, None)


@pytest.mark.parametrize(
    "refusals",
    [(), (FencedError("lost"),), (FencedError("lost"),) * 3, (RecordTooLargeError("large"),)],
    ids=["none", "fenced", "fenced-again", "too-large"],
)
def test_while_a_commit_is_decided_the_next_records_are_polled_and_none_is_lost_or_doubled(
    refusals: tuple[LogError, ...],
) -> None:
    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(counting(), application_id="app", log=log)
        driver.runner.close()
        runner = StreamRunner(counting(), slow_log(log, iter(refusals)), CONFIG)
        consumer, ahead = runner._consumer, []
        poll = consumer.poll

        def watched(max_records: int, timeout_s: float) -> Any:
            batches = poll(max_records, timeout_s)
            if runner._in_flight is not None:
                ahead.append(sum(map(len, batches)))
            return batches

        consumer.poll = watched  # type: ignore[method-assign]
        for number in range(100):
            driver.write(IN, "k", number, number)
        await_true(lambda: runner.step() == 0 and runner.counters.records == 100)
        runner.close()
        assert sum(ahead) >= 60, "most were polled so"
        assert runner.counters.fenced + runner.counters.rollbacks == len(refusals)
        assert driver.read(OUT) == [("k", number + 1, number) for number in range(100)]


def test_partitions_that_go_while_a_commit_is_decided_are_given_up_after_it() -> None:
    with EmbeddedLog.open(None) as log, undisturbed(RECORDS) as expected:
        slow = slow_log(log, iter(()))
        workload.write_inputs(log, RECORDS)
        first = Member(slow, workload.build(lambda _key, _value: time.sleep(0.0002)))
        await_true(lambda: first.runner.counters.records > 50)
        second = Member(slow, workload.build())
        await_true(lambda: workload.done(log, "app") and second.runner.counters.records > 0)
        first.stop()
        second.stop()
        assert workload.outcome(log) == expected


def test_full_storage_is_waited_out_and_nothing_is_lost_or_doubled() -> None:
    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(counting(), application_id="app", log=log)
        driver.runner.close()
        refusals = iter([StorageFullError("no space")] * 3)
        runner = StreamRunner(counting(), full_log(log, refusals), CONFIG)
        driver.write(IN, "k", "a", 1)
        assert runner.step() == 1
        assert (next(refusals, None), runner.counters.commits, runner.counters.written) == (None, 1, 2)
        driver.write(IN, "k", "b", 2)
        assert runner.step() == 1
        runner.close()
        assert driver.read(OUT) == [("k", 1, 1), ("k", 2, 2)]


def test_a_runner_told_to_stop_while_storage_is_full_gives_up_and_leaves_nothing() -> None:
    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(counting(), application_id="app", log=log)
        driver.runner.close()
        runner = StreamRunner(counting(), full_log(log, repeat(StorageFullError("no space"))), CONFIG)
        driver.write(IN, "k", "a", 1)
        runner.stop()
        with pytest.raises(StorageFullError):
            runner.step()
        runner.close()
        assert driver.read(OUT) == []
        driver.crash()
        assert driver.read(OUT) == [("k", 1, 1)]


def test_stop_ends_a_run_that_waits_for_records() -> None:
    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(counting(), log, StreamsConfig(application_id="app", poll_timeout_s=WAIT_S))
        thread = threading.Thread(target=runner.run)
        thread.start()
        await_true(lambda: bool(runner.assignment))
        started = time.monotonic()
        runner.stop()
        thread.join(WAIT_S)
        assert time.monotonic() - started < WAIT_S / 4
        runner.close()


def test_with_a_commit_interval_records_gather_and_a_stop_does_not_wait_for_it() -> None:
    with EmbeddedLog.open(None) as log, closing(log.producer()) as producer:

        def write(count: int) -> None:
            for number in range(count):
                with producer.transaction() as transaction:
                    IN.write(transaction, "k", number, number)

        log.create_topics([IN.config])
        runner = StreamRunner(counting(), log, replace(CONFIG, commit_interval_ms=60_000))
        thread = threading.Thread(target=runner.run, daemon=True)
        write(1)
        thread.start()
        await_true(lambda: runner.counters.commits == 1)
        write(10)
        time.sleep(0.1)
        assert (runner.counters.commits, runner.counters.records) == (1, 1)
        runner.stop()
        thread.join(WAIT_S / 2)
        assert not thread.is_alive()
        # Only the loop waits: whoever steps by themselves decides when.
        runner.step()
        assert (runner.counters.commits, runner.counters.records) == (2, 11)
        runner.close()


def test_what_a_runner_counts() -> None:
    with TopologyTestDriver(counting()) as driver:
        commits = driver.runner.counters.commits
        for number in range(3):
            driver.write(IN, "k", number, number)
        driver.run()
        counters = driver.runner.counters
        assert (counters.records, counters.written, counters.commits - commits, counters.fenced) == (3, 6, 1, 0)


@pytest.mark.parametrize(
    ("poll_records", "behind"), [(1, 40), (5, 40), (1, 200)], ids=["one at a time", "five at a time", "far behind"]
)
def test_a_partition_that_waits_for_another_is_paused_and_nothing_is_lost(poll_records: int, behind: int) -> None:
    # The table's one late row has to come first; until it is fetched, the stream's records pile up, but not for ever.
    table, config = topic("rows"), StreamsConfig(application_id="app", poll_records=poll_records)
    builder = StreamBuilder()
    builder.stream(IN).join(builder.table(table), lambda value, row: [value, row], value=IN.value).to(OUT)
    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(builder.build(), application_id="app", log=log)
        driver.runner.close()
        for number in range(behind):
            driver.write(table, "other", number, number)
        driver.write(table, "k", "row", behind)
        for number in range(behind):
            driver.write(IN, "k", number, behind + number)
        runner = StreamRunner(driver.topology, log, config)
        most = 0
        while len(log.committed("app")) < 2 or log.committed("app")[TopicPartition("in", 0)].offset < behind:
            runner.step()
            most = max(most, sum(task.buffered(at) for task in runner._tasks.values() for at in task.inputs))
        runner.close()
        assert [value for _, value, _ in driver.read(OUT)] == [[number, "row"] for number in range(behind)]
        assert most <= 2 * 3 * poll_records


def test_two_applications_on_one_log_each_read_everything() -> None:
    with EmbeddedLog.open(None) as log:
        with TopologyTestDriver(counting(), application_id="one", log=log) as one:
            one.pipe(IN, "k", "a", 1)
        with TopologyTestDriver(counting(), application_id="two", log=log) as two:
            assert two.read(OUT) == [("k", 1, 1), ("k", 1, 1)]
