"""The test driver itself."""

import pytest
from tests.streams.support import ANY, IN, OUT, topic

from streambank.errors import InvariantError
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver


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
