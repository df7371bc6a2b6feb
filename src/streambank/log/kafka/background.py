"""Calls that another thread makes, and that can be left behind where they never return."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeAlias

_Calls: TypeAlias = "SimpleQueue[tuple[Future[None], Callable[[], None]] | None]"


class Background:
    """Makes one call after another in a thread of its own, which no process waits for at its end.

    The thread is there from the first call on, and ends when this is collected.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: _Calls = SimpleQueue()
        self._started = False

    def submit(self, call: Callable[[], None]) -> Future[None]:
        """Let the thread make the call after those before it."""
        if not self._started:
            self._started = True
            weakref.finalize(self, self._calls.put, None)
            threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True).start()
        future: Future[None] = Future()
        self._calls.put((future, call))
        return future


def _work(calls: _Calls) -> None:
    # Nothing of a call is kept while the next one is waited for: it may hold what it was made by.
    while _make(calls.get()):
        pass


def _make(item: tuple[Future[None], Callable[[], None]] | None) -> bool:
    if item is None:
        return False
    future, call = item
    try:
        call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(None)
    return True
