"""Several things at once, in threads that nobody has to wait for: a process that ends leaves them behind."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from streambank.cli.demo.errors import StoppedError

STOP_LOOK_S = 0.05
"""How often whoever waits for the crew looks whether to stop."""

T = TypeVar("T")
R = TypeVar("R")


class Crew:
    """At most ``at_once_max`` threads, for one caller at a time."""

    def __init__(self, at_once_max: int) -> None:
        self._at_once_max = at_once_max
        self._threads: list[threading.Thread] = []

    def each(self, work: Callable[[T], R], items: Iterable[T], stop: threading.Event) -> Iterator[R]:
        """What ``work`` makes of each, in the order in which it is done. The first failure ends what has not begun.

        Raises:
            StoppedError: ``stop`` was set; what is under way is left to itself.
        """
        waiting = deque(items)
        done: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()

        def work_off() -> None:
            while not stop.is_set():
                try:
                    item = waiting.popleft()
                except IndexError:
                    return
                future: Future[R] = Future()
                try:
                    future.set_result(work(item))
                except BaseException as error:
                    future.set_exception(error)
                done.put(future)

        count = len(waiting)
        self._threads = [
            threading.Thread(target=work_off, name=f"demo-{number}", daemon=True)
            for number in range(min(self._at_once_max, count))
        ]
        for thread in self._threads:
            thread.start()
        try:
            for _ in range(count):
                yield _next(done, stop).result()
        finally:
            waiting.clear()

    def rests(self, within_s: float) -> bool:
        """Whether everything that was under way has ended, or does within that time."""
        deadline_s = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


def _next(done: queue.SimpleQueue[Future[R]], stop: threading.Event) -> Future[R]:
    while True:
        check_stop(stop)
        try:
            return done.get(timeout=STOP_LOOK_S)
        except queue.Empty:
            continue


def check_stop(stop: threading.Event) -> None:
    """Raise StoppedError if it is set."""
    if stop.is_set():
        raise StoppedError
