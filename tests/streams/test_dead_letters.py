"""Records that cannot be decoded or processed: put aside unchanged, or the end of the run."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, topic

from streambank.log import Headers, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import BYTES, ProcessingError, StreamBuilder, StreamsConfig, Topic, Topology, dead_letters
from streambank.streams.testing import TopologyTestDriver

UNDECODABLE = b"{not JSON"


def tenfold(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return value * 10


def totals() -> Topology:
    """The sum of each key's values, tenfold; a negative value fails, after the count before it has taken it in."""
    builder = StreamBuilder()
    stream = builder.stream(IN)
    stream.group_by_key().count(name="count")
    tens = stream.map_values(tenfold)
    tens.group_by_key().reduce(lambda total, value: total + value, name="sum").to_stream().to(OUT)
    return builder.build()


def write(driver: TopologyTestDriver, value: int | bytes, timestamp: int) -> None:
    """A record of key "a", without processing it."""
    data = value if isinstance(value, bytes) else ANY.serialize(value)
    driver.write_bytes("in", b'"a"', data, timestamp)


@pytest.fixture
def driver() -> Iterator[TopologyTestDriver]:
    with TopologyTestDriver(totals(), on_error="dead-letter") as driver:
        yield driver


@pytest.mark.parametrize(
    "values",
    [
        [1, -2, 3],
        [1, UNDECODABLE, 3],
        [-2, 1, 3],
        [UNDECODABLE, 1, 3],
        [1, 3, -2],
        [1, 3, UNDECODABLE],
        [1, -2, -4, -5, 3],
        [1, UNDECODABLE, UNDECODABLE, 3],
        [1, -2, UNDECODABLE, -4, UNDECODABLE, 3],
        [-1, UNDECODABLE],
    ],
    ids=[
        "operator",
        "decoding",
        "operator, first",
        "decoding, first",
        "operator, last",
        "decoding, last",
        "operator, in a row",
        "decoding, in a row",
        "mixed",
        "nothing else",
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize("crash", [None, "after", "before commit"])
def test_the_others_go_on_and_nothing_of_a_failed_record_remains(
    driver: TopologyTestDriver, values: list[int | bytes], at_once: bool, crash: str | None
) -> None:
    good = [value for value in values if isinstance(value, int) and value > 0]
    for number, value in enumerate(values):
        write(driver, value, number)
        if not at_once and crash != "before commit":
            driver.run()
    if crash == "before commit":
        driver.crash_before_commit()
    driver.run()
    if crash == "after":
        driver.crash()
    sums = [10 * sum(good[: number + 1]) for number in range(len(good))]
    times = [values.index(value) for value in good]
    assert driver.read(OUT) == [("a", total, time) for total, time in zip(sums, times, strict=True)]
    assert driver.store("sum") == ({"a": sums[-1]} if good else {})
    assert driver.store("count") == ({"a": len(good)} if good else {})
    letters = [record.value for record in driver.dead_letters]
    assert letters == [v if isinstance(v, bytes) else ANY.serialize(v) for v in values if v not in good]
    assert driver.log.committed("test")[TopicPartition("in", 0)].offset == len(values)


def test_a_dead_letter_is_the_record_unchanged_and_says_what_happened_where(driver: TopologyTestDriver) -> None:
    own: Headers = (("trace", b"7"), ("trace", None))
    driver.pipe(IN, "a", 1, 5)
    driver.pipe(IN, "b", -2, 6, headers=own)
    (letter,) = driver.dead_letters
    assert (letter.topic, letter.key, letter.value, letter.timestamp) == ("test.dlq", b'"b"', b"-2", 6)
    assert letter.headers[:2] == own
    added = dict(letter.headers[2:])
    trace = added.pop(dead_letters.STACKTRACE)
    assert added == {
        "__streams.errors.exception": b"builtins.ValueError",
        "__streams.errors.message": b"-2 is negative",
        "__streams.errors.topic": b"in",
        "__streams.errors.partition": b"0",
        "__streams.errors.offset": b"1",
    }
    assert trace is not None
    assert b"in tenfold" in trace


def test_an_undecodable_record_names_the_decoders_error(driver: TopologyTestDriver) -> None:
    driver.write_bytes("in", UNDECODABLE, None, 5)
    driver.run()
    (letter,) = driver.dead_letters
    assert (letter.key, letter.value) == (UNDECODABLE, None)
    assert dict(letter.headers)["__streams.errors.exception"] == b"msgspec.DecodeError"


@pytest.mark.parametrize(
    ("message", "written"),
    [("lone \udcff surrogate", b"lone \\udcff surrogate"), ("x" * 5_000, b"x" * 1_000), ("", b"")],
    ids=["not UTF-8", "long", "empty"],
)
def test_any_message_can_be_written(message: str, written: bytes) -> None:
    def fail(_key: object, _value: object) -> None:
        raise ValueError(message)

    builder = StreamBuilder()
    builder.stream(IN).peek(fail)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        driver.pipe(IN, "a", 1)
        (letter,) = driver.dead_letters
        assert dict(letter.headers)["__streams.errors.message"] == written


def test_a_decoder_that_raises_stop_iteration_loses_no_record() -> None:
    class Codec:
        def serialize(self, value: str, /) -> bytes:
            return value.encode()

        def deserialize(self, data: bytes, /) -> str:
            return next(name for name in ("one", "two") if name.encode() == data)

    source = Topic(name="source", key=BYTES, value=Codec(), partitions=1)
    builder = StreamBuilder()
    builder.stream(source).map_values(str.upper, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        for number, data in enumerate((b"one", b"three", b"two")):
            driver.write_bytes("source", None, data, number)
        driver.run()
        assert [record.value for record in driver.read_records(OUT.name)] == [b'"ONE"', b'"TWO"']
        assert [record.value for record in driver.dead_letters] == [b"three"]


def test_an_operator_that_raises_stop_iteration_fails_the_record(driver: TopologyTestDriver) -> None:
    builder = StreamBuilder()
    builder.stream(IN).map_values(lambda values: next(iter(values)), value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        for number, value in enumerate(([1], [], [2])):
            driver.write(IN, "a", value, number)
        driver.run()
        assert [value for _, value, _ in driver.read(OUT)] == [1, 2]
        assert [record.value for record in driver.dead_letters] == [b"[]"]


def test_drops_are_counted_once_whatever_is_repeated(driver: TopologyTestDriver) -> None:
    for number, key in enumerate((b'"a"', None, b'"a"')):
        driver.write_bytes("in", key, b"1", number)
    write(driver, UNDECODABLE, 3)
    write(driver, -1, 4)
    driver.run()
    # The record without a key is dropped by both aggregates.
    assert dict(driver.runner.drops) == {"null key": 2, "dead letter": 2}


def test_a_failed_update_of_a_table_leaves_the_table_as_a_restart_finds_it() -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE)
    table.map_values(tenfold).to_stream().to(topic("tens"))
    builder.stream(IN).join(table, lambda value, row: [value, row], value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        driver.pipe(TABLE, "k", 1, 1)
        driver.pipe(TABLE, "k", -2, 2)
        assert len(driver.dead_letters) == 1
        before = driver.store("table")
        driver.crash()
        assert driver.store("table") == before


def test_negative_timestamps_are_dropped_and_counted(driver: TopologyTestDriver) -> None:
    for value, timestamp in ((1, 5), (2, -1), (-3, -7), (4, 6), (5, -1)):
        write(driver, value, timestamp)
    driver.run()
    assert driver.read(OUT) == [("a", 10, 5), ("a", 50, 6)]
    assert dict(driver.runner.drops) == {"negative timestamp": 3}
    assert driver.log.committed("test")[TopicPartition("in", 0)] == (5, '{"t":6}')


@pytest.mark.parametrize(("bad", "error"), [(-2, "ValueError: -2 is negative"), (UNDECODABLE, "DecodeError")])
def test_fail_stops_before_the_record_and_writes_nothing(bad: int | bytes, error: str) -> None:
    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(totals(), log=log)
        write(driver, 1, 0)
        driver.run()
        write(driver, 2, 1)
        write(driver, bad, 2)
        write(driver, 4, 3)
        with pytest.raises(ProcessingError, match=f"test stopped before in-0 offset 2: {error}.*mend the program"):
            driver.run()
        assert driver.read(OUT) == [("a", 10, 0)]
        assert "test.dlq" not in log.topics()
        assert log.committed("test")[TopicPartition("in", 0)].offset == 1
        driver.close()
        with pytest.raises(ProcessingError, match="in-0 offset 2"):
            TopologyTestDriver(totals(), log=log)


def test_after_mending_the_program_goes_on_where_it_stopped() -> None:
    def build(absolute: bool) -> Topology:
        builder = StreamBuilder()
        tens = builder.stream(IN).map_values(lambda value: tenfold(abs(value) if absolute else value), value=ANY)
        tens.group_by_key().reduce(lambda total, value: total + value, name="sum").to_stream().to(OUT)
        return builder.build()

    with EmbeddedLog.open(None) as log:
        driver = TopologyTestDriver(build(absolute=False), log=log)
        driver.pipe(IN, "a", 1, 0)
        write(driver, -2, 1)
        write(driver, 3, 2)
        with pytest.raises(ProcessingError):
            driver.run()
        driver.close()
        with TopologyTestDriver(build(absolute=True), log=log) as mended:
            assert mended.read(OUT) == [("a", 10, 0), ("a", 30, 1), ("a", 60, 2)]


def keeping(reasons: frozenset[str] | bool, **settings: Any) -> StreamsConfig:
    return StreamsConfig(application_id="test", dead_letter_drops=reasons, **settings)


def test_a_record_that_is_dropped_becomes_one_dead_letter_byte_for_byte() -> None:
    own: Headers = (("trace", b"7"),)
    with TopologyTestDriver(totals(), config=keeping(True)) as driver:
        driver.pipe(IN, None, 1, 5, headers=own)
        # Both aggregates dropped it.
        assert dict(driver.runner.drops) == {"null key": 2}
        (letter,) = driver.dead_letters
        assert (letter.key, letter.value, letter.timestamp) == (None, b"1", 5)
        added = dict(letter.headers[1:])
        trace = added.pop(dead_letters.STACKTRACE)
        assert letter.headers[:1] == own
        assert added == {
            "__streams.errors.exception": b"streambank.streams.errors.RecordDroppedError",
            "__streams.errors.message": b"null key: dropped by operator 'count'",
            "__streams.errors.topic": b"in",
            "__streams.errors.partition": b"0",
            "__streams.errors.offset": b"0",
        }
        assert trace is not None


@pytest.mark.parametrize(
    ("reasons", "kept"),
    [
        (True, [b"2", b"3"]),
        (False, []),
        (frozenset({"negative timestamp"}), [b"2"]),
        (frozenset({"null key", "null value"}), [b"3"]),
        (frozenset({"late"}), []),
    ],
)
@pytest.mark.parametrize("disturbed", [None, "crash", "poison"])
def test_only_for_the_reasons_asked_for_and_once_whatever_is_repeated(
    reasons: frozenset[str] | bool, kept: list[bytes], disturbed: str | None
) -> None:
    with TopologyTestDriver(totals(), config=keeping(reasons, on_error="dead-letter")) as driver:
        for key, value, timestamp in ((b'"a"', b"1", 0), (b'"a"', b"2", -1), (None, b"3", 2), (b'"a"', b"4", 3)):
            driver.write_bytes("in", key, value, timestamp)
        if disturbed == "poison":
            write(driver, -5, 4)
        if disturbed == "crash":
            driver.crash_before_commit()
        driver.run()
        assert [letter.value for letter in driver.dead_letters] == [*kept, *([b"-5"] if disturbed == "poison" else [])]
        assert driver.store("count") == {"a": 2}


def test_what_is_dropped_behind_a_repartition_is_named_by_the_place_it_was_dropped_at() -> None:
    builder = StreamBuilder()
    builder.stream(IN).select_key(lambda _key, value: value, key=ANY).repartition(name="by-value").group_by_key().count(
        name="n"
    )
    with TopologyTestDriver(builder.build(), config=keeping(True)) as driver:
        driver.pipe(IN, "a", None, 5)
        (letter,) = driver.dead_letters
        assert dict(letter.headers)["__streams.errors.topic"] == b"test-by-value-repartition"
