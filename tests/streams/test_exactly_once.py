"""A crash at any record, and the log is as if there had been none."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from tests.streams import workload

from streambank.log import TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig
from streambank.streams.testing import TopologyTestDriver

RECORDS = 25

COPIED = ("changes", "thresholds", "balances", "alerts", "counts", "app-count-changelog", "app-count-repartition")


@cache
def inputs() -> list[tuple[str, int, bytes, bytes | None, int]]:
    """Topic, partition, key, value and timestamp of each record, in the order of time."""
    with EmbeddedLog.open(None) as log:
        workload.write_inputs(log, RECORDS)
        rows = [
            (name, number, key, value, timestamp)
            for name in workload.INPUTS
            for number, records in enumerate(workload.contents(log, name))
            for _offset, timestamp, key, value, _headers in records
        ]
    return sorted(rows, key=lambda row: row[4])


def after_each_record(act: Callable[[TopologyTestDriver, int], None]) -> dict[str, Any]:
    """Pipe the inputs, with ``act`` in the place of processing each; what is in the log at the end."""
    with EmbeddedLog.open(None) as log, TopologyTestDriver(workload.build(), application_id="app", log=log) as driver:
        for number, (name, partition, key, value, timestamp) in enumerate(inputs()):
            driver.write_bytes(name, key, value, timestamp, partition=partition)
            act(driver, number)
        driver.run()
        assert workload.done(log, "app")
        return {name: workload.contents(log, name) for name in COPIED}


@cache
def uncrashed() -> dict[str, Any]:
    return after_each_record(lambda driver, _number: driver.run())


def test_the_workload_does_something() -> None:
    sizes = {name: sum(map(len, partitions)) for name, partitions in uncrashed().items()}
    assert sizes["changes"] == sizes["balances"] == sizes["counts"] == sizes["app-count-changelog"]
    assert sizes["changes"] + sizes["thresholds"] == RECORDS
    assert 0 < sizes["alerts"] < sizes["changes"]


@pytest.mark.parametrize("crash_at", range(RECORDS))
def test_a_crash_before_the_commit_of_any_record_leaves_no_trace(crash_at: int) -> None:
    def act(driver: TopologyTestDriver, number: int) -> None:
        if number == crash_at:
            driver.crash_before_commit()
        driver.run()

    assert after_each_record(act) == uncrashed()


def test_nor_do_crashes_before_and_after_every_commit() -> None:
    def act(driver: TopologyTestDriver, _number: int) -> None:
        driver.crash_before_commit()
        driver.crash()

    assert after_each_record(act) == uncrashed()


@pytest.mark.parametrize("poll_records", [1, 2, 3, 7, 100])
def test_however_the_work_is_cut_into_transactions_the_outputs_are_the_same(poll_records: int) -> None:
    with EmbeddedLog.open(None) as log:
        workload.write_inputs(log, RECORDS)
        config = StreamsConfig(application_id="app", poll_records=poll_records)
        runner = StreamRunner(workload.build(), log, config)
        while not workload.done(log, "app"):
            runner.step()
        for name in workload.EXACT:
            assert workload.contents(log, name) == uncrashed()[name]
        # what goes through a repartition topic may be interleaved otherwise, but each key counts on without a gap
        assert workload.by_key(log, "counts") == {
            key: list(range(1, len(values) + 1)) for key, values in workload.by_key(log, "counts").items()
        }
        assert (
            sum(len(values) for values in workload.by_key(log, "counts").values()) == runner.counters.records - RECORDS
        )
        runner.close()


def test_stream_time_goes_with_the_offsets() -> None:
    with EmbeddedLog.open(None) as log, TopologyTestDriver(workload.build(), application_id="app", log=log) as driver:
        driver.pipe(workload.CHANGES, "a", 1, 50, partition=0)
        driver.pipe(workload.CHANGES, "a", 1, 20, partition=0)
        driver.crash()
        driver.pipe(workload.CHANGES, "a", 1, 30, partition=0)
        assert log.committed("app")[TopicPartition("changes", 0)] == (3, '{"t":50}')
