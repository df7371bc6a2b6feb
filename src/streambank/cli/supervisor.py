"""The parts of one process: each in a thread, stopped together, and the failure of one ends all.

1. Start every role's thread.
2. Until ``stop`` is set or a role ends, let the caller draw: ``tick`` is called from the calling thread.
3. Set the roles' own stop event, then interrupt each, so that none sleeps through it.
4. Wait for the threads, all together no longer than ``grace_s``.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import structlog

from streambank.cli.errors import EXIT_INTERRUPTED, RoleCrashedError, RoleFailedError
from streambank.errors import StreambankError

logger = structlog.get_logger(__name__)

GRACE_S = 0.6
"""How long stopping waits for the threads. Each returns within 0.3 s unless the operating system holds it; the whole
process is to be gone within a second."""

TICK_S = 0.2
"""How often the caller may draw: five times a second reads as live, and costs little."""


class Role(Protocol):
    """What one thread does."""

    @property
    def name(self) -> str:
        """The name of the part, for messages."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""

    def interrupt(self) -> None:
        """Called from another thread once ``stop`` is set: let :meth:`run` return now."""


def supervise(
    stop: threading.Event, roles: Sequence[Role], tick: Callable[[], None], *, grace_s: float = GRACE_S
) -> bool:
    """Run the roles until ``stop`` is set or one ends. True if every thread has ended, False if some were left behind.

    Raises:
        RoleFailedError, RoleCrashedError: a role stopped by an error.
    """
    stopping, ended = threading.Event(), threading.Event()
    failures: list[tuple[str, BaseException]] = []

    def work(role: Role) -> None:
        try:
            role.run(stopping)
        except BaseException as error:
            failures.append((role.name, error))
        ended.set()

    threads = [threading.Thread(target=work, args=(role,), name=role.name, daemon=True) for role in roles]
    for thread in threads:
        thread.start()
    try:
        while not stop.wait(TICK_S) and not ended.is_set():
            tick()
    finally:
        stopping.set()
        for role in roles:
            role.interrupt()
        all_ended = _join(threads, grace_s)
    if failures:
        name, error = failures[0]
        if isinstance(error, StreambankError):
            raise RoleFailedError(f"{name} stopped, and everything with it: {error}") from error
        raise RoleCrashedError(f"{name} stopped, and everything with it") from error
    return all_ended


def _join(threads: Sequence[threading.Thread], grace_s: float) -> bool:
    deadline = time.monotonic() + grace_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    held = [thread.name for thread in threads if thread.is_alive()]
    if held:
        logger.warning("left behind: the operating system still holds a thread", threads=held)
    return not held


@contextmanager
def stop_on_signals(
    stop: threading.Event, signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
) -> Iterator[None]:
    """Let the signals set ``stop``; a second one ends the process at once."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(EXIT_INTERRUPTED)
        stop.set()

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
