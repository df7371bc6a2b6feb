"""Several processes on one folder: nothing lost or repeated, and the dead are noticed."""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from tests.log.conformance import everything, put, values_of

from streambank.log import ClosedError, TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog

CHILD = Path(__file__).with_name("child.py")
LEFT, RIGHT, MANY = (TopicPartition(topic, 0) for topic in ("left", "right", "many"))
SOURCE = TopicPartition("source", 0)
ALL_ORDERS = frozenset(TopicPartition("orders", number) for number in range(4))


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own folder: its path is too long for the sockets to be inside.
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "log"
        create(folder)
        yield folder


def create(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log:
        log.create_topics(
            [TopicConfig(name=name, partitions=1) for name in ("left", "right", "many", "source")]
            + [TopicConfig(name="orders", partitions=4)]
        )


@contextlib.contextmanager
def running(role: str, folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(CHILD), role, str(folder), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: "subprocess.Popen[str]") -> str:
    stream: IO[str] | None = child.stdout
    assert stream is not None
    return stream.readline().strip()


def test_two_processes_write_at_once(folder: Path) -> None:
    with running("write", folder, "a", "150") as one, running("write", folder, "b", "150") as two:
        with EmbeddedLog.open(folder) as log:
            consumer = log.consumer("group", ["many"])
            seen: list[str] = []
            deadline = time.monotonic() + 30
            while len(seen) < 900 and time.monotonic() < deadline:
                seen += [(value or b"").decode() for batch in consumer.poll(50, 0.5) for value in batch.values]
            left, right, many = (values_of(log, at) for at in (LEFT, RIGHT, MANY))
        assert said(one) == said(two) == "done"
    assert left == right
    assert many == seen == [text for text in left for _ in range(3)]
    for name in "ab":
        assert [text for text in left if text.startswith(name)] == [f"{name}:{number}" for number in range(150)]


def test_kill_in_the_middle_of_transactions(folder: Path) -> None:
    count = 3000
    with EmbeddedLog.open(folder) as log:
        put(log, "source", *map(str, range(count)))
        for wait_s in (0.05, 0.11, 0.02):
            with running("copy", folder) as child:
                assert said(child) == "ready"
                time.sleep(wait_s)
                child.send_signal(signal.SIGKILL)
                child.wait()
            left, right = values_of(log, LEFT), values_of(log, RIGHT)
            committed = log.committed("copy")
            assert left == right == [str(number) for number in range(len(left))]
            assert (committed[SOURCE].offset if committed else 0) == len(left)
        assert left
        with running("copy", folder):
            assert log.wait({RIGHT: count - 1}, 60.0)
        assert values_of(log, LEFT) == values_of(log, RIGHT) == [str(number) for number in range(count)]


def test_a_killed_members_partitions_move_at_once(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log, running("member", folder) as child:
        assert said(child) == "ready 4"
        consumer = log.consumer("group", ["orders"])
        consumer.poll(1, 0.0)
        assert len(consumer.assignment) == 2
        child.send_signal(signal.SIGKILL)
        child.wait()
        begin = time.monotonic()
        while consumer.assignment != ALL_ORDERS and time.monotonic() < begin + 10:
            consumer.poll(1, 1.0 if consumer.assignment == ALL_ORDERS else 0.05)
        took_s = time.monotonic() - begin
        assert consumer.assignment == ALL_ORDERS
        assert took_s < 2.0, "the session time-out is 10 s, the lock shows the end at once"


def test_a_process_that_ends_does_not_block_commits_without_members(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log, running("member", folder) as child:
        assert said(child) == "ready 4"
        assert [len(group.members) for group in log.groups()] == [1]
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert log.groups() == []


def test_a_stopped_member_is_fenced_when_it_wakes(folder: Path) -> None:
    with EmbeddedLog.open(folder, session_timeout_ms=400) as log, running("sleeper", folder) as child:
        assert [said(child), said(child)] == ["assigned 4", "ready"]
        child.send_signal(signal.SIGSTOP)
        consumer = log.consumer("group", ["orders"])
        deadline = time.monotonic() + 10
        while consumer.assignment != ALL_ORDERS and time.monotonic() < deadline:
            consumer.poll(1, 0.05)
        assert consumer.assignment == ALL_ORDERS
        child.send_signal(signal.SIGCONT)
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        assert [said(child) for _ in range(4)] == ["fenced", "lost 4", "assigned 2", "rejoined"]
        assert everything(log, LEFT) == []


def test_wake_up_between_processes(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log, running("echo", folder) as child:
        assert said(child) == "ready"
        delays_us = []
        for _ in range(40):
            time.sleep(0.005)
            put(log, "source", str(time.monotonic_ns()))
            delays_us.append(int(said(child)))
    print(f"from append to poll in another process: median {statistics.median(delays_us)} us, max {max(delays_us)} us")
    assert statistics.median(delays_us) < 50_000


def test_wake_up_within_a_process(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log:
        delays_us: list[int] = []

        def listen() -> None:
            consumer = log.consumer("echo", ["source"])
            while len(delays_us) < 40:
                for batch in consumer.poll(10, 10.0):
                    now = time.monotonic_ns()
                    delays_us.extend((now - int(value or b"0")) // 1000 for value in batch.values)

        thread = threading.Thread(target=listen)
        thread.start()
        for _ in range(40):
            time.sleep(0.005)
            put(log, "source", str(time.monotonic_ns()))
        thread.join(20)
    print(f"from append to poll in another thread: median {statistics.median(delays_us)} us, max {max(delays_us)} us")
    assert statistics.median(delays_us) < 50_000


def test_a_lost_datagram_delays_but_does_not_hang(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedLog.open(folder) as reader, EmbeddedLog.open(folder) as writer:
        monkeypatch.setattr(writer._signals._peers, "notify", lambda _topics: None)
        timer = threading.Timer(0.05, put, (writer, "source", "a"))
        timer.start()
        begin = time.monotonic()
        assert reader.wait({SOURCE: 0}, 10.0)
        assert time.monotonic() - begin < 5.0
        timer.join()


def test_a_lost_datagram_is_made_up_for_while_others_come(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedLog.open(folder) as reader, EmbeddedLog.open(folder) as writer:
        peers = writer._signals._peers
        assert peers is not None
        notify = peers.notify
        monkeypatch.setattr(peers, "notify", lambda topics: notify(frozenset({"orders"}) if topics else topics))
        stop = threading.Event()

        def keep_writing() -> None:
            put(writer, "source", "a")
            while not stop.wait(0.01):
                put(writer, "orders", "b")

        assert not reader.wait({SOURCE: 0}, 0.3)
        thread = threading.Thread(target=keep_writing)
        thread.start()
        begin = time.monotonic()
        assert reader.wait({SOURCE: 0}, 10.0)
        assert time.monotonic() - begin < 5.0
        stop.set()
        thread.join()


def test_sockets_and_locks_go_with_their_processes(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log:
        log.wait({SOURCE: 0}, 0.0)
        with running("member", folder) as child:
            assert said(child) == "ready 4"
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert len(list((folder / "wake").iterdir())) == 2
        put(log, "source", "a")
        assert len(list((folder / "wake").iterdir())) == 1
        log.consumer("group", ["orders"])
        assert len(list((folder / "processes").iterdir())) == 1
    assert list((folder / "wake").iterdir()) == []
    assert list((folder / "processes").iterdir()) == []


def test_a_long_path_has_its_sockets_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    deep = folder.joinpath(*["a-rather-long-name"] * 6)
    with EmbeddedLog.open(deep) as reader, EmbeddedLog.open(deep) as writer:
        create(deep)
        reader.wait({SOURCE: 0}, 0.0)
        (directory,) = folder.glob("streambank-*")
        assert directory.stat().st_mode & 0o777 == 0o700
        (socket,) = directory.iterdir()
        assert socket.is_socket()
        timer = threading.Timer(0.05, put, (writer, "source", "a"))
        timer.start()
        assert reader.wait({SOURCE: 0}, 10.0)
        timer.join()
    assert list(directory.iterdir()) == []


def test_a_runtime_directory_that_others_can_enter_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    shared = folder / f"streambank-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    deep = folder.joinpath(*["a-rather-long-name"] * 6)
    create(deep)
    with EmbeddedLog.open(deep) as reader, EmbeddedLog.open(deep) as writer:
        timer = threading.Timer(0.05, put, (writer, "source", "a"))
        timer.start()
        assert reader.wait({SOURCE: 0}, 10.0)
        timer.join()
    assert list(shared.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_must_open_the_log_itself(folder: Path) -> None:
    with EmbeddedLog.open(folder) as log:
        child = os.fork()
        if not child:
            code = 1
            try:
                log.watermarks(SOURCE)
            except ClosedError:
                code = 0
            os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert log.watermarks(SOURCE) == (0, 0)
