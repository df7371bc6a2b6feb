"""Global tables at work: read whole before anything is processed, kept up to date, never committed."""

from contextlib import closing
from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, topic

from streambank.log import EventLog, RecordBatch, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import (
    ErrorPolicy,
    RestoreProgress,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    Topology,
    TopologyError,
)
from streambank.streams.testing import TopologyTestDriver

RATES = topic("rates", partitions=2)
MANY = topic("many", partitions=4)


def joined(stream: Any = IN) -> Topology:
    """The stream with the rate of each value."""
    builder = StreamBuilder()
    rates = builder.global_table(RATES)
    builder.stream(stream).left_join(rates, lambda _key, value: value, lambda value, rate: [value, rate], value=ANY).to(
        OUT
    )
    return builder.build()


class CountingLog:
    """The log, counting how often it is asked for what global tables need."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.waits: list[float] = []
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def wait(self, positions: Any, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        return self._log.wait(positions, timeout_s)

    def read(self, at: TopicPartition, offset: int, max_records: int) -> RecordBatch:
        self.reads += 1
        return self._log.read(at, offset, max_records)


def test_it_is_whole_before_the_first_record_is_processed() -> None:
    with TopologyTestDriver(joined()) as driver:
        driver.write(IN, "a", "EUR", 1)
        for rate in range(50):
            driver.write(RATES, f"X{rate}", rate, 9)
        driver.write(RATES, "EUR", 7, 99)
        driver.crash()
        assert driver.read(OUT) == [("a", ["EUR", 7], 1)]
        assert driver.store("rates") == {f"X{rate}": rate for rate in range(50)} | {"EUR": 7}


def test_it_follows_its_topic_and_deletes() -> None:
    with TopologyTestDriver(joined()) as driver:
        for rate in (1, 2, None, 3):
            driver.write(RATES, "EUR", rate)
            driver.pipe(IN, "a", "EUR", 5)
        assert [value for _, (_, value), _ in driver.read(OUT)] == [1, 2, None, 3]
        assert driver.store("rates") == {"EUR": 3}


def test_a_repeated_cycle_sees_the_rows_of_then() -> None:
    with TopologyTestDriver(joined()) as driver:
        driver.write(RATES, "EUR", 1)
        driver.write(IN, "a", "EUR", 5)
        driver.crash_before_commit()
        assert driver.read(OUT) == [("a", ["EUR", 1], 5)]
        driver.pipe(RATES, "EUR", 2)
        driver.crash()
        assert driver.read(OUT) == []


def test_nothing_is_consumed_by_the_group_or_committed() -> None:
    with TopologyTestDriver(joined()) as driver:
        driver.pipe(RATES, "EUR", 1)
        driver.pipe(IN, "a", "EUR")
        assert driver.runner.assignment == {TopicPartition("in", 0)}
        assert driver.log.committed("test").keys() == {TopicPartition("in", 0)}
        assert driver.log.topics().keys() == {"in", "rates", "out", "test-topology"}


def test_every_member_has_all_of_it_and_its_tasks_share_it() -> None:
    with EmbeddedLog.open(None) as log, TopologyTestDriver(joined(MANY), log=log) as driver:
        for rate in range(20):
            driver.pipe(RATES, rate, -rate)
        config = StreamsConfig(application_id="test")
        with closing(StreamRunner(joined(MANY), log, config)) as other:
            for _ in range(3):
                other.step()
                driver.run()
            assert len(other.assignment) == len(driver.runner.assignment) == 2
            for member in (driver.runner, other):
                (store,) = member.stores("rates")
                assert len(store) == 20
            for number in range(20):
                driver.write(MANY, number, number)
            other.step()
            driver.run()
            assert other.counters.records > 0 < driver.runner.counters.records
            assert sorted(value for _, value, _ in driver.read(OUT)) == [[n, -n] for n in range(20)]


@pytest.mark.parametrize("on_error", ["fail", "dead-letter"])
def test_what_cannot_be_used_is_passed_over_and_counted(on_error: ErrorPolicy) -> None:
    with TopologyTestDriver(joined(), on_error=on_error) as driver:
        driver.pipe(RATES, "EUR", 1)
        driver.write_bytes("rates", b'"EUR"', b"{", 1)
        driver.write_bytes("rates", b"{", b"1", 1)
        driver.write_bytes("rates", None, b"1", 1)
        driver.pipe(IN, "a", "EUR", 5)
        assert driver.read(OUT) == [("a", ["EUR", 1], 5)]
        assert driver.runner.drops == {"undecodable": 2, "null key": 1}
        driver.crash()
        assert driver.store("rates") == {"EUR": 1}
        assert driver.runner.drops == {"undecodable": 2, "null key": 1}


def test_where_nothing_is_new_a_step_looks_at_its_ends_once_and_reads_nothing() -> None:
    with EmbeddedLog.open(None) as log:
        with TopologyTestDriver(joined(), log=log) as driver:
            driver.pipe(RATES, "EUR", 1)
        counting: Any = CountingLog(log)
        with closing(StreamRunner(joined(), counting, StreamsConfig(application_id="test"))) as runner:
            assert counting.reads == 1
            for _ in range(3):
                runner.step()
            assert (counting.waits, counting.reads) == ([0.0] * 3, 1)


def test_without_global_tables_the_log_is_not_asked() -> None:
    builder = StreamBuilder()
    builder.stream(IN).to(OUT)
    with EmbeddedLog.open(None) as log:
        counting: Any = CountingLog(log)
        with closing(StreamRunner(builder.build(), counting, StreamsConfig(application_id="test"))) as runner:
            runner.step()
        assert (counting.waits, counting.reads) == ([], 0)


def test_what_retention_removed_before_it_was_read_is_skipped() -> None:
    with TopologyTestDriver(joined()) as driver:
        driver.pipe(RATES, "EUR", 1, partition=0)
        moved: Any = CountingLog(driver.log)
        moved.watermarks = lambda at: driver.log.watermarks(at)._replace(low=2) if at.partition == 0 else (0, 0)
        driver.write(RATES, "USD", 2, partition=0)
        driver.write(RATES, "CHF", 3, partition=0)
        with closing(StreamRunner(joined(), moved, StreamsConfig(application_id="other"))) as runner:
            assert [dict(store.items()) for store in runner.stores("rates")] == [{"CHF": (3, 2)}]


def test_progress_is_told_while_it_is_read_at_the_start_only() -> None:
    with TopologyTestDriver(joined()) as driver:
        for rate in range(3):
            driver.pipe(RATES, "EUR", rate, partition=1)
        progress: list[RestoreProgress] = []
        config = StreamsConfig(application_id="other")
        with closing(StreamRunner(joined(), driver.log, config, on_restore=progress.append)) as runner:
            told = [(each.store, each.changelog.partition, each.offset, each.end, each.records) for each in progress]
            assert told == [("rates", 0, 0, 0, 0), ("rates", 1, 0, 3, 0), ("rates", 1, 3, 3, 3)]
            driver.write(RATES, "EUR", 4)
            runner.step()
            assert len(progress) == 3


def test_describe_shows_it_outside_of_the_sub_topologies() -> None:
    assert joined().describe().splitlines() == [
        "Sub-topology 0 (1 tasks)",
        "  stream(in) [source] topic in",
        "    --> stream-global-table-join-001",
        "  stream-global-table-join-001 [stream-global-table-join] reads global table rates",
        "    --> to(out)-002",
        "  to(out)-002 [sink] topic out",
        "Global table rates (all 2 partitions in every member)",
    ]


def test_a_global_table_alone_is_no_topology() -> None:
    builder = StreamBuilder()
    builder.global_table(RATES)
    with pytest.raises(TopologyError, match="reads nothing"):
        builder.build()


def test_its_topic_may_be_a_stream_too() -> None:
    builder = StreamBuilder()
    rates = builder.global_table(RATES)
    builder.stream(RATES).join(rates, lambda key, _value: key, lambda value, rate: [value, rate], value=ANY).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(RATES, "EUR", 1, 5)
        assert driver.read(OUT) == [("EUR", [1, 1], 5)]
