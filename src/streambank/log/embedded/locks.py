"""Locks: a fair one between threads, and ``flock`` between processes.

``flock`` lets waiting processes queue in the kernel, where SQLite alone would have them sleep and try again. It belongs
to the open file, so that the kernel releases it whatever way its process ends. On systems without it, locks between
processes always succeed: SQLite's own locks then keep the data right, and only the time-outs find dead members.
"""

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

    def _flock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(descriptor, mode)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

else:

    def _flock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
        return True

    def _unlock(descriptor: int) -> None:
        pass


PROCESS_LOCKS = sys.platform != "win32"
"""Whether the end of another process shows at once."""


class Turn:
    """One thread's place in a :class:`FairLock`."""

    __slots__ = ("thread", "wake")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.wake: threading.Lock | None = None


class FairLock:
    """A lock that goes to the waiting threads in the order they came.

    Not reentrant. A thread that holds the lock and comes again was interrupted (Ctrl-C) before it could release it:
    it takes the lock over, so that an interrupted program can still close what it opened.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owner: Turn | None = None
        self._queue: deque[Turn] = deque()

    def acquire(self) -> Turn:
        """Wait for the lock."""
        turn = Turn(threading.get_ident())
        with self._mutex:
            if self._owner is None or self._owner.thread == turn.thread:
                self._owner = turn
                return turn
            turn.wake = threading.Lock()
            turn.wake.acquire()
            self._queue.append(turn)
        try:
            turn.wake.acquire()
        except BaseException:
            self.release(turn)
            raise
        return turn

    def release(self, turn: Turn) -> None:
        """Hand the lock to whoever has waited longest. Gives up a turn that still waits; ignores one that is over."""
        with self._mutex:
            if self._owner is not turn:
                with contextlib.suppress(ValueError):
                    self._queue.remove(turn)
                return
            self._owner = self._queue.popleft() if self._queue else None
            if self._owner is not None and self._owner.wake is not None:
                self._owner.wake.release()

    def holds(self, turn: Turn) -> bool:
        """Whether that turn has the lock now."""
        return self._owner is turn


class FileLock:
    """An exclusive ``flock`` on a file that is made if need be."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        """Wait for the lock, in the kernel."""
        _flock(self._descriptor)

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""
        return _flock(self._descriptor, wait=False)

    def release(self) -> None:
        """Release the lock; without effect where it is not held."""
        _unlock(self._descriptor)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for a block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def close(self) -> None:
        """Release the lock and close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class ProcessLock:
    """Shows that a process is alive: the lock on its file is held for as long as it is."""

    def __init__(self, folder: Path, process_id: str) -> None:
        self._path = folder / f"{process_id}.lock"
        while True:
            self._file = FileLock(self._path)
            # Whoever looks at the file before it is locked takes it for a dead process's and removes it.
            if self._file.try_acquire() and self._path.exists():
                return
            self._file.close()

    def close(self) -> None:
        """Show that the process is gone."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._file.close()


def process_is_alive(folder: Path, process_id: str) -> bool:
    """Whether another process still holds its lock. A dead one's file is removed."""
    if not PROCESS_LOCKS:
        return True
    path = folder / f"{process_id}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at the same time do not take each other for the living process.
        if not _flock(descriptor, shared=True, wait=False):
            return True
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
