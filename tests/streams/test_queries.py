"""Queries: from any thread, as of a commit, never half a transaction, and after one's own writes where asked for."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, topic

from streambank.log import EventLog, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import (
    LONG,
    STRING,
    Processor,
    ProcessorContext,
    QueryError,
    QueryTimeoutError,
    Record,
    SessionWindows,
    SlidingWindows,
    StoreQuery,
    StoreSpec,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    TimeWindows,
    Topic,
    Topology,
)
from streambank.streams import stores as store_kinds
from streambank.streams.operators.aggregate import Aggregate
from streambank.streams.stores import KeyValueStore
from streambank.streams.stores.base import Stored
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed import SessionWindowedSerde, Windowed

WAIT_S = 20.0
NUMBERS = Topic(name="numbers", key=LONG, value=ANY, partitions=3)
WORDS = topic("words", partitions=2)


def counting(source: Topic[Any, Any] = IN) -> Topology:
    builder = StreamBuilder()
    builder.stream(source).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


def by_word() -> Topology:
    """Counts under another key: what is written comes to the store through an internal topic."""
    builder = StreamBuilder()
    builder.stream(WORDS).group_by(lambda _key, word: word, key=ANY).count(name="count")
    return builder.build()


@contextmanager
def running(topology: Topology, log: EventLog, **settings: Any) -> Iterator[StreamRunner]:
    """A runner in a thread of its own."""
    config = StreamsConfig(application_id="app", **{"poll_timeout_s": 0.05, **settings})
    runner = StreamRunner(topology, log, config)

    def run() -> None:
        runner.run()
        runner.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield runner
    finally:
        runner.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def write(log: EventLog, to: Topic[Any, Any], rows: Iterable[tuple[Any, Any]]) -> dict[TopicPartition, int]:
    producer = log.producer()
    with producer.transaction() as transaction:
        for key, value in rows:
            to.write(transaction, key, value, 1)
    producer.close()
    return dict(transaction.end_offsets)


def test_what_a_store_of_keys_and_values_is_asked() -> None:
    with TopologyTestDriver(counting(NUMBERS)) as driver:
        for key in (3, 1, 4, 1, 5, -9):
            driver.pipe(NUMBERS, key, 0)
        query = driver.runner.query("n")
        assert query.get(1) == 2
        assert query.get(2) is None
        # By the keys' bytes, as in Kafka Streams: negative ones are last.
        assert query.all() == [(1, 2), (3, 1), (4, 1), (5, 1), (-9, 1)]
        assert query.range(2, 4) == [(3, 1), (4, 1)]
        assert query.range(last=3) == [(1, 2), (3, 1)]
        assert query.range(first=5) == [(5, 1), (-9, 1)]
        assert query.count() == 5
        assert query.partitions == {0, 1, 2}


def test_a_key_is_found_wherever_its_record_was_placed() -> None:
    with TopologyTestDriver(counting(NUMBERS)) as driver:
        for partition in range(3):
            driver.pipe(NUMBERS, partition, 0, partition=(partition + 1) % 3)
        query = driver.runner.query("n")
        assert [query.get(key) for key in range(4)] == [1, 1, 1, None]


def test_an_unknown_store_is_refused_with_the_names_of_those_there_are() -> None:
    with TopologyTestDriver(counting()) as driver, pytest.raises(QueryError, match=r"no store 'm', only n$"):
        driver.runner.query("m")


def test_what_another_member_has_is_refused_with_what_this_one_has() -> None:
    config = StreamsConfig(application_id="app")
    with EmbeddedLog.open(None) as log:
        two = Topic(name="two", key=LONG, value=ANY, partitions=2)
        members = [StreamRunner(counting(two), log, config) for _ in range(2)]
        for _ in range(3):
            for member in members:
                member.step()
        write(log, two, [(key, 0) for key in range(8)])
        for member in members:
            while member.step():
                pass
        found: dict[int, list[int]] = {}
        for member in members:
            query = member.query("n")
            (partition,) = query.partitions
            found[partition] = [key for key, _ in query.all()]
            for key in range(8):
                if key in found[partition]:
                    assert query.get(key) == 1
                else:
                    says = f"'n': key {key} is in partition {1 - partition}, which .* not have .*; it has {partition}$"
                    with pytest.raises(QueryError, match=says):
                        query.get(key)
        assert sorted(found[0] + found[1]) == [*range(8)]
        third = StreamRunner(counting(two), log, config)
        third.step()
        with pytest.raises(QueryError, match=r"'n' has 2 partitions, which this member does not have .* it has none"):
            third.query("n").all()
        for member in (*members, third):
            member.close()


def test_rows_of_a_cycle_that_wrote_nothing_are_committed_before_they_are_seen() -> None:
    builder = StreamBuilder()
    builder.stream(IN).join(builder.table(TABLE), lambda value, _row: value, value=ANY).to(OUT)
    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(builder.build(), log, StreamsConfig(application_id="app"))
        write(log, TABLE, [("a", "row")])
        runner.step()
        assert log.committed("app") == {}
        assert runner.query("table").get("a") == "row"
        assert log.committed("app")[TopicPartition("table", 0)].offset == 1
        runner.close()


def test_an_operator_cannot_look_at_its_own_half_transaction() -> None:
    def look(_key: Any, _value: Any) -> None:
        with pytest.raises(QueryError, match="an operator cannot query the application it runs in"):
            driver.runner.query("n").all()
        looked.append(1)

    looked: list[int] = []
    builder = StreamBuilder()
    counts = builder.stream(IN).group_by_key().count(name="n")
    counts.to_stream().peek(look)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1)
    assert looked == [1]


def test_a_question_waits_for_the_end_of_the_transaction() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def pause(_key: Any, _value: Any) -> None:
        inside.set()
        go_on.wait(WAIT_S)

    builder = StreamBuilder()
    builder.stream(IN).group_by_key().count(name="n").to_stream().peek(pause)
    with EmbeddedLog.open(None) as log:
        builder_topology = builder.build()
        with running(builder_topology, log) as runner:
            write(log, IN, [("a", 1), ("b", 1)])
            assert inside.wait(WAIT_S)
            with pytest.raises(QueryTimeoutError, match=r"no answer within 0\.02 s"):
                runner.query("n", timeout_s=0.02).all()
            go_on.set()
            assert runner.query("n", timeout_s=WAIT_S).all() == [("a", 1), ("b", 1)]


def test_a_runner_that_waits_for_records_is_woken() -> None:
    with EmbeddedLog.open(None) as log, running(counting(), log, poll_timeout_s=600.0) as runner:
        position = write(log, IN, [("a", 1)])
        assert runner.query("n", min_position=position, timeout_s=WAIT_S).get("a") == 1
        started = time.monotonic()
        for _ in range(20):
            assert runner.query("n", timeout_s=WAIT_S).count() == 1
        assert time.monotonic() - started < WAIT_S


def test_one_reads_what_one_wrote_through_internal_topics_too() -> None:
    with EmbeddedLog.open(None) as log, running(by_word(), log) as runner:
        for number in range(1, 30):
            position = write(log, WORDS, [(f"key-{number}", "odd" if number % 2 else "even"), ("key", "all")])
            assert runner.query("count", min_position=position, timeout_s=WAIT_S).get("all") == number
            query = runner.query("count", min_position=position)
            assert (query.get("odd"), query.get("even") or 0) == ((number + 1) // 2, number // 2)


def test_a_position_that_is_not_reached_times_out() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.pipe(IN, "a", 1)
        at = TopicPartition(IN.name, 0)
        assert driver.runner.query("n", min_position={at: 1}).get("a") == 1
        with pytest.raises(QueryTimeoutError):
            driver.runner.query("n", min_position={at: 2}).get("a")
        driver.write(IN, "a", 1)
        with pytest.raises(QueryTimeoutError):
            driver.runner.query("n", min_position={at: 2}).get("a")
        driver.run()
        assert driver.runner.query("n", min_position={at: 2}).get("a") == 2
    with EmbeddedLog.open(None) as log, running(counting(), log) as runner:
        query = runner.query("n", min_position={at: 1}, timeout_s=0.02)
        with pytest.raises(TimeoutError, match="has not come to min_position"):
            query.get("a")


def test_a_position_in_a_topic_that_is_not_read_is_refused() -> None:
    with TopologyTestDriver(by_word()) as driver, pytest.raises(QueryError, match=r"topic 'out' is not read.*words"):
        driver.runner.query("count", min_position={TopicPartition("out", 0): 1})


def test_a_runner_that_does_not_run_does_not_answer() -> None:
    with EmbeddedLog.open(None) as log:
        runner = StreamRunner(counting(), log, StreamsConfig(application_id="app"))
        with pytest.raises(QueryTimeoutError):
            runner.query("n", timeout_s=0.01).count()
        failed: list[Exception] = []

        def ask() -> None:
            try:
                runner.query("n", timeout_s=WAIT_S).count()
            except QueryError as error:
                failed.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not runner._questions:
            time.sleep(0.001)
        runner.close()
        thread.join()
        assert [str(error) for error in failed] == ["the application is closed"]
        with pytest.raises(QueryError, match="the application is closed"):
            runner.query("n").count()


class Transfers(Processor[str, Any, Any, Any]):
    """Moves money between two accounts, one after the other; some transfers fail in between."""

    def process(self, record: Record[str, Any], context: ProcessorContext[Any, Any]) -> None:
        accounts = context.store("accounts")
        source, target, amount = record.value
        accounts.put(source, (accounts.get(source) or 0) - amount)
        if amount == 13:
            raise ValueError("an unlucky transfer")
        accounts.put(target, (accounts.get(target) or 0) + amount)
        accounts.put("transfers", (accounts.get("transfers") or 0) + 1)


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_hammered_while_it_works_the_store_never_shows_half_a_transaction(store: str, tmp_path: Path) -> None:
    builder = StreamBuilder()
    builder.stream(IN).process(Transfers, name="transfer", stores=(StoreSpec("accounts", STRING, LONG),))
    settings = {"store": store, "state_dir": tmp_path, "on_error": "dead-letter", "poll_records": 7}
    broken: list[Any] = []
    answers = 0
    stop = threading.Event()

    def hammer(query: StoreQuery) -> None:
        nonlocal answers
        seen = 0
        while not stop.is_set():
            content = dict(query.all())
            transfers = content.pop("transfers", 0)
            if sum(content.values()) or transfers < seen:
                broken.append(content)
            seen = transfers
            answers += 1

    with EmbeddedLog.open(None) as log, running(builder.build(), log, **settings) as runner:
        query = runner.query("accounts", timeout_s=WAIT_S)
        threads = [threading.Thread(target=hammer, args=(query,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(60):
            rows = [("t", [f"a{(number + n) % 5}", f"b{n % 3}", n % 14]) for n in range(20)]
            position = write(log, IN, rows)
            unlucky = sum(row[1][2] == 13 for row in rows)
            done = runner.query("accounts", min_position=position, timeout_s=WAIT_S).get("transfers")
            assert done == (number + 1) * (len(rows) - unlucky)
        stop.set()
        for thread in threads:
            thread.join(WAIT_S)
    assert broken == []
    assert answers > 60


class KeysBySession(KeyValueStore):
    """As much of a store of sessions as a query needs."""

    def find(self, key: Any, earliest_end: int, latest_start: int) -> list[tuple[Any, Stored]]:
        return sorted(
            (window, stored)
            for window, stored in self.items()
            if window.key == key and window.end >= earliest_end and window.start <= latest_start
        )


def session_counts() -> Topology:
    """Each record is a session of its own, from its timestamp on and ten milliseconds long."""
    spec = StoreSpec("sessions", SessionWindowedSerde(ANY), LONG, kind=cast("Any", "session"))
    count: Callable[..., int] = lambda _key, _value, n: n + 1  # noqa: E731
    builder = StreamBuilder()
    rekeyed = builder.stream(WORDS).map(lambda key, value: (Windowed(key, value, value + 10), value), key=spec.key)
    builder.add_node("sessions", Aggregate(lambda: 0, count, spec), (rekeyed._node,))
    return builder.build()


def test_what_a_store_of_windows_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("Any", store_kinds._KINDS), "session", KeysBySession)
    with TopologyTestDriver(session_counts()) as driver:
        for key, start in (("a", 0), ("a", 100), ("b", 50), ("a", 200), ("a", 100)):
            driver.pipe(WORDS, key, start)
        query = driver.runner.query("sessions")
        assert query.fetch("a", 10, 100) == [(Windowed("a", 0, 10), 1), (Windowed("a", 100, 110), 2)]
        assert query.fetch("a", 11, 99) == []
        assert query.fetch("b", 0, 1_000) == [(Windowed("b", 50, 60), 1)]
        assert len(query.all()) == query.count() == 4
        with pytest.raises(QueryError, match=r"'sessions' is not read by keys alone: use fetch\(key, from_ms, to_ms\)"):
            query.get("a")


def test_a_store_without_windows_has_none_to_fetch() -> None:
    with TopologyTestDriver(counting()) as driver, pytest.raises(QueryError, match="'n' keeps no windows: use get"):
        driver.runner.query("n").fetch("a", 0, 1)


@pytest.mark.parametrize(
    ("windows", "found"),
    [
        (TimeWindows.tumbling(10), [(Windowed("a", 0, 10), 2), (Windowed("a", 10, 20), 1)]),
        (SessionWindows(10), [(Windowed("a", 1, 12), 3)]),
        (
            SlidingWindows(10),
            [(Windowed("a", 0, 10), 2), (Windowed("a", 2, 12), 2), (Windowed("a", 6, 16), 1)],
        ),
    ],
)
def test_windows_of_a_key_are_fetched_by_time(windows: Any, found: Any) -> None:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().windowed_by(windows).count(name="n", retention_ms=1_000)
    with TopologyTestDriver(builder.build()) as driver:
        for at in (1, 5, 12, 31):
            driver.pipe(IN, "a", 1, at)
        assert driver.runner.query("n").fetch("a", 0, 20) == found
        assert driver.runner.query("n").fetch("b", 0, 20) == []
