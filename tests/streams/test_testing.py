"""The test driver itself."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, topic

from streambank.errors import InvariantError
from streambank.log import TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import Serde, StreamBuilder, StreamRunner, Topology
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed import TimeWindowedSerde, Windowed


def counting() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


def test_without_a_timestamp_a_record_is_a_millisecond_later_than_the_one_before() -> None:
    with TopologyTestDriver(counting()) as driver:
        for timestamp in (None, None, 40, None):
            driver.pipe(IN, "a", 1, timestamp)
        assert [timestamp for _, _, timestamp in driver.read(OUT)] == [0, 1, 40, 41]


def test_reading_goes_on_where_it_was() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.pipe(IN, "a", 1)
        assert driver.read(OUT) == [("a", 1, 0)]
        assert driver.read(OUT) == []
        driver.pipe(IN, "a", 1)
        assert driver.read(OUT) == [("a", 2, 1)]


def test_pipe_follows_internal_topics_to_the_end() -> None:
    builder = StreamBuilder()
    first = builder.stream(IN).group_by(lambda _key, value: value, key=ANY).count(name="first")
    first.to_stream().group_by(lambda _key, n: n, key=ANY).count(name="second").to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", "x", 5)
        assert driver.read(OUT) == [(1, 1, 5)]


def test_what_is_written_waits_for_run() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.write(IN, "a", 1)
        assert driver.read(OUT) == []
        driver.run()
        assert driver.read(OUT) == [("a", 1, 0)]


def test_store_is_of_all_partitions() -> None:
    wide = topic("wide", partitions=4)
    builder = StreamBuilder()
    builder.stream(wide).group_by_key().count(name="n")
    with TopologyTestDriver(builder.build()) as driver:
        for number in range(10):
            driver.pipe(wide, number, number)
        assert driver.store("n") == dict.fromkeys(range(10), 1)


def test_a_crash_before_commit_needs_something_to_lose() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.pipe(IN, "a", 1)
        with pytest.raises(InvariantError, match="nothing to process"):
            driver.crash_before_commit()


def test_a_crash_before_commit_writes_nothing_and_is_made_good_at_once() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.write(IN, "a", 1)
        driver.crash_before_commit()
        assert driver.read(OUT) == [("a", 1, 0)]


def test_a_log_that_is_handed_in_stays_open() -> None:
    with EmbeddedLog.open(None) as log:
        TopologyTestDriver(counting(), log=log).close()
        assert "out" in log.topics()


def test_a_late_record_does_not_make_the_next_one_late() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.pipe(IN, "a", 1, 50)
        driver.pipe(IN, "b", 1, late_by_ms=11)
        driver.pipe(IN, "c", 1)
        assert [(key, timestamp) for key, _, timestamp in driver.read(OUT)] == [("a", 50), ("b", 40), ("c", 52)]


@pytest.mark.parametrize("how", ["restart", "crash", "rebalance"])
@pytest.mark.parametrize("place", ["in memory", "in a folder"])
def test_whatever_happens_the_driver_goes_on(how: str, place: str, tmp_path: Path) -> None:
    folder = tmp_path / "log" if place == "in a folder" else None
    with TopologyTestDriver(counting(), folder=folder) as driver:
        driver.pipe(IN, "a", 1, 1)
        driver.pipe(IN, None, 1, 2)
        driver.write(IN, "a", 1, 3)
        runner, log = driver.runner, driver.log
        getattr(driver, how)()
        assert driver.runner is not runner
        assert (driver.log is log) == (how == "rebalance" or folder is None)
        driver.run()
        driver.pipe(IN, "a", 1, 4)
        assert driver.read(OUT) == [("a", 1, 1), ("a", 2, 3), ("a", 3, 4)]
        assert driver.store("n") == {"a": 3}
        assert driver.drops == {"null key": 1}


def test_a_restart_ends_what_was_begun_and_nothing_else() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.write(IN, None, 1)
        assert driver.runner.step() == 1
        assert not driver.drops, "a cycle without output is committed later"
        driver.restart()
        assert driver.drops == {"null key": 1}


def test_a_rebalance_moves_every_partition_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    revoked: list[int] = []
    discard = StreamRunner.on_revoked

    def on_revoked(runner: StreamRunner, partitions: Collection[TopicPartition]) -> None:
        revoked.append(len(partitions))
        discard(runner, partitions)

    monkeypatch.setattr(StreamRunner, "on_revoked", on_revoked)
    wide, owners = topic("wide", partitions=3), []
    builder = StreamBuilder()
    builder.stream(wide).group_by_key().count(name="n").to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for number in range(9):
            driver.pipe(wide, number, number, 1)
        owners.append(driver.runner)
        everything = driver.runner.assignment
        driver.rebalance()
        assert revoked == [1, 2, 1, 2], "some first, and then all"
        owners.append(driver.runner)
        assert driver.runner.assignment == everything
        assert owners[0] is not owners[1]
        for number in range(9):
            driver.pipe(wide, number, number, 2)
        assert driver.store("n") == dict.fromkeys(range(9), 2)
        assert sorted(value for _, value, _ in driver.read(OUT)) == [1] * 9 + [2] * 9


def test_windows_of_a_key() -> None:
    windowed: Serde[Windowed[Any]] = TimeWindowedSerde(ANY, 10)
    builder = StreamBuilder()
    by_window = builder.stream(IN).select_key(lambda key, value: Windowed(key, value, value + 10), key=windowed)
    by_window.group_by_key().count(name="n")
    with TopologyTestDriver(builder.build()) as driver:
        for key, start in (("a", 20), ("a", 10), ("b", 10), ("a", 20)):
            driver.pipe(IN, key, start)
        assert list(driver.windows("n", "a").items()) == [((10, 20), 1), ((20, 30), 2)]
        assert driver.windows("n", "c") == {}
