"""Queries of what other members have: asked over HTTP, by those who know the secret, and only answered by the owner."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests.streams.support import topic

from streambank.log import EventLog, LogError, TopicPartition, partition_for
from streambank.log.embedded import EmbeddedLog
from streambank.streams import (
    QueryError,
    QueryTimeoutError,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    StreamsError,
    TimeWindows,
    Topology,
)

WAIT_S = 20.0
SECRET = "known-to-members"
WORDS = topic("words", partitions=4)
KEYS = [f"key-{number}" for number in range(40)]


def counting(seen: Callable[[str, str], None] = lambda key, value: None) -> Topology:
    builder = StreamBuilder()
    grouped = builder.stream(WORDS).peek(seen).group_by_key()
    grouped.count(name="counts")
    grouped.windowed_by(TimeWindows.tumbling(1_000)).count(name="windows")
    return builder.build()


def config(**settings: Any) -> StreamsConfig:
    given = {"application_server": "127.0.0.1:0", "query_secret": SECRET, **settings}
    return StreamsConfig(application_id="counter", poll_timeout_s=0.05, **given)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EmbeddedLog.open(tmp_path / "log") as log:
        log.create_topics([WORDS.config])
        yield log


class Members:
    """Members of one application, each in a thread of its own."""

    def __init__(self, log: EventLog) -> None:
        self._log, self._stack = log, ExitStack()

    def add(self, topology: Topology | None = None, **settings: Any) -> StreamRunner:
        started: list[StreamRunner] = []
        ready = threading.Event()

        def run() -> None:
            with closing(StreamRunner(topology or counting(), self._log, config(**settings))) as runner:
                started.append(runner)
                ready.set()
                runner.run()

        thread = threading.Thread(target=run)
        thread.start()
        assert ready.wait(WAIT_S)
        self._stack.callback(thread.join)
        self._stack.callback(started[0].stop)
        return started[0]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def members(log: EventLog) -> Iterator[Members]:
    with closing(Members(log)) as members:
        yield members


def server_of(runner: StreamRunner) -> str:
    """Where a member answers, once the group knows that it has everything."""
    deadline = time.monotonic() + WAIT_S
    while (found := runner.query_metadata("counts", KEYS[0])).server is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert found.is_local
    return found.server


def write(log: EventLog) -> dict[TopicPartition, int]:
    """One record of each key, and a second one of the first; where that ends."""
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        for number, key in enumerate([*KEYS, KEYS[0]]):
            WORDS.write(transaction, key, "x", 10 * number)
    return dict(transaction.end_offsets)


def put(log: EventLog, key: str, value: str) -> dict[TopicPartition, int]:
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        WORDS.write(transaction, key, value, 1)
    return dict(transaction.end_offsets)


def key_of(partition: int) -> str:
    """Some key that is in this partition."""
    return next(key for key in map(str, range(1_000)) if partition_for(WORDS.key.serialize(key), 4) == partition)


def settled(*runners: StreamRunner) -> None:
    """Wait until all have partitions, and together every one."""
    deadline = time.monotonic() + WAIT_S
    while sum(len(runner.assignment) for runner in runners) != 4 or not all(runner.assignment for runner in runners):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_any_member_answers_for_any_key(log: EventLog, members: Members) -> None:
    one, other = members.add(), members.add()
    settled(one, other)
    check_every_answer(log, one, other)


def check_every_answer(log: EventLog, one: StreamRunner, other: StreamRunner) -> None:
    """Used for Kafka too."""
    written = write(log)
    expected = {key: 2 if key == KEYS[0] else 1 for key in KEYS}
    for runner in (one, other):
        counts = runner.query_anywhere("counts", min_position=written, timeout_s=WAIT_S)
        assert {key: counts.get(key) for key in KEYS} == expected
        assert counts.get("nobody") is None
        assert dict(counts.all()) == expected
        assert counts.all() == sorted(expected.items())
        assert counts.range("key-1", "key-12") == [(key, 1) for key in ("key-1", "key-10", "key-11", "key-12")]
        assert counts.count() == len(KEYS)
        windows = runner.query_anywhere("windows", min_position=written, timeout_s=WAIT_S)
        assert [(window.start, count) for window, count in windows.fetch(KEYS[0], 0, 1_000)] == [(0, 2)]
        assert windows.count() == len(KEYS)
    local = [key for key in KEYS if one.query_metadata("counts", key).is_local]
    assert 0 < len(local) < len(KEYS)
    for key in KEYS:
        here, there = one.query_metadata("counts", key), other.query_metadata("counts", key)
        assert here.partition == there.partition
        assert here.is_local != there.is_local
        assert here.server == there.server, "both name the one that has it"


def test_a_partition_that_moves_is_asked_for_where_it_went(log: EventLog, members: Members) -> None:
    one, other = members.add(), members.add()
    settled(one, other)
    written = write(log)
    counts = one.query_anywhere("counts", min_position=written, timeout_s=WAIT_S)
    assert counts.count() == len(KEYS)
    third = members.add()
    settled(one, other, third)
    assert counts.count() == len(KEYS)
    other.stop()
    settled(one, third)
    assert {key: counts.get(key) for key in KEYS[1:]} == dict.fromkeys(KEYS[1:], 1)


def test_a_member_that_lost_a_partition_and_does_not_know_yet_asks_the_new_owner(
    log: EventLog, members: Members
) -> None:
    working, go_on = threading.Event(), threading.Event()

    def work_long(_key: str, value: str) -> None:
        if value == "long":
            working.set()
            assert go_on.wait(WAIT_S)

    one = members.add(topology=counting(work_long))
    settled(one)
    key, other_key = key_of(3), key_of(0)
    put(log, key, "x")
    put(log, other_key, "long")
    try:
        assert working.wait(WAIT_S)
        other = members.add()
        while not other.assignment:
            time.sleep(0.02)
        assert 3 in {at.partition for at in other.assignment}
        position = put(log, key, "x")
        assert other.query("counts", min_position=position, timeout_s=WAIT_S).get(key) == 2
        assert one.query_anywhere("counts", timeout_s=WAIT_S).get(key) == 2
    finally:
        go_on.set()


def test_a_windowed_store_is_not_read_by_keys_alone(log: EventLog, members: Members) -> None:
    windows = members.add().query_anywhere("windows")
    for read in (lambda: windows.get("key-0"), lambda: windows.range()):
        with pytest.raises(QueryError, match=r"use fetch\(key, from_ms, to_ms\) or all"):
            read()


def test_a_member_that_answers_nobody_is_told_of(log: EventLog, members: Members) -> None:
    one, other = members.add(), members.add(application_server=None)
    settled(one, other)
    with pytest.raises(QueryTimeoutError, match=r"partition .* cannot be had within 0.3 s: nobody has it"):
        one.query_anywhere("counts", timeout_s=0.3).count()
    assert other.query_anywhere("counts", timeout_s=WAIT_S).count() == 0, "it may ask all the same"


def test_who_does_not_know_the_secret_gets_nothing(log: EventLog, members: Members) -> None:
    one, other = members.add(), members.add(query_secret="another")
    settled(one, other)
    with pytest.raises(QueryError, match="wrong query_secret"):
        one.query_anywhere("counts", timeout_s=WAIT_S).count()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"", 401),
        ({"Authorization": "Bearer wrong"}, b"", 401),
        ({"Authorization": f"Bearer {SECRET}"}, b"no MessagePack", 400),
        ({"Authorization": f"Bearer {SECRET}", "Content-Length": "9999999999"}, None, 413),
        ({"Authorization": f"Bearer {SECRET}", "Content-Length": "-1"}, None, 413),
    ],
)
def test_bad_questions(
    log: EventLog, members: Members, headers: dict[str, str], body: bytes | None, status: int
) -> None:
    one = members.add()
    host, _, port = server_of(one).partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=WAIT_S)) as connection:
        connection.request("POST", "/stores/counts", body, headers)
        assert connection.getresponse().status == status
    assert one.query_anywhere("counts").count() == 0, "and it goes on"


def test_a_store_that_there_is_not(log: EventLog, members: Members) -> None:
    one = members.add()
    with pytest.raises(QueryError, match="no store 'none'"):
        one.query_anywhere("none")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"query_secret": None}, "application_server needs query_secret"),
        ({"application_server": "localhost"}, "must be HOST:PORT, not 'localhost'"),
        ({"application_server": "localhost:65536"}, "must be HOST:PORT, not 'localhost:65536'"),
        ({"application_server": "0.0.0.0:80"}, "which 0.0.0.0 does not say"),
        ({"application_server": "[::]:80"}, r"which \[::\] does not say"),
        ({"query_secret": "naïve"}, "printable ASCII"),
        ({"query_secret": "line\nbreak"}, "printable ASCII"),
        ({"query_secret": " space"}, "without spaces around it"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(StreamsError, match=problem):
        config(**settings)


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(config())


def test_a_port_that_is_taken(log: EventLog, members: Members) -> None:
    one = members.add()
    server = server_of(one)
    with pytest.raises(QueryError, match="give another port"):
        StreamRunner(counting(), log, config(application_server=server))


def test_who_cannot_join_gives_the_port_back(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        server = f"127.0.0.1:{free.getsockname()[1]}"

    def refuse(*_given: Any, **_named: Any) -> None:
        raise LogError("no place")

    with monkeypatch.context() as patched:
        patched.setattr(log, "consumer", refuse)
        with pytest.raises(LogError, match="no place") as kept:
            StreamRunner(counting(), log, config(application_server=server))
    StreamRunner(counting(), log, config(application_server=server)).close()
    assert kept.traceback, "which held all that was made"
