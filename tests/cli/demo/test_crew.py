"""Several things at once: bounded, stopped at any time, and ended by the first failure."""

import threading
import time
from collections.abc import Iterator

import pytest

from streambank.cli.demo.crew import Crew
from streambank.cli.demo.errors import StoppedError


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work waits for; opened at the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def test_everything_is_done_by_so_many_at_once() -> None:
    crew, lock, at_once, most = Crew(3), threading.Lock(), [0], [0]

    def work(number: int) -> int:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.01)
        with lock:
            at_once[0] -= 1
        return number * number

    assert sorted(crew.each(work, range(10), threading.Event())) == [n * n for n in range(10)]
    assert most[0] == 3
    assert list(crew.each(work, [], threading.Event())) == []
    assert crew.rests(1)


def test_the_first_failure_ends_what_has_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise IndexError("three")
        time.sleep(0.01)
        return number

    crew = Crew(2)
    with pytest.raises(IndexError, match="three"):
        list(crew.each(work, range(1_000), threading.Event()))
    assert crew.rests(1)
    assert len(begun) < 20


@pytest.mark.alone
def test_a_stop_does_not_wait_for_what_is_under_way(gate: threading.Event) -> None:
    stop, begun = threading.Event(), threading.Event()

    def work(_number: int) -> None:
        begun.set()
        gate.wait(10)

    crew = Crew(2)
    results = crew.each(work, range(5), stop)

    def stop_soon() -> None:
        begun.wait(5)
        stop.set()

    threading.Thread(target=stop_soon).start()
    asked = time.monotonic()
    with pytest.raises(StoppedError):
        next(results)
    assert time.monotonic() - asked < 1
    assert not crew.rests(0.01)
    gate.set()
    assert crew.rests(5)
