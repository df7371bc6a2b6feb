"""The threads of a service: started together, stopped together, and the failure of one ends all.

One that its database fails runs again after a pause: a server that restarts, or another process that held the file for
too long, is no reason to stop.
"""

import random as random_module
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import structlog

from streambank.service.backoff import Backoff, RandomFraction
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError

logger = structlog.get_logger(__name__)

GRACE_S = 0.25
"""How long a stopping service waits for its threads. Each returns at once when interrupted, unless the operating system
holds it (a name lookup, a connection being opened); such a one is left behind, and ends when it is let go."""

_WATCH_S = 0.05

_OUTAGE = Backoff(first_ms=500, most_ms=15_000)
"""A server that restarts is back within seconds; one that was moved is asked for four times a minute."""

_STEADY_S = 60.0
"""A worker that ran for so long has not failed in a row with the time before."""


class Worker(Protocol):
    """What one thread does."""

    @property
    def name(self) -> str:
        """The thread's name."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. Called again after it raised what a database's outage raises."""

    def interrupt(self) -> None:
        """Called once ``stop`` is set: let :meth:`run` return now. Called from another thread."""


def run_workers(
    stop: threading.Event,
    workers: Sequence[Worker],
    *,
    grace_s: float = GRACE_S,
    random: RandomFraction = random_module.random,
) -> None:
    """Run the workers, each in a thread, until ``stop`` is set. What a worker raises stops all and is raised here.

    Except for DatabaseUnavailableError and DatabaseBusyError, after which it runs again. ``grace_s``: how long it waits
    in the end for threads that do not return.
    """
    stopping, failed = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def work(worker: Worker) -> None:
        try:
            _run_through_outages(worker, stopping, random)
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


def _run_through_outages(worker: Worker, stop: threading.Event, random: RandomFraction) -> None:
    failures = 0
    while True:
        started_s = time.monotonic()
        try:
            worker.run(stop)
            return
        except (DatabaseUnavailableError, DatabaseBusyError) as error:
            failures = 1 if time.monotonic() - started_s >= _STEADY_S else failures + 1
            wait_ms = _OUTAGE.delay_ms(failures, random)
            logger.error("a worker waits for its database", worker=worker.name, reason=str(error), next_try_ms=wait_ms)
        if stop.wait(wait_ms / 1000):
            return
