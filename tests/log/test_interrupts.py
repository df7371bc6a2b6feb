"""Ctrl-C at any moment leaves the log consistent and usable."""

import gc
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.log.conformance import put, values_of

from streambank.log import TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog

LEFT, RIGHT = TopicPartition("left", 0), TopicPartition("right", 0)


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """Hypothesis has a callback in the garbage collector: an interrupt that comes within it goes nowhere."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("where", ["folder", "memory"])
def test_interrupts_while_writing(where: str, tmp_path: Path) -> None:
    chance = random.Random(11)
    with EmbeddedLog.open(tmp_path if where == "folder" else None, synchronous="OFF") as log:
        log.create_topics([TopicConfig(name=name, partitions=1) for name in ("left", "right")])
        main = threading.main_thread().ident
        assert main is not None
        interrupted = 0
        for _ in range(60):
            timer = threading.Timer(chance.random() * 0.004, signal.pthread_kill, (main, signal.SIGINT))
            try:
                timer.start()
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline:
                    with log.producer().transaction() as transaction:
                        transaction.append("left", b"x", timestamp=0)
                        transaction.append("right", b"x", timestamp=0)
            except KeyboardInterrupt:
                interrupted += 1
            timer.join()
        assert interrupted == 60
        assert len(values_of(log, LEFT)) == len(values_of(log, RIGHT)) == log.watermarks(LEFT).high
        put(log, "left", "z")
        # Another thread gets the lock too.
        other = threading.Thread(target=put, args=(log, "left", "y"))
        other.start()
        other.join(10)
        assert values_of(log, LEFT)[-1] == "y"


def test_an_interrupt_while_waiting(tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path) as log:
        log.create_topics([TopicConfig(name="left", partitions=1)])
        consumer = log.consumer("group", ["left"])
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))
        begin = time.monotonic()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            consumer.poll(1, 30.0)
        assert time.monotonic() - begin < 10
        timer.join()
        put(log, "left", "a")
        assert len(consumer.poll(1, 0.0)) == 1
