from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams.support import ANY, IN, IN2, OUT, OUT2, TABLE, Row, outputs, topic

from streambank.streams import (
    LONG,
    STRING,
    KeyValueState,
    ProcessingError,
    Processor,
    ProcessorContext,
    Punctuation,
    Record,
    RecordMetadata,
    StoreSpec,
    StreamBuilder,
    StreamsError,
    Topology,
    TopologyError,
)
from streambank.streams.testing import TopologyTestDriver

TOTALS = StoreSpec("totals", STRING, LONG)


class Totals(Processor[str, int, str, int]):
    """Each record adds to its key's total, which is forwarded; zero deletes it."""

    def process(self, record: Record[str, int], context: ProcessorContext[str, int]) -> None:
        totals: KeyValueState[str, int] = context.store("totals")
        total = (totals.get(record.key) or 0) + record.value
        totals.put(record.key, total or None)
        context.forward(record.key, total)


def totals_topology() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).process(Totals, name="add", stores=(TOTALS,)).to(OUT)
    return builder.build()


def through(function: Callable[[Record[Any, Any], ProcessorContext[Any, Any]], object], rows: list[Row]) -> list[Row]:
    builder = StreamBuilder()
    builder.stream(IN).process(function, name="p", stores=(StoreSpec("s", ANY, ANY),)).to(OUT)
    return outputs(builder.build(), [(IN, *row) for row in rows])


def test_a_function_takes_records_and_forwards_any_number() -> None:
    def twice(record: Record[str, int], context: ProcessorContext[str, int]) -> None:
        for number in range(record.value):
            context.forward(f"{record.key}{number}", record.timestamp)

    assert through(twice, [("a", 2, 10), ("b", 0, 20), ("c", 1, 30)]) == [
        ("a0", 10, 10),
        ("a1", 10, 10),
        ("c0", 30, 30),
    ]


def test_what_is_forwarded_may_have_another_timestamp_and_other_headers() -> None:
    def changed(record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
        context.forward("as it came", record.headers[0][0])
        context.forward("changed", 1, timestamp=5, headers=(("new", b"2"),))
        context.forward("none", 1, headers=())

    builder = StreamBuilder()
    builder.stream(IN).process(changed, name="p").to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1, 10, headers=(("old", b"1"),))
        assert [(record.timestamp, record.headers) for record in driver.read_records(OUT.name)] == [
            (10, (("old", b"1"),)),
            (5, (("new", b"2"),)),
            (10, ()),
        ]


def test_state_and_its_rollback() -> None:
    with TopologyTestDriver(totals_topology()) as driver:
        driver.pipe(IN, "a", 1, 10)
        driver.crash()
        driver.pipe(IN, "a", 2, 20)
        driver.write(IN, "a", 4, 30)
        driver.crash_before_commit()
        assert driver.read(OUT) == [("a", 1, 10), ("a", 3, 20), ("a", 7, 30)]
        assert driver.store("totals") == {"a": 7}
        driver.pipe(IN, "a", -7, 40)
        assert driver.store("totals") == {}


def test_a_failed_record_leaves_no_state() -> None:
    class Fails(Totals):
        def process(self, record: Record[str, int], context: ProcessorContext[str, int]) -> None:
            super().process(record, context)
            if record.value == 99:
                raise ValueError("99")

    builder = StreamBuilder()
    builder.stream(IN).process(Fails, name="add", stores=(TOTALS,)).to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        for value in (1, 99, 2, 99):
            driver.write(IN, "a", value)
        driver.run()
        assert driver.store("totals") == {"a": 3}
        assert [value for _, value, _ in driver.read(OUT)] == [1, 3]
        assert len(driver.dead_letters) == 2


def test_the_stores_methods() -> None:
    seen: list[Any] = []

    def use(record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
        store: KeyValueState[str, int] = context.store("s")
        for key in "cab":
            store.put(key, ord(key))
        store.put("z", 1, timestamp=3)
        found = store.items()
        seen.extend([store.delete("c"), store.delete("c"), store.timestamp("a"), store.timestamp("z"), "c" in store])
        seen.extend([len(store), store.get("b"), store.get("q"), store.timestamp("q"), "b" in store])
        seen.extend([list(found), list(store.range("a", "b")), list(store.range("b"))])

    through(use, [("k", 1, 7)])
    assert seen[:5] == [99, None, 7, 3, False]
    assert seen[5:10] == [3, 98, None, None, True]
    assert seen[10:] == [
        [("a", 97), ("b", 98), ("c", 99), ("z", 1)],
        [("a", 97), ("b", 98)],
        [("b", 98), ("z", 1)],
    ]


def test_the_context_tells_where_the_record_is() -> None:
    seen: list[Any] = []

    def look(_record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
        seen.append((context.record_metadata, context.stream_time, context.partition, context.timestamp))

    source = topic("places", partitions=2)
    builder = StreamBuilder()
    builder.stream(source).process(look, name="look")
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(source, "a", 1, 10, partition=1)
        driver.pipe(source, "a", 1, 5, partition=1)
    assert seen == [(RecordMetadata("places", 1, 0), 10, 1, 10), (RecordMetadata("places", 1, 1), 10, 1, 5)]


def test_each_task_has_an_instance_of_its_own() -> None:
    class Counts(Processor[Any, Any, Any, int]):
        def __init__(self, step: int) -> None:
            self.step, self.seen = step, 0

        def process(self, record: Record[Any, Any], context: ProcessorContext[Any, int]) -> None:
            self.seen += self.step
            context.forward(record.key, self.seen)

    source = topic("two", partitions=2)
    builder = StreamBuilder()
    builder.stream(source).process(partial(Counts, 10), name="p", key=ANY).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for partition in (0, 1, 1):
            driver.pipe(source, "a", 1, partition=partition)
        assert [value for _, value, _ in driver.read(OUT)] == [10, 10, 20]


def test_processors_that_are_given_the_same_store_share_it_and_run_in_one_task() -> None:
    def subtract(record: Record[str, int], context: ProcessorContext[str, int]) -> None:
        totals: KeyValueState[str, int] = context.store("totals")
        totals.put(record.key, (totals.get(record.key) or 0) - record.value)

    builder = StreamBuilder()
    builder.stream(IN).process(Totals, name="add", stores=(TOTALS,)).to(OUT)
    builder.stream(IN2).process(subtract, name="subtract", stores=(TOTALS,))
    topology = builder.build()
    (sub,) = topology.sub_topologies
    assert [store.name for store in sub.stores] == ["totals"]
    with TopologyTestDriver(topology) as driver:
        driver.pipe(IN, "a", 5)
        driver.pipe(IN2, "a", 2)
        driver.crash()
        driver.pipe(IN, "a", 1)
        assert driver.read(OUT) == [("a", 5, 0), ("a", 4, 2)]


def test_two_stores_of_one_name_that_are_not_the_same_are_refused() -> None:
    builder = StreamBuilder()
    builder.stream(IN).process(Totals, name="one", stores=(TOTALS,))
    builder.stream(IN).process(Totals, name="two", stores=(StoreSpec("totals", STRING, LONG),))
    with pytest.raises(
        TopologyError, match=r"'one' and 'two' both own a store named 'totals'.*the same StoreSpec object"
    ):
        builder.build()


def test_process_may_change_keys_so_that_what_groups_by_them_repartitions() -> None:
    builder = StreamBuilder()
    stream = builder.stream(IN)
    stream.process(Totals, name="p", stores=(TOTALS,)).group_by_key().count(name="n")
    stream.process_values(Totals, name="v", stores=(TOTALS,)).group_by_key().count(name="m")
    assert builder.build().internal == {"n-repartition"}


def test_process_values_keeps_the_key() -> None:
    def rename(record: Record[str, int], context: ProcessorContext[str, int]) -> None:
        context.forward(record.key if record.value else "other", record.value)

    builder = StreamBuilder()
    builder.stream(IN).process_values(rename, name="v").to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1)
        with pytest.raises(ProcessingError, match="process_values: the record of key 'a' is forwarded under 'other'"):
            driver.pipe(IN, "a", 0)
        assert driver.read(OUT) == [("a", 1, 0)]


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda context: context.forward("a", 1, timestamp=-1), "forwards the timestamp -1"),
        (lambda context: context.store("t"), r"no store 't': pass it in stores=. It has 's'"),
    ],
    ids=["negative timestamp", "unknown store"],
)
def test_mistakes_are_named(act: Callable[[Any], object], says: str) -> None:
    with pytest.raises(ProcessingError, match=says) as raised:
        through(lambda _record, context: act(context), [("a", 1, 1)])
    assert isinstance(raised.value.__cause__, StreamsError)


@pytest.mark.parametrize(
    "processor", [Totals(), lambda record: None, 7], ids=["an instance", "one argument", "a number"]
)
def test_what_makes_no_processor_is_refused(processor: Any) -> None:
    with pytest.raises(TopologyError, match="process 'p': pass a Processor class"):
        StreamBuilder().stream(IN).process(processor, name="p")


class Sum(msgspec.Struct, frozen=True):
    of: int


def test_the_types_of_what_is_forwarded_come_from_the_contexts_annotation() -> None:
    def summed(record: Record[str, int], context: ProcessorContext[int, Sum]) -> None:
        context.forward(record.value, Sum(record.value))

    class Summing(Processor[str, int, int, Sum]):
        def process(self, record: Record[str, int], context: ProcessorContext[int, Sum]) -> None:
            summed(record, context)

    for processor in (summed, Summing, partial(Summing)):
        builder = StreamBuilder()
        stream = builder.stream(IN).process(processor, name="p")
        assert stream._key is LONG
        assert stream._value.deserialize(b'{"of":3}') == Sum(3)


def test_types_that_are_not_known_are_missed_where_they_are_needed() -> None:
    builder = StreamBuilder()
    builder.stream(IN).process(lambda record, context: None, name="p").group_by_key().count(name="n")
    with pytest.raises(TopologyError, match=r"process 'p' keys.*Annotate the context of .* as ProcessorContext"):
        builder.build()


class Punctuated(Processor[Any, Any, str, Any]):
    """Forwards what it sees, and each punctuation with the store's content."""

    schedules = (Punctuation(10), Punctuation(15, "wall-clock"))

    def process(self, record: Record[Any, Any], context: ProcessorContext[str, Any]) -> None:
        context.store("seen").put(record.key, record.value)
        context.forward("record", record.key)

    def punctuate(self, timestamp: int, context: ProcessorContext[str, Any]) -> None:
        assert context.punctuation is not None
        assert context.record_metadata is None
        context.forward(context.punctuation.kind, [timestamp, [key for key, _ in context.store("seen").items()]])


def punctuated() -> Topology:
    builder = StreamBuilder()
    stream = builder.stream(IN).process(Punctuated, name="p", stores=(StoreSpec("seen", ANY, ANY),), key=ANY, value=ANY)
    stream.to(OUT)
    return builder.build()


@pytest.mark.parametrize("crashing", [False, True])
def test_by_stream_time_with_the_first_record_and_then_every_interval_after_the_record_that_made_it_due(
    crashing: bool,
) -> None:
    # As in Kafka Streams' StreamTask: aligned to 0, due as soon as there is data, missed ones taken together.
    with TopologyTestDriver(punctuated()) as driver:
        for key, timestamp in (("a", 13), ("b", 19), ("c", 20), ("d", 57), ("e", 12), ("f", 60), ("g", 69)):
            driver.pipe(IN, key, 1, timestamp)
            if crashing:
                driver.crash()
        assert driver.read(OUT) == [
            ("record", "a", 13),
            ("stream-time", [13, ["a"]], 13),
            ("record", "b", 19),
            ("record", "c", 20),
            ("stream-time", [20, ["a", "b", "c"]], 20),
            ("record", "d", 57),
            ("stream-time", [57, ["a", "b", "c", "d"]], 57),
            ("record", "e", 12),
            ("record", "f", 60),
            ("stream-time", [60, ["a", "b", "c", "d", "e", "f"]], 60),
            ("record", "g", 69),
        ]


def test_by_the_wall_clock_every_interval_with_or_without_records() -> None:
    with TopologyTestDriver(punctuated()) as driver:
        driver.advance_wall_clock(14)
        assert driver.read(OUT) == []
        driver.advance_wall_clock(1)
        driver.pipe(IN, "a", 1, 3)
        driver.advance_wall_clock(14)
        driver.advance_wall_clock(33)
        driver.advance_wall_clock(12)
        driver.advance_wall_clock(1)
        assert driver.read(OUT) == [
            # Before the first record the task has no time, so that the clock's has to do.
            ("wall-clock", [15, []], 15),
            ("record", "a", 3),
            ("stream-time", [3, ["a"]], 3),
            ("wall-clock", [62, ["a"]], 3),
            ("wall-clock", [75, ["a"]], 3),
        ]


def test_what_a_punctuation_puts_and_forwards_is_one_transaction() -> None:
    class Moves(Processor[Any, Any, Any, Any]):
        schedules = (Punctuation(1, "wall-clock"),)

        def process(self, record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
            context.store("open").put(record.key, record.value)

        def punctuate(self, _timestamp: int, context: ProcessorContext[Any, Any]) -> None:
            for key, value in context.store("open").items():
                context.store("open").delete(key)
                context.forward(key, value)

    builder = StreamBuilder()
    moved = builder.stream(IN).process(Moves, name="p", stores=(StoreSpec("open", ANY, ANY),), key=ANY, value=ANY)
    moved.group_by_key().count(name="n").to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "b", 1, 10)
        driver.pipe(IN, "a", 1, 20)
        driver.advance_wall_clock(1)
        driver.crash()
        driver.advance_wall_clock(1)
        assert driver.store("open") == {}
        assert driver.read(OUT) == [("a", 1, 20), ("b", 1, 20)]


def failing(kind: Any) -> Topology:
    class Fails(Processor[Any, Any, Any, Any]):
        schedules = (Punctuation(10, kind),)

        def process(self, record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
            context.forward(record.key, record.value)

        def punctuate(self, timestamp: int, context: ProcessorContext[Any, Any]) -> None:
            context.store("last").put("punctuated", timestamp)
            context.forward("half", timestamp)
            if timestamp >= 20:
                raise ValueError("20")

    builder = StreamBuilder()
    builder.stream(IN).process(Fails, name="p", stores=(StoreSpec("last", ANY, ANY),), key=ANY, value=ANY).to(OUT)
    return builder.build()


def test_a_failing_punctuation_by_stream_time_is_the_failure_of_the_record_that_made_it_due() -> None:
    with TopologyTestDriver(failing("stream-time"), on_error="dead-letter") as driver:
        for timestamp in (10, 19, 20, 18):
            driver.write(IN, "a", timestamp, timestamp)
        driver.run()
        assert [value for _, value, _ in driver.read(OUT)] == [10, 10, 19, 18]
        assert [record.timestamp for record in driver.dead_letters] == [20]
        assert driver.store("last") == {"punctuated": 10}


def test_a_failing_punctuation_by_the_wall_clock_stops_the_application_and_writes_nothing() -> None:
    with TopologyTestDriver(failing("wall-clock"), on_error="dead-letter") as driver:
        driver.pipe(IN, "a", 1, 1)
        driver.advance_wall_clock(10)
        with pytest.raises(ProcessingError, match="stopped in what was due by the clock: ValueError: 20"):
            driver.advance_wall_clock(10)
        assert [value for _, value, _ in driver.read(OUT)] == [1, 10]
        assert driver.store("last") == {"punctuated": 10}
        driver.crash()
        driver.pipe(IN, "a", 2, 2)
        assert [value for _, value, _ in driver.read(OUT)] == [2]


def test_a_punctuation_whose_record_the_log_refuses_stops_the_application() -> None:
    class TooLarge(Processor[Any, Any, Any, Any]):
        schedules = (Punctuation(1, "wall-clock"),)

        def punctuate(self, _timestamp: int, context: ProcessorContext[Any, Any]) -> None:
            context.forward("a", "x" * (2 << 20))

    builder = StreamBuilder()
    builder.stream(IN).process(TooLarge, name="p", key=ANY, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        with pytest.raises(ProcessingError, match="RecordTooLargeError"):
            driver.advance_wall_clock(1)
        assert driver.read(OUT) == []


@pytest.mark.parametrize(("interval_ms", "kind"), [(0, "stream-time"), (1, "event-time")])
def test_a_schedule_that_cannot_be_is_refused(interval_ms: int, kind: Any) -> None:
    with pytest.raises(StreamsError):
        Punctuation(interval_ms, kind)


def test_a_method_that_is_called_but_missing_is_named() -> None:
    class Nothing(Processor[Any, Any, Any, Any]):
        schedules = (Punctuation(1, "wall-clock"),)

    builder = StreamBuilder()
    builder.stream(IN).process(Nothing, name="p")
    with TopologyTestDriver(builder.build()) as driver:
        with pytest.raises(ProcessingError, match=r"Nothing has no process\(record, context\)"):
            driver.pipe(IN, "a", 1)
        with pytest.raises(ProcessingError, match=r"Nothing has schedules, but no punctuate\(timestamp, context\)"):
            driver.advance_wall_clock(1)


def test_a_processor_beside_a_table_it_shares_a_task_with_sees_the_tasks_stream_time() -> None:
    def when(record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
        context.forward(record.key, context.stream_time)

    builder = StreamBuilder()
    joined = builder.stream(IN).left_join(builder.table(TABLE), lambda value, _row: value, value=ANY)
    joined.process(when, name="p", key=ANY, value=ANY).to(OUT2)
    assert outputs(builder.build(), [(TABLE, "a", 1, 50), (IN, "a", 1, 20)], OUT2) == [("a", 50, 20)]


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 100)), max_size=25),
    crashes=st.sets(st.integers(0, 24)),
    interval=st.integers(1, 40),
)
def test_windows_built_from_a_store_and_punctuations_are_those_of_a_recomputation(
    rows: list[tuple[str, int, int]], crashes: set[int], interval: int
) -> None:
    class Windows(Processor[str, int, str, int]):
        schedules = (Punctuation(interval),)

        def process(self, record: Record[str, int], context: ProcessorContext[str, int]) -> None:
            sums: KeyValueState[str, int] = context.store("sums")
            sums.put(record.key, (sums.get(record.key) or 0) + record.value)

        def punctuate(self, timestamp: int, context: ProcessorContext[str, int]) -> None:
            for key, total in context.store("sums").items():
                context.store("sums").delete(key)
                context.forward(key, total)

    expected: list[Row] = []
    sums: Counter[str] = Counter()
    now, seen = -1, -1
    for key, value, timestamp in rows:
        sums[key] += value
        now = max(now, timestamp)
        if seen < 0 or now // interval > seen // interval:
            expected += [(each, total, now) for each, total in sorted(sums.items())]
            sums.clear()
        seen = now

    builder = StreamBuilder()
    builder.stream(IN).process(Windows, name="w", stores=(StoreSpec("sums", STRING, LONG),)).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for index, row in enumerate(rows):
            driver.write(IN, *row)
            if index in crashes:
                driver.crash_before_commit()
            driver.run()
        assert driver.read(OUT) == expected
