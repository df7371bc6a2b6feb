"""What a runner counts and measures."""

import threading
import time
from contextlib import closing
from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, topic
from tests.streams.test_runner import await_true

from streambank.log import TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import Metrics, Retry, StreamBuilder, StreamRunner, StreamsConfig, Topology
from streambank.streams.metrics import OperatorMeter
from streambank.streams.runner import OBSERVE_EVERY_MS
from streambank.streams.testing import TopologyTestDriver

IN_0, TABLE_0 = TopicPartition("in", 0), TopicPartition("table", 0)


def joining(function: Any = lambda value: value) -> Topology:
    """Counts the records per key, and joins them with a table's rows."""
    builder = StreamBuilder()
    stream = builder.stream(IN)
    stream.group_by_key().count(name="n")
    joined = stream.join(builder.table(TABLE), lambda value, row: [value, row], value=ANY)
    joined.map_values(function, value=ANY).to(OUT)
    return builder.build()


def config(**settings: Any) -> StreamsConfig:
    return StreamsConfig(application_id="test", **settings)


def test_what_went_through_is_counted_where_it_came_in_and_where_it_went_out() -> None:
    with TopologyTestDriver(joining()) as driver:
        driver.pipe(TABLE, "a", "row", 5)
        commits = driver.runner.metrics().commits
        for number, key in enumerate(("a", "b", "a", None)):
            driver.write(IN, key, number, number + 10)
        driver.run()
        metrics = driver.runner.metrics()
        assert (metrics.records, metrics.written, metrics.commits) == (5, 5, commits + 1)
        assert metrics.outputs == {"test-n-changelog": 3, "out": 2}
        assert {at: (each.records, each.buffered, each.lag) for at, each in metrics.inputs.items()} == {
            IN_0: (4, 0, 0),
            TABLE_0: (1, 0, 0),
        }
        assert {at: each.entries for at, each in metrics.stores.items()} == {("n", 0): 2, ("table", 0): 1}
        assert metrics.drops == {("n", "null key"): 1, ("join-table", "null key"): 1}
        assert metrics.tasks.keys() == {(0, 0)}
        task = metrics.tasks[0, 0]
        assert (task.runs, task.stream_time) == (2, 13)
        assert 0 < task.longest_s <= task.seconds
        assert metrics.commit_s > 0
        assert (metrics.rollbacks, metrics.retries, metrics.fenced, metrics.operators) == (0, 0, 0, {})


def test_a_snapshot_does_not_change() -> None:
    with TopologyTestDriver(joining()) as driver:
        driver.pipe(IN, "a", 1)
        before = driver.runner.metrics()
        copied = repr(before)
        driver.pipe(IN, None, 1)
        assert repr(before) == copied
        assert driver.runner.metrics().records == 2
        with pytest.raises(AttributeError):
            before.records = 3  # type: ignore[misc]


def test_lag_is_what_is_not_processed_yet() -> None:
    with TopologyTestDriver(joining(), config=config(poll_records=4)) as driver:
        for number in range(10):
            driver.write(IN, "a", number)
        lags = []
        for _ in range(3):
            driver._monotonic_ms += OBSERVE_EVERY_MS
            driver.runner.step()
            lags.append(driver.runner.metrics().inputs[IN_0].lag)
        assert lags == [6, 2, 0]


def test_a_busy_runner_does_not_look_at_everything_after_each_cycle() -> None:
    with TopologyTestDriver(joining(), config=config(poll_records=4)) as driver:
        for number in range(10):
            driver.write(IN, "a", number)
        driver.runner.step()
        assert driver.runner.metrics().records == 0
        driver.run()
        assert driver.runner.metrics().records == 10


def test_a_partition_whose_record_waits_for_another_try_shows_its_lag() -> None:
    def fail(_value: Any) -> Any:
        raise ConnectionError

    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(joining(fail), log, config(on_error=Retry()), monotonic_ms=lambda: 0)
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            TABLE.write(transaction, "a", 1, 1)
            for number in range(3):
                IN.write(transaction, "a", number, 2)
        while runner.step():
            pass
        metrics = runner.metrics()
        assert (metrics.inputs[IN_0].lag, metrics.inputs[IN_0].buffered) == (3, 3)
        assert (metrics.retries, metrics.rollbacks) == (1, 1)
        assert metrics.inputs[TABLE_0].records == 1
        runner.close()


def test_what_is_undone_does_not_count() -> None:
    with TopologyTestDriver(joining(lambda both: 1 // both[0]), config=config(on_error="dead-letter")) as driver:
        driver.pipe(TABLE, "a", 1, 0)
        for number in (1, 2, 0, 3):
            driver.write(IN, "a", number)
        driver.run()
        metrics = driver.runner.metrics()
        assert (metrics.inputs[IN_0].records, metrics.rollbacks) == (4, 1)
        assert metrics.outputs == {"test-n-changelog": 3, "out": 3, "test.dlq": 1}
        assert metrics.drops == {("stream(in)", "dead letter"): 1}


def test_restored_records() -> None:
    with TopologyTestDriver(joining()) as driver:
        for number in range(20):
            driver.pipe(IN, number % 4, number)
        assert driver.runner.metrics().stores["n", 0].restored == 0
        assert driver.runner.metrics().stores["n", 0].restored_per_s == 0.0
        driver.crash()
        store = driver.runner.metrics().stores["n", 0]
        assert (store.entries, store.restored) == (4, 20)
        assert store.restored_per_s == pytest.approx(20 / store.restore_s)


def test_tasks_that_moved_away_are_gone() -> None:
    two = topic("two", partitions=2)
    builder = StreamBuilder()
    builder.stream(two).group_by_key().count(name="n")
    with EmbeddedLog.open(None) as log:
        first = StreamRunner(builder.build(), log, config())
        first.step()
        assert first.metrics().tasks.keys() == {(0, 0), (0, 1)}
        with closing(StreamRunner(builder.build(), log, config())) as second:
            for runner in (second, first, second, first):
                runner.step()
            assert len(first.metrics().tasks) == len(second.metrics().tasks) == 1
            assert first.metrics().inputs.keys() == first.assignment
        first.close()


def test_operators_are_counted_and_timed_if_asked() -> None:
    def slow(value: Any) -> Any:
        time.sleep(0.002)
        return value

    with TopologyTestDriver(joining(slow), config=config(operator_metrics=True)) as driver:
        driver.pipe(TABLE, "a", "row", 0)
        for key in ("a", "a", "b"):
            driver.pipe(IN, key, 1)
        operators = driver.runner.metrics().operators
        counts = {name.partition("-0")[0]: each.records for name, each in operators.items()}
        assert counts == {"stream(in)": 3, "n": 3, "table(table)": 1, "join-table": 3, "map-values": 2, "to(out)": 2}
        slowest = max(operators, key=lambda name: operators[name].seconds)
        assert slowest.startswith("map-values")
        assert operators[slowest].seconds > 0.004
        assert sum(each.seconds for name, each in operators.items() if name != slowest) < operators[slowest].seconds


def test_an_operator_that_raises_is_timed_and_the_error_names_it() -> None:
    with TopologyTestDriver(
        joining(lambda both: 1 // both[0]), config=config(operator_metrics=True, on_error="dead-letter")
    ) as driver:
        driver.pipe(TABLE, "a", 1, 0)
        driver.pipe(IN, "a", 0)
        assert driver.runner.metrics().operators["map-values-001"].records == 1
        assert len(driver.dead_letters) == 1


def test_time_within_the_operators_behind_is_not_the_operators_own() -> None:
    clock_s = 0.0
    meter = OperatorMeter(lambda: clock_s)

    def work(seconds: float) -> None:
        nonlocal clock_s
        clock_s += seconds

    def inner(*_: Any) -> None:
        work(8)

    def outer(*record: Any) -> None:
        work(1)
        for _ in range(2):
            measured(*record)

    measured = meter.measured("inner", inner)
    meter.measured("outer", outer)("k", "v", 1, None)
    found = meter.read()
    assert (found["inner"].records, found["outer"].records) == (2, 1)
    assert (found["inner"].seconds, found["outer"].seconds) == (16, 1)


def test_the_hook_is_called_in_time_and_at_the_end() -> None:
    now = 0
    seen: list[Metrics] = []

    def clock() -> int:
        return now

    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(
            joining(), log, config(), on_metrics=seen.append, metrics_every_ms=1_000, monotonic_ms=clock
        )
        for step_ms in (0, 999, 1, 500, 500, 1):
            now += step_ms
            runner.step()
        assert len(seen) == 2
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            IN.write(transaction, "a", 1, 1)
        runner.step()
        runner.close()
        assert len(seen) == 3
        assert seen[-1].records == 1


def test_a_hook_that_fails_stops_nothing() -> None:
    def fail(_metrics: Metrics) -> None:
        raise OSError("the exporter is away")

    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(joining(), log, config(), on_metrics=fail, metrics_every_ms=0)
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            IN.write(transaction, "a", 1, 1)
        assert runner.step() == 1
        runner.close()


def test_another_thread_may_read_while_the_runner_works() -> None:
    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(joining(), log, config(poll_records=10, poll_timeout_s=0.01))
        thread = threading.Thread(target=runner.run)
        thread.start()
        with closing(log.producer()) as producer:
            for number in range(100):
                with producer.transaction() as transaction:
                    IN.write(transaction, number, number, number)
        await_true(lambda: runner.metrics().records == 100)
        metrics = runner.metrics()
        assert (metrics.inputs[IN_0].records, metrics.stores["n", 0].entries) == (100, 100)
        runner.stop()
        thread.join(20.0)
        runner.close()
