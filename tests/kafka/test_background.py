"""The thread that waits for commits on Kafka: order, failures, and its end."""

import gc
import threading
import time

import pytest

from streambank.log.kafka.background import Background

WAIT_S = 10.0


def test_calls_are_made_one_after_another_in_a_thread_that_holds_up_no_exit() -> None:
    background, made = Background("tested"), []
    threads: list[threading.Thread] = []

    def call(number: int) -> None:
        threads.append(threading.current_thread())
        made.append(number)

    futures = [background.submit(lambda number=number: call(number)) for number in range(100)]  # type: ignore[misc]
    for future in futures:
        future.result(WAIT_S)
    assert made == list(range(100))
    assert {(thread.name, thread.daemon) for thread in threads} == {("tested", True)}
    assert len(set(threads)) == 1


def test_what_a_call_raises_is_told_and_the_next_one_is_made() -> None:
    background = Background("tested")

    def fail() -> None:
        raise KeyError("lost")

    failed, after = background.submit(fail), background.submit(lambda: None)
    with pytest.raises(KeyError, match="lost"):
        failed.result(WAIT_S)
    after.result(WAIT_S)


def test_the_thread_ends_with_its_owner() -> None:
    background = Background("tested-for-its-end")
    background.submit(lambda: None).result(WAIT_S)
    del background
    gc.collect()
    deadline = time.monotonic() + WAIT_S
    while any(thread.name == "tested-for-its-end" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
