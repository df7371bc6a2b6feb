"""idle_close_ms: the stream time of a task that gets no records goes on by the wall clock."""

from dataclasses import dataclass
from typing import Any

import pytest
from tests.streams.support import ANY, IN, IN2, OUT

from streambank.streams import (
    LONG,
    JoinWindows,
    KStream,
    Processor,
    ProcessorContext,
    Punctuation,
    Record,
    SessionWindows,
    SlidingWindows,
    StreamBuilder,
    Suppressed,
    TimeWindows,
    Topology,
)
from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext
from streambank.streams.testing import TopologyTestDriver

SIZE_MS = 10
IDLE_MS = 1_000
STORE = StoreSpec("windows", LONG, LONG)


@dataclass(frozen=True, slots=True)
class FinalCount(Stateless):
    """How many records each window of ten milliseconds had, once it is over: the least that follows the time."""

    kind: str = "final-count"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        return (STORE,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        store = context.store(STORE.name)

        def advance(stream_time: int) -> None:
            if stream_time <= store.observed_time:
                return
            store.observed_time = stream_time
            for start, stored in sorted(store.items()):
                if start + SIZE_MS <= stream_time:
                    store.put(start, None, stored[1], stored)
                    forward(start, stored[0], start + SIZE_MS, None)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None, /) -> None:
            start = timestamp // SIZE_MS * SIZE_MS
            if start + SIZE_MS <= store.observed_time:
                context.drop("late")
                return
            stored = store.get(start)
            store.put(start, stored[0] + 1 if stored else 1, timestamp, stored)
            advance(timestamp)

        context.on_advance(advance)
        return process


def final_counts(*, merged: bool = False) -> Topology:
    builder = StreamBuilder()
    stream = builder.stream(IN)
    if merged:
        stream = stream.merge(builder.stream(IN2))
    stream._derive(FinalCount()).to(OUT)
    return builder.build()


def test_windows_close_though_no_record_follows() -> None:
    with TopologyTestDriver(final_counts(), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 100)
        driver.pipe(IN, "a", 1, 109)
        driver.advance_wall_clock(IDLE_MS - 1)
        assert driver.read(OUT) == []
        driver.advance_wall_clock(1)
        assert driver.read(OUT) == [(100, 2, 110)]


def test_the_time_goes_on_by_what_the_clock_did_and_what_comes_then_is_late() -> None:
    with TopologyTestDriver(final_counts(), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 5)
        driver.advance_wall_clock(IDLE_MS)
        driver.pipe(IN, "a", 1, 999)
        driver.pipe(IN, "a", 1, 1_000)
        driver.advance_wall_clock(IDLE_MS)
        driver.pipe(IN, "a", 1, 2_009)
        assert driver.read(OUT) == [(0, 1, 10), (1_000, 1, 1_010)]
        assert driver.store("windows") == {2_000: 1}
        assert driver.runner.drops == {"late": 1}


@pytest.mark.parametrize("crash", [False, True])
def test_the_time_that_closed_a_window_survives_a_restart(crash: bool) -> None:
    with TopologyTestDriver(final_counts(), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 5)
        driver.advance_wall_clock(IDLE_MS)
        if crash:
            driver.crash()
        driver.advance_wall_clock(IDLE_MS)
        driver.pipe(IN, "a", 1, 6)
        assert driver.read(OUT) == [(0, 1, 10)]
        assert driver.runner.drops == {"late": 1}


def test_the_idle_time_starts_anew_with_each_record_and_each_start() -> None:
    with TopologyTestDriver(final_counts(), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 5)
        driver.advance_wall_clock(IDLE_MS - 1)
        driver.pipe(IN, "a", 1, 6)
        driver.advance_wall_clock(IDLE_MS - 1)
        driver.crash()
        driver.advance_wall_clock(IDLE_MS - 1)
        assert driver.read(OUT) == []
        driver.advance_wall_clock(1)
        assert driver.read(OUT) == [(0, 2, 10)]


@pytest.mark.parametrize("idle_close_ms", [None, IDLE_MS], ids=["off", "before any record"])
def test_nothing_goes_on(idle_close_ms: int | None) -> None:
    with TopologyTestDriver(final_counts(), idle_close_ms=idle_close_ms) as driver:
        if idle_close_ms is None:
            driver.pipe(IN, "a", 1, 5)
        driver.advance_wall_clock(50 * IDLE_MS)
        driver.pipe(IN, "a", 1, 6)
        assert driver.read(OUT) == []
        assert not driver.runner.drops


def test_a_partition_that_still_has_records_keeps_the_task_from_being_idle() -> None:
    # Nothing is processed: the log has more of "in" than was fetched, as the last poll saw it.
    with TopologyTestDriver(final_counts(merged=True), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 5)
        (task,) = driver.runner._tasks.values()
        assert not task.follow_clock(10 * IDLE_MS, lambda at: at.topic == "in2")
        assert not task.follow_clock(10 * IDLE_MS + IDLE_MS - 1, lambda _at: False)
        assert task.follow_clock(10 * IDLE_MS + IDLE_MS, lambda _at: False)


def test_punctuations_by_stream_time_run_while_the_task_is_idle() -> None:
    class Ticks(Processor[Any, Any, Any, Any]):
        schedules = (Punctuation(100),)

        def process(self, record: Record[Any, Any], context: ProcessorContext[Any, Any]) -> None:
            """Only the time counts."""

        def punctuate(self, timestamp: int, context: ProcessorContext[Any, Any]) -> None:
            context.forward("tick", timestamp)

    builder = StreamBuilder()
    builder.stream(IN).process(Ticks, name="p", key=ANY, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 50)
        driver.advance_wall_clock(IDLE_MS)
        driver.advance_wall_clock(20)
        driver.crash()
        driver.pipe(IN, "a", 1, 1_099)
        driver.pipe(IN, "a", 1, 1_100)
        assert driver.read(OUT) == [("tick", 50, 50), ("tick", 1_050, 1_050), ("tick", 1_100, 1_100)]


def counts(windows: Any) -> Any:
    return lambda stream: stream.group_by_key().windowed_by(windows).count(name="n", emit="final").to_stream()


def suppressed(stream: KStream[Any, Any]) -> KStream[Any, Any]:
    table = stream.group_by_key().windowed_by(TimeWindows.tumbling(10)).count(name="n")
    return table.suppress(Suppressed.until_window_closes(), name="final").to_stream()


def joined(stream: KStream[Any, Any]) -> KStream[Any, Any]:
    other = stream._builder.stream(IN2)
    return stream.outer_join(other, lambda a, b: [a, b], windows=JoinWindows.of(10), name="join", value=ANY)


@pytest.mark.parametrize(
    "make",
    [counts(TimeWindows.tumbling(10)), counts(SlidingWindows(10)), counts(SessionWindows(10)), suppressed, joined],
    ids=["tumbling", "sliding", "session", "suppress", "join"],
)
@pytest.mark.parametrize("crash", [False, True])
def test_every_operator_that_waits_for_time_follows_it(make: Any, crash: bool) -> None:
    builder = StreamBuilder()
    make(builder.stream(IN)).map(lambda _key, value: (0, value), key=ANY, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), idle_close_ms=IDLE_MS) as driver:
        driver.pipe(IN, "a", 1, 100)
        if crash:
            driver.crash()
        driver.advance_wall_clock(IDLE_MS - 1)
        assert driver.read(OUT) == []
        driver.advance_wall_clock(IDLE_MS)
        driver.advance_wall_clock(IDLE_MS)
        assert [(value, at) for _, value, at in driver.read(OUT)] == [([1, None] if make is joined else 1, 100)]
        driver.advance_wall_clock(IDLE_MS)
        assert driver.read(OUT) == []
