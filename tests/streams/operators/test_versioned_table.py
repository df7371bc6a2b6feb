from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, drops, topic

from streambank.log import TopicConfig
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamBuilder, Topology, TopologyError
from streambank.streams.stores.versioned import Version
from streambank.streams.testing import TopologyTestDriver


def versioned(retention_ms: int = 10) -> Topology:
    builder = StreamBuilder()
    builder.table(TABLE, history_retention_ms=retention_ms).to_stream().to(OUT)
    return builder.build()


def history(driver: TopologyTestDriver, key: str) -> list[Version]:
    store: Any = driver.runner.stores("table")[0]
    versions: list[Version] = store.versions(key)
    return versions


def test_every_update_is_forwarded_and_the_late_one_goes_into_the_history() -> None:
    with TopologyTestDriver(versioned()) as driver:
        for value, time in [("a", 1), ("c", 9), ("b", 5), (None, 7)]:
            driver.pipe(TABLE, "k", value, time)
        assert driver.read(OUT) == [("k", "a", 1), ("k", "c", 9), ("k", "b", 5), ("k", None, 7)]
        kept = [Version("a", 1, 5), Version("b", 5, 7), Version(None, 7, 9), Version("c", 9, None)]
        assert history(driver, "k") == kept
        driver.crash()
        assert history(driver, "k") == kept


def test_null_keys_and_expired_updates_are_dropped_and_counted() -> None:
    rows: list[Input] = [(TABLE, "k", "a", 100), (TABLE, None, "x", 100), (TABLE, "k", "b", 89), (TABLE, "k", "c", 90)]
    assert drops(versioned(), rows) == {"null key": 1, "expired": 1}
    with TopologyTestDriver(versioned()) as driver:
        for row in rows:
            driver.pipe(*row)
        assert driver.read(OUT) == [("k", "a", 100), ("k", "c", 90)]


def test_what_is_expired_is_known_after_a_crash() -> None:
    with TopologyTestDriver(versioned()) as driver:
        driver.pipe(TABLE, "k", "a", 100)
        driver.crash()
        driver.pipe(TABLE, "l", "b", 89)
        driver.write(TABLE, "l", "c", 95)
        driver.crash_before_commit()
        assert driver.read(OUT) == [("k", "a", 100), ("l", "c", 95)]
        assert driver.runner.drops.total() == 0
        assert history(driver, "l") == [Version("c", 95, None)]


def test_the_history_does_not_come_from_the_source_which_may_be_compacted() -> None:
    rows = topic("table", cleanup_policy="compact")
    builder = StreamBuilder()
    builder.table(rows, history_retention_ms=10).to_stream().to(OUT)
    topology = builder.build()
    changelog = TopicConfig(
        name="test-table-changelog", partitions=1, cleanup_policy="compact", delete_retention_ms=600_000
    )
    assert changelog in topology.topic_configs("test")
    with EmbeddedLog.open(None) as log, TopologyTestDriver(topology, log=log) as driver:
        for time in range(100):
            driver.pipe(rows, "k", time, time)
        driver.crash()
        assert history(driver, "k")[0] == Version(89, 89, 90)
        live: dict[bytes | None, bytes | None] = {}
        for record in driver.read_records("test-table-changelog"):
            live[record.key] = record.value
        assert sum(value is not None for value in live.values()) == 11


def test_an_update_put_aside_downstream_is_in_the_table_all_the_same() -> None:
    def fail(value: str) -> str:
        raise ValueError(value)

    builder = StreamBuilder()
    builder.table(TABLE, history_retention_ms=10).map_values(fail).to_stream().to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        driver.pipe(TABLE, "k", "a", 1)
        assert [letter.value for letter in driver.dead_letters] == [b'"a"']
        driver.crash()
        assert history(driver, "k") == [Version("a", 1, None)]


def test_the_table_is_asked_for_the_same_way_everywhere() -> None:
    builder = StreamBuilder()
    builder.table(TABLE, history_retention_ms=10)
    builder.table(TABLE, history_retention_ms=10)
    for retention_ms in (None, 20):
        with pytest.raises(TopologyError, match=r"table\(table\) is asked for with .*say the same everywhere"):
            builder.table(TABLE, history_retention_ms=retention_ms)
    with pytest.raises(TopologyError, match=r"table\(in\): history_retention_ms must not be negative, but is -1"):
        builder.table(IN, history_retention_ms=-1)


def test_a_stream_becomes_a_versioned_table() -> None:
    builder = StreamBuilder()
    stream = builder.stream(IN)
    table = stream.to_table(name="seen", history_retention_ms=100)
    stream.left_join(table, lambda value, row: [value, row], value=ANY).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for value, time in [("a", 5), ("c", 9), ("b", 7)]:
            driver.pipe(IN, "k", value, time)
            driver.crash()
        assert driver.read(OUT) == [("k", ["a", "a"], 5), ("k", ["c", "c"], 9), ("k", ["b", "b"], 7)]
        assert {config for config in driver.log.topics() if "changelog" in config} == {"test-seen-changelog"}
    with pytest.raises(TopologyError, match="late: history_retention_ms must not be negative"):
        stream.to_table(name="late", history_retention_ms=-1)


@pytest.mark.parametrize(
    ("rows", "sent"),
    [
        ([("k", 2, 10), ("k", 1, 5), ("k", 4, 20)], [("k", 2, 10), ("k", None, 5), ("k", 4, 20)]),
        ([("k", 2, 10), ("k", None, 5)], [("k", 2, 10), ("k", None, 5)]),
    ],
)
def test_a_filter_of_it_forwards_late_updates_too(rows: list[Row], sent: list[Row]) -> None:
    builder = StreamBuilder()
    even = builder.table(TABLE, history_retention_ms=100).filter(lambda _key, value: value % 2 == 0)
    even.to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for row in rows:
            driver.pipe(TABLE, *row)
        assert driver.read(OUT) == sent
