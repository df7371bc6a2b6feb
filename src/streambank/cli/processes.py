"""The same work in several processes of this machine: one that ends by itself is started again.

1. Start every process; each leaves Ctrl-C to this one, and stops when this one is gone.
2. Where one ends, start another after a pause that doubles with each failure in a row.
3. When ``stop`` is set, tell all to stop, and wait for them; after ``STOP_S`` they are killed.
"""

from __future__ import annotations

import multiprocessing
import random as random_module
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

import structlog

from streambank.cli import logs
from streambank.cli.errors import CommandError, report
from streambank.cli.supervisor import TICK_S, stop_on_signals
from streambank.service.backoff import Backoff, RandomFraction

logger = structlog.get_logger(__name__)

STOP_S = 10.0
"""Longer than a process waits for its own threads."""

_PAUSES = Backoff(first_ms=1_000, most_ms=30_000)

FAILURES_MAX = 5
"""So many failures in a row are no accident."""

STEADY_S = 60.0
"""A process that ran for so long has not failed in a row with the one before."""

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class _Place:
    """One of the processes, or the pause before the next one."""

    name: str
    process: BaseProcess | None = None
    started_s: float = 0.0
    start_at_s: float = 0.0
    failures: int = 0


def run_processes(
    stop: threading.Event,
    work: Callable[..., None],
    arguments: Sequence[Any],
    *,
    count: int,
    names: str,
    random: RandomFraction = random_module.random,
) -> None:
    """Run ``work(stop, *arguments)`` in ``count`` processes until ``stop`` is set; all of it can be pickled.

    Raises:
        CommandError: one failed ``FAILURES_MAX`` times in a row; the others were stopped.
    """
    places = [_Place(f"{names}-{number + 1}") for number in range(count)]
    try:
        while not stop.is_set():
            now_s = time.monotonic()
            for place in places:
                if place.process is None and now_s >= place.start_at_s:
                    _start(place, work, arguments)
            running = {p.process.sentinel: (p, p.process) for p in places if p.process is not None}
            for sentinel in wait(list(running), TICK_S):
                place, process = running[sentinel]  # type: ignore[index]
                _ended(place, process, random)
    finally:
        _stop([place.process for place in places if place.process is not None])


def _start(place: _Place, work: Callable[..., None], arguments: Sequence[Any]) -> None:
    place.process = _SPAWN.Process(target=_run, args=(work, arguments), name=place.name)
    place.process.start()
    place.started_s = time.monotonic()
    logger.info("process started", name=place.name, pid=place.process.pid)


def _ended(place: _Place, process: BaseProcess, random: RandomFraction) -> None:
    process.join()
    now_s, code = time.monotonic(), process.exitcode
    place.failures = 1 if now_s - place.started_s >= STEADY_S else place.failures + 1
    place.process = None
    if place.failures >= FAILURES_MAX:
        raise CommandError(f"process {place.name} has failed {FAILURES_MAX} times in a row: {_how(code)}")
    pause_s = _PAUSES.delay_ms(place.failures, random) / 1000
    place.start_at_s = now_s + pause_s
    logger.warning("process ended, and is started again", name=place.name, how=_how(code), after_s=pause_s)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _stop(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            logger.warning("process does not stop, and is killed", name=process.name, pid=process.pid)
            process.kill()
            process.join()


def _run(work: Callable[..., None], arguments: Sequence[Any]) -> None:
    """In the new process."""
    # On a terminal Ctrl-C reaches all of them; the first process tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure()
    stop = threading.Event()
    threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
    try:
        with stop_on_signals(stop, (signal.SIGTERM,)):
            work(stop, *arguments)
    except Exception as error:
        sys.exit(report(error))


def _watch_parent(stop: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.set()
