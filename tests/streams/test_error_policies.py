"""What the policies do with records that fail, each kind by its own."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, topic
from tests.streams.test_runner import await_true

from streambank.log import TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.log.embedded.log import RECORD_MAX_BYTES
from streambank.streams import (
    ErrorContext,
    ErrorKind,
    ErrorPolicy,
    ProcessingError,
    Retry,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    StreamsError,
    Topology,
)
from streambank.streams.testing import TopologyTestDriver

KEY = b'"k"'
BAD: dict[str, tuple[ErrorKind, bytes]] = {
    "undecodable": ("deserialization", b"{not JSON"),
    "raises": ("processing", b'"raise"'),
    "cannot be encoded": ("production", b'"object"'),
    "too large": ("production", b'"large"'),
}


def work(value: Any) -> Any:
    if value == "raise":
        raise ValueError("told to")
    return {"object": object(), "large": "x" * (RECORD_MAX_BYTES + 1)}.get(str(value), value)


def counting(function: Callable[[Any], Any] = work) -> Topology:
    """Counts every record, then applies ``function`` and writes what it returns."""
    builder = StreamBuilder()
    counts = builder.stream(IN).group_by_key().count(name="n")
    joined = builder.stream(IN).join(counts, lambda value, n: [value, n], value=ANY)
    joined.map_values(lambda both: function(both[0]), value=ANY).to(OUT)
    return builder.build()


def config(**settings: Any) -> StreamsConfig:
    return StreamsConfig(application_id="test", **settings)


def feed(driver: TopologyTestDriver, *values: bytes) -> None:
    for number, value in enumerate(values):
        driver.write_bytes("in", KEY, value, number)
    driver.run()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("action", ["skip", "dead-letter"])
@pytest.mark.parametrize("how", ["on_error", "its own", "a function", "after a retry"])
def test_a_failed_record_is_left_out_and_the_others_go_on(bad: str, action: str, how: str) -> None:
    kind, data = BAD[bad]
    policies: dict[str, dict[str, Any]] = {
        "on_error": {"on_error": action},
        "its own": {f"on_{kind}_error": action},
        "a function": {f"on_{kind}_error": lambda context: action},
        "after a retry": {"on_error": Retry(attempts=2, then=action)},  # type: ignore[arg-type]
    }
    with TopologyTestDriver(counting(), config=config(**policies[how])) as driver:
        feed(driver, b"1", data, b"2", data, b"3")
        assert [value for _, value, _ in driver.read(OUT)] == [1, 2, 3]
        assert driver.store("n") == {"k": 3}
        assert dict(driver.runner.drops) == {"dead letter" if action == "dead-letter" else "skipped": 2}
        letters = driver.dead_letters if "test.dlq" in driver.log.topics() else []
        assert [letter.value for letter in letters] == ([data, data] if action == "dead-letter" else [])
        driver.crash()
        assert driver.store("n") == {"k": 3}


@pytest.mark.parametrize("bad", BAD)
def test_the_policies_of_other_kinds_do_not_apply(bad: str) -> None:
    kind, data = BAD[bad]
    settings = {f"on_{other}_error": "skip" for other in ("deserialization", "processing", "production")}
    settings[f"on_{kind}_error"] = "fail"
    with TopologyTestDriver(counting(), config=config(**settings)) as driver:
        with pytest.raises(ProcessingError, match=rf"test stopped before in-0 offset 1: .*on_{kind}_error="):
            feed(driver, b"1", data, b"2")
        # A record that is too large shows itself at the commit only, so that each is then tried in a transaction alone.
        assert driver.read(OUT) == ([("k", 1, 0)] if bad == "too large" else [])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("raises", r"ValueError: told to, in operator 'map-values-\d+'"),
        ("cannot be encoded", r"topic 'out' .* value of type object: .*, in operator 'to\(out\)-\d+'"),
        ("too large", "out-0: a record of"),
        ("undecodable", r"DecodeError: .*, in operator 'stream\(in\)'"),
    ],
)
def test_an_error_names_what_failed(bad: str, says: str) -> None:
    with TopologyTestDriver(counting()) as driver, pytest.raises(ProcessingError, match=says):
        feed(driver, BAD[bad][1])


def test_a_changelog_that_cannot_take_a_value_is_named_with_its_operator() -> None:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().aggregate(dict, lambda *_: object(), name="things", value=ANY)
    with (
        TopologyTestDriver(builder.build()) as driver,
        pytest.raises(ProcessingError, match=r"topic 'test-things-changelog' .*, in operator 'things'"),
    ):
        driver.pipe(IN, "a", 1)


def test_a_key_that_decides_on_the_partition_and_cannot_be_encoded_is_an_error_of_production() -> None:
    builder = StreamBuilder()
    keyed = builder.stream(IN).select_key(lambda _key, value: object() if value == 2 else value, key=ANY)
    keyed.to(topic("wide", partitions=3))
    with TopologyTestDriver(builder.build(), config=config(on_production_error="skip")) as driver:
        for value in (1, 2, 3):
            driver.pipe(IN, "a", value)
        assert sorted(key for key, *_ in driver.read(topic("wide", partitions=3))) == [1, 3]


def test_a_function_is_asked_once_for_each_failed_record_with_all_there_is_to_know() -> None:
    seen: list[ErrorContext] = []

    def policy(context: ErrorContext) -> Any:
        seen.append(context)
        return "skip"

    with TopologyTestDriver(counting(), config=config(on_error=policy)) as driver:
        feed(driver, b"1", b"{not JSON", b'"raise"', b'"object"', b"2")
    assert [(context.kind, context.record.offset, context.record.value, context.attempts) for context in seen] == [
        ("deserialization", 1, b"{not JSON", 1),
        ("processing", 2, b'"raise"', 1),
        ("production", 3, b'"object"', 1),
    ]
    assert str(seen[1].error) == "told to"
    assert [str(context.operator).partition("-")[0] for context in seen] == ["stream(in)", "map", "to(out)"]


@pytest.mark.parametrize("bad", ["undecodable", "raises"])
def test_a_function_that_decides_on_nothing_stops_the_application(bad: str) -> None:
    kind, data = BAD[bad]
    settings = config(on_error=lambda context: None)
    with (
        TopologyTestDriver(counting(), config=settings) as driver,
        pytest.raises(StreamsError, match=f"a {kind} error policy must return one of .*, not None"),
    ):
        feed(driver, data)


class Flaky:
    """Fails for a value as often as told, and notes what it is called with."""

    def __init__(self, failures: dict[Any, int]) -> None:
        self._failures = Counter(failures)
        self.calls: list[Any] = []

    def __call__(self, value: Any) -> Any:
        self.calls.append(value)
        if self._failures[value] > 0:
            self._failures[value] -= 1
            raise ConnectionError("try later")
        return value


@pytest.mark.parametrize("crash", [False, True], ids=["runs on", "crashes before the commit"])
def test_a_record_that_gets_through_when_tried_again_leaves_no_trace_of_its_failures(crash: bool) -> None:
    flaky = Flaky({2: 3, 4: 1})
    with TopologyTestDriver(counting(flaky), config=config(on_processing_error=Retry(attempts=3))) as driver:
        for value in range(1, 6):
            driver.write(IN, "k", value, value)
        if crash:
            driver.crash_before_commit()
        driver.run()
        assert driver.read(OUT) == [("k", value, value) for value in range(1, 6)]
        assert driver.store("n") == {"k": 5}
        assert not driver.runner.drops
        assert not driver.dead_letters
    assert flaky.calls.count(2) >= 4
    assert flaky.calls.count(4) >= 2


def test_after_its_last_attempt_a_record_is_what_then_says() -> None:
    seen: list[int] = []

    def then(context: ErrorContext) -> Any:
        seen.append(context.attempts)
        return "dead-letter"

    flaky = Flaky({2: 99})
    with TopologyTestDriver(counting(flaky), config=config(on_processing_error=Retry(2, then=then))) as driver:
        feed(driver, b"1", b"2", b"3")
        assert [value for _, value, _ in driver.read(OUT)] == [1, 3]
        assert [letter.value for letter in driver.dead_letters] == [b"2"]
        assert driver.store("n") == {"k": 2}
        assert driver.runner.counters.retries == 2
    assert flaky.calls.count(2) == 3
    assert seen == [3]


def test_then_may_be_to_fail() -> None:
    settings = config(on_processing_error=Retry(2, then="fail"))
    with TopologyTestDriver(counting(Flaky({2: 99})), config=settings) as driver:
        with pytest.raises(ProcessingError, match="offset 1: ConnectionError: try later"):
            feed(driver, b"1", b"2", b"3")
        # What came before the record did not wait for it.
        assert driver.read(OUT) == [("k", 1, 0)]


class ManualClock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_the_wait_doubles_up_to_its_limit_and_other_partitions_go_on_meanwhile() -> None:
    two = topic("two", partitions=2)
    flaky, clock = Flaky({"bad": 4}), ManualClock()
    builder = StreamBuilder()
    builder.stream(two).map_values(flaky, value=ANY).to(OUT)
    settings = config(on_processing_error=Retry(attempts=5, initial_ms=100, max_ms=300))
    with EmbeddedLog.open(None) as log, closing(StreamRunner(builder.build(), log, settings, monotonic_ms=clock)) as it:

        def write(partition: int, value: str) -> None:
            with closing(log.producer()) as producer, producer.transaction() as transaction:
                transaction.append("two", ANY.serialize(value), key=KEY, timestamp=1, partition=partition)

        def run() -> None:
            while it.step():
                pass

        for value in ("before", "bad", "after"):
            write(0, value)
        run()
        due = [it.next_retry_ms]
        while due[-1] is not None:
            write(1, "other")
            run()
            assert flaky.calls[-1] == "other"
            clock.now = due[-1] - 1
            run()
            assert it.next_retry_ms == due[-1], "not before its time"
            clock.now += 1
            run()
            due.append(it.next_retry_ms)
        assert due == [100, 300, 600, 900, None]
        written = [ANY.deserialize(value or b"") for value in log.read(TopicPartition("out", 0), 0).values]
        assert written == ["before", *["other"] * 4, "bad", "after"]


def test_records_of_the_same_task_keep_their_order_by_time_while_one_waits() -> None:
    flaky = Flaky({"row": 2})
    builder = StreamBuilder()
    table = builder.table(TABLE).map_values(flaky, value=ANY)
    builder.stream(IN).join(table, lambda value, row: [value, row], value=ANY).to(OUT)
    builder.stream(IN).peek(lambda _key, value: flaky(value))
    with TopologyTestDriver(builder.build(), config=config(on_error=Retry())) as driver:
        driver.write(IN, "k", "early", 1)
        driver.write(TABLE, "k", "row", 2)
        driver.write(IN, "k", "late", 3)
        driver.run()
        assert driver.read(OUT) == [("k", ["late", "row"], 3)]


def test_the_runner_sleeps_while_a_record_waits_and_stops_at_once() -> None:
    started = threading.Event()

    def fail(_value: Any) -> Any:
        started.set()
        raise ConnectionError("try later")

    hour_ms = 3_600_000
    settings = config(on_processing_error=Retry(initial_ms=hour_ms, max_ms=hour_ms), poll_timeout_s=60.0)
    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(counting(fail), log, settings)
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            IN.write(transaction, "k", 1, 1)
        thread = threading.Thread(target=runner.run)
        thread.start()
        assert started.wait(20.0)
        await_true(lambda: runner.next_retry_ms is not None)
        busy_s = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - busy_s < 0.15, "it does not turn round and round"
        stopping = time.monotonic()
        runner.stop()
        thread.join(20.0)
        assert time.monotonic() - stopping < 5.0
        runner.close()
        assert log.committed("test").get(TopicPartition("in", 0)) is None


def test_a_wait_ends_a_poll_in_time() -> None:
    flaky = Flaky({1: 1})
    settings = config(on_processing_error=Retry(initial_ms=50))
    with EmbeddedLog.open(None) as log, closing(StreamRunner(counting(flaky), log, settings)) as runner:
        with closing(log.producer()) as producer, producer.transaction() as transaction:
            IN.write(transaction, "k", 1, 1)
        started = time.monotonic()
        while len(flaky.calls) < 2:
            runner.step(20.0)
        assert 0.05 <= time.monotonic() - started < 10.0


def test_a_crash_while_a_record_waits_begins_again() -> None:
    flaky = Flaky({2: 2})
    policy = Retry(attempts=2, initial_ms=1, max_ms=1)
    with EmbeddedLog.open(None) as log, closing(log.producer()) as producer:
        topology, clock = counting(flaky), ManualClock()
        for _ in range(2):
            runner = StreamRunner(topology, log, config(on_processing_error=policy), monotonic_ms=clock)
            if not flaky.calls:
                with producer.transaction() as transaction:
                    IN.write(transaction, "k", 1, 1)
                    IN.write(transaction, "k", 2, 2)
            while runner.step():
                pass
            runner.close()
        clock.now = 10
        with TopologyTestDriver(topology, log=log, config=config(on_processing_error=policy)) as driver:
            assert driver.read(OUT) == [("k", 1, 1), ("k", 2, 2)]
            assert driver.store("n") == {"k": 2}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"attempts": 0}, "attempts must be positive"),
        ({"initial_ms": 0}, "0 < initial_ms"),
        ({"initial_ms": 10, "max_ms": 5}, "initial_ms <= max_ms"),
        ({"then": "retry"}, "Retry: then must be"),
        ({"then": Retry()}, "Retry: then must be"),
    ],
)
def test_a_retry_that_cannot_be_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(StreamsError, match=says):
        Retry(**settings)


@pytest.mark.parametrize(("attempts", "delay_ms"), [(1, 100), (2, 200), (3, 400), (8, 10_000), (10_000, 10_000)])
def test_delays(attempts: int, delay_ms: int) -> None:
    assert Retry(attempts=20_000).delay_ms(attempts) == delay_ms


def test_policies_are_values() -> None:
    policies: list[ErrorPolicy] = ["fail", "skip", "dead-letter", Retry(1, then="skip"), lambda _context: "skip"]
    assert all(
        StreamsConfig(application_id="a", on_error=policy).error_policy("processing") == policy for policy in policies
    )
