"""A store is rebuilt before any record is processed, and no further than what was committed."""

from typing import Any, cast

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE

from streambank.log import EventLog, RecordBatch, TopicPartition, Watermarks
from streambank.log.embedded import EmbeddedLog
from streambank.streams import LONG, RestoreError, RestoreProgress, StreamBuilder, StreamRunner, StreamsConfig, Topology
from streambank.streams.operators.base import StoreSpec
from streambank.streams.restore import READ_RECORDS, restore
from streambank.streams.stores import KeyValueStore
from streambank.streams.testing import TopologyTestDriver


def joined() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).left_join(builder.table(TABLE), lambda value, row: [value, row], value=ANY).to(OUT)
    return builder.build()


def counted() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


def restart(topology: Topology, log: EventLog) -> list[RestoreProgress]:
    """Start the application "test" once more, for one step; what it told of restoring."""
    progress: list[RestoreProgress] = []
    runner = StreamRunner(topology, log, StreamsConfig(application_id="test"), on_restore=progress.append)
    runner.step()
    runner.close()
    return progress


def test_a_table_is_restored_from_its_topic_only_up_to_the_committed_offset() -> None:
    #   table   A@1  |committed|  B@5      stream   x@3
    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(joined(), log=log)
        driver.pipe(TABLE, "k", "A", 1)
        driver.runner.close()
        driver.write(TABLE, "k", "B", 5)
        driver.write(IN, "k", "x", 3)
        progress = restart(joined(), log)
        assert [(p.store, p.changelog, p.start, p.offset, p.end, p.records) for p in progress] == [
            ("table", TopicPartition("table", 0), 0, 0, 1, 0),
            ("table", TopicPartition("table", 0), 0, 1, 1, 1),
        ]
        assert driver.read(OUT) == [("k", ["x", "A"], 3)]


def test_a_table_never_processed_is_not_restored_but_processed() -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([IN.config, TABLE.config])
        driver = TopologyTestDriver(joined(), log=log)
        driver.runner.close()
        driver.write(TABLE, "k", "A", 1)
        assert [(p.offset, p.end, p.records) for p in restart(joined(), log)] == [(0, 0, 0)]


def test_a_changelog_of_the_stores_own_is_restored_to_its_end() -> None:
    with EmbeddedLog.open(None) as log:
        with TopologyTestDriver(counted(), log=log) as driver:
            for key in ("a", "b", "a"):
                driver.pipe(IN, key, 1)
        progress = restart(counted(), log)
        assert (progress[0].offset, progress[-1].offset, progress[-1].end, progress[-1].records) == (0, 3, 3, 3)
        with TopologyTestDriver(counted(), log=log) as driver:
            assert driver.store("n") == {"a": 2, "b": 1}


def test_a_changelog_that_does_not_decode_stops_the_start_and_is_named() -> None:
    with EmbeddedLog.open(None) as log, TopologyTestDriver(counted(), log=log) as driver:
        driver.write_bytes("test-n-changelog", b'"a"', b"not a count", 1, partition=0)
        driver.runner.close()
        with pytest.raises(RestoreError, match=r"store 'n' cannot be restored: test-n-changelog-0 offset 0: .*8 bytes"):
            restart(counted(), log)


@pytest.mark.parametrize("garbage", [b"{", b"\xff", b"[" * 100_000], ids=["not JSON", "not UTF-8", "too deep"])
def test_garbage_in_a_tables_topic_that_became_a_dead_letter_is_passed_over(garbage: bytes) -> None:
    with TopologyTestDriver(joined(), on_error="dead-letter") as driver:
        driver.pipe(TABLE, "k", "A", 1)
        driver.write_bytes("table", b'"k"', garbage, 2)
        driver.write_bytes("table", garbage, b"1", 3)
        driver.run()
        driver.pipe(TABLE, "j", "B", 4)
        assert len(driver.dead_letters) == 2
        driver.crash()
        assert driver.store("table") == {"k": "A", "j": "B"}


class Retained:
    """A log whose partition keeps the records from offset 10 to 12 only."""

    def stable_end(self, at: TopicPartition) -> int:
        return self.watermarks(at).high

    def watermarks(self, _at: TopicPartition) -> Watermarks:
        return Watermarks(10, 12)

    def read(self, at: TopicPartition, offset: int, _max_records: int) -> RecordBatch:
        rows = range(offset, 12)
        return RecordBatch(at, rows, rows, [b'"k"'] * len(rows), [b"1"] * len(rows), None, 12)


@pytest.mark.parametrize(
    ("committed", "end", "kept"),
    [
        (None, 10, {}),
        (5, 10, {}),
        (10, 10, {}),
        (11, 11, {"k": (1, 10)}),
        (12, 12, {"k": (1, 11)}),
        (99, 12, {"k": (1, 11)}),
    ],
    ids=["nothing", "before what is kept", "at its start", "within", "at its end", "beyond"],
)
def test_progress_ends_at_the_end_whatever_retention_took(
    committed: int | None, end: int, kept: dict[str, Any]
) -> None:
    store = KeyValueStore(StoreSpec("s", ANY, ANY, changelog="s", read_only=True), None)
    progress: list[RestoreProgress] = []
    restore(store, cast("EventLog", Retained()), TopicPartition("s", 0), committed, progress.append)
    assert dict(store.items()) == kept
    assert (progress[-1].start, progress[-1].offset, progress[-1].end) == (10, end, end)


@pytest.mark.parametrize(
    ("kept", "start", "content"),
    [
        (None, 10, {"k": (1, 11)}),
        (9, 10, {"k": (1, 11)}),
        (10, 10, {"old": (7, 1), "k": (1, 11)}),
        (11, 11, {"old": (7, 1), "k": (1, 11)}),
        (12, 12, {"old": (7, 1)}),
        (13, 10, {"k": (1, 11)}),
    ],
    ids=["nothing", "before what there is", "at its start", "within", "at its end", "beyond it"],
)
def test_a_store_that_kept_something_goes_on_from_there_unless_the_log_does_not_have_it(
    kept: int | None, start: int, content: dict[str, Any]
) -> None:
    store = KeyValueStore(StoreSpec("s", ANY, ANY), None)
    store.load("old", 7, 1)
    progress: list[RestoreProgress] = []
    restore(store, cast("EventLog", Retained()), TopicPartition("s", 0), None, progress.append, kept)
    assert dict(store.items()) == content
    assert (progress[0].start, progress[-1].records) == (start, 12 - start)


def test_a_changelog_of_several_reads_is_restored_whole() -> None:
    count = 2 * READ_RECORDS + 1
    with TopologyTestDriver(counted()) as driver:
        with driver.log.producer().transaction() as transaction:
            keys, values = [b"%d" % (number % 7) for number in range(count)], [LONG.serialize(n) for n in range(count)]
            transaction.append_columns(TopicPartition("test-n-changelog", 0), [*range(count)], keys, values)
        driver.crash()
        assert driver.store("n") == {number % 7: number for number in range(count - 7, count)}
