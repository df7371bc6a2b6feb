"""Who runs on a data folder: a file that its process keeps locked, so that its death by whatever cause frees it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from streambank.cli.errors import CommandError
from streambank.cli.filelock import lock
from streambank.cli.folder import DataFolder


@dataclass(frozen=True, slots=True)
class Running:
    """What the running process says of itself."""

    pid: int
    command: str
    mailbox_url: str | None = None


class RunningLock:
    """Held by the one ``up`` or ``demo`` of a folder; a context manager that lets it go."""

    def __init__(self, folder: DataFolder, command: str) -> None:
        """Take the lock.

        Raises:
            CommandError: another process has it; the message names it.
        """
        self._folder = folder
        self._file = os.open(folder.running, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not lock(self._file, wait=False):
            other = _read(self._file)
            os.close(self._file)
            raise CommandError(_refusal(folder, other))
        self._running = Running(os.getpid(), command)
        self._write()

    def tell_mailbox(self, url: str) -> None:
        """Let other processes know where the mailbox is."""
        self._running = Running(self._running.pid, self._running.command, url)
        self._write()

    def close(self) -> None:
        """Let the folder go. The file stays, empty: removing it could take it from whoever locks it just now."""
        os.ftruncate(self._file, 0)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _write(self) -> None:
        content = json.dumps(asdict(self._running)).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)


def who_runs(folder: DataFolder) -> Running | None:
    """The process that runs on the folder now, if one does."""
    try:
        descriptor = os.open(folder.running, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, so that two who look do not take each other for the running process.
        if lock(descriptor, shared=True, wait=False):
            return None
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Running | None:
    try:
        found = json.loads(os.pread(descriptor, 1 << 16, 0))
        return Running(int(found["pid"]), str(found["command"]), found.get("mailbox_url"))
    except (ValueError, KeyError, TypeError):
        return None


def _refusal(folder: DataFolder, other: Running | None) -> str:
    who = f"`streambank {other.command}` (process {other.pid})" if other is not None else "another streambank"
    stop = f"stop it (kill {other.pid}), or" if other is not None else "stop it, or"
    return f"{who} is already running on {folder.path}: {stop} give this one another folder with --data"
