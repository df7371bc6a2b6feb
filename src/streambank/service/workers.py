"""The threads of a service: started together, stopped together, and the failure of one ends all."""

import threading
from collections.abc import Sequence
from typing import Protocol

import structlog

logger = structlog.get_logger(__name__)

GRACE_S = 0.25
"""How long a stopping service waits for its threads. Each returns at once when interrupted, unless the operating system
holds it (a name lookup, a connection being opened); such a one is left behind, and ends when it is let go."""

_WATCH_S = 0.05


class Worker(Protocol):
    """What one thread does."""

    @property
    def name(self) -> str:
        """The thread's name."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""

    def interrupt(self) -> None:
        """Called once ``stop`` is set: let :meth:`run` return now. Called from another thread."""


def run_workers(stop: threading.Event, workers: Sequence[Worker], *, grace_s: float = GRACE_S) -> None:
    """Run the workers, each in a thread, until ``stop`` is set. What a worker raises stops all and is raised here.

    ``grace_s``: how long it then waits for threads that do not return.
    """
    stopping, failed = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def work(worker: Worker) -> None:
        try:
            worker.run(stopping)
        except BaseException as error:
            failures.append(error)
            failed.set()

    threads = [threading.Thread(target=work, args=(worker,), name=worker.name, daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    while not stop.is_set() and not failed.is_set():
        # Waiting on one of two events: the stop is noticed at once, a failure within this time.
        stop.wait(_WATCH_S)
    stopping.set()
    for worker in workers:
        worker.interrupt()
    left_s = grace_s
    for thread in threads:
        thread.join(left_s)
        if thread.is_alive():
            left_s = 0.0
            logger.info("a thread is still held by the operating system and is left behind", thread=thread.name)
    if failures:
        raise failures[0]
