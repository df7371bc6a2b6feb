"""Waking up whoever waits for records, in this process and in the others that share the folder.

Each process that waits binds a datagram socket in a private directory; after a commit the writer sends the names of
its topics to each of the others. A datagram may get lost or a socket be out of reach: a slow look at SQLite's
``data_version`` stands behind them, so that nobody waits for ever.
"""

import contextlib
import hashlib
import os
import selectors
import socket
import sqlite3
import stat
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Set
from pathlib import Path

FALLBACK_INTERVAL_S = 0.1
"""How often a process that waits looks at the file itself: the longest a lost datagram can delay it."""

NOTICE_BYTES_MAX = 4096
EVERYTHING, TOPICS = b"*", b"t"
"""A datagram: something happened to any topic; or the letter, and the names of topics with a line each."""

SOCKET_PATH_MAX_BYTES = 100
"""``sun_path`` has room for 104 bytes on macOS, 108 on Linux."""


class Signals:
    """Counts the commits that were noticed, by topic, and lets threads wait for the next of theirs.

    Not a ``threading.Condition``: Ctrl-C while that is being entered leaves it locked for every other thread.
    """

    def __init__(self, peers: "Peers | None" = None) -> None:
        self._mutex = threading.Lock()
        self._waiting: list[tuple[threading.Lock, Collection[str]]] = []
        self._by_topic: Counter[str] = Counter()
        self._everything = 0
        self._peers = peers

    def listen(self) -> None:
        """Hear other processes' commits from now on; to be called before the first look that a wait follows."""
        if self._peers is not None:
            self._peers.listen(self.stir)

    def ticket(self, topics: Collection[str]) -> int:
        """The count for those topics as of now; to be taken before looking for records."""
        by_topic = self._by_topic
        return self._everything + sum(by_topic[topic] for topic in topics)

    def wait(self, ticket: int, timeout_s: float, topics: Collection[str]) -> None:
        """Wait until something happened to one of the topics since ``ticket``, or the time is up."""
        alarm = threading.Lock()
        alarm.acquire()
        with self._mutex:
            if self.ticket(topics) != ticket:
                return
            self._waiting.append(waiter := (alarm, topics))
        try:
            alarm.acquire(timeout=timeout_s)
        finally:
            with self._mutex, contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    def stir(self, topics: Set[str] | None = None) -> None:
        """Wake the threads of this process that wait for one of the topics; None: all of them."""
        with self._mutex:
            if topics is None:
                self._everything += 1
            else:
                self._by_topic.update(topics)
            waiting, self._waiting = self._waiting, []
            for alarm, wanted in waiting:
                if topics is None or not topics.isdisjoint(wanted):
                    alarm.release()
                else:
                    self._waiting.append((alarm, wanted))

    def announce(self, topics: Set[str] | None = None) -> None:
        """Wake the waiting threads of every process. Called after a commit to those topics; None: all of them."""
        self.stir(topics)
        if self._peers is not None:
            self._peers.notify(topics)

    def close(self) -> None:
        """Wake everyone and stop listening."""
        if self._peers is not None:
            self._peers.close()
        self.stir()


class Peers:
    """The sockets of the processes that share a folder."""

    def __init__(self, folder: Path, log_id: str, process_id: str, watcher: Callable[[], sqlite3.Connection]) -> None:
        # The end of a UUIDv7 is its random part; short, since the path of a socket has little room.
        self._prefix = hashlib.sha256(log_id.encode()).hexdigest()[:12] + "."
        self._name = self._prefix + process_id[-12:]
        self._directory = _socket_directory(folder, len(self._name))
        self._watcher = watcher
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._receiver: socket.socket | None = None
        self._closed = False
        self._listed_at = 0
        self._paths: list[str] = []
        self._sender = _datagram_socket() if self._directory is not None else None

    def listen(self, on_commit: Callable[[Set[str] | None], None]) -> None:
        """Start to call ``on_commit`` from a thread after the commits of others, with their topics. Idempotent."""
        with self._mutex:
            if self._thread is not None or self._closed:
                return
            self._receiver = self._bind()
            connection = self._watcher()
            self._thread = threading.Thread(
                target=self._listen, args=(on_commit, connection), name="streambank-log-signals", daemon=True
            )
            self._thread.start()

    def notify(self, topics: Set[str] | None) -> None:
        """Tell each of the others, without ever waiting for one: of a commit to those topics; None: to any."""
        if self._directory is None or self._sender is None or not (others := self._others()):
            return
        notice = EVERYTHING if topics is None else TOPICS + "\n".join(topics).encode()
        for path in others:
            self._send(path, notice if len(notice) <= NOTICE_BYTES_MAX else EVERYTHING)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
        if self._thread is not None:
            if self._receiver is not None:
                self._send(f"{self._directory}/{self._name}", EVERYTHING)
            self._thread.join()
        for each in (self._receiver, self._sender):
            if each is not None:
                each.close()
        if self._receiver is not None:
            with contextlib.suppress(OSError):
                os.unlink(f"{self._directory}/{self._name}")

    def _others(self) -> list[str]:
        """The sockets of the others: looked up again when the directory has changed, since that is called a lot."""
        try:
            changed_at = os.stat(self._directory or "").st_mtime_ns
            if changed_at != self._listed_at:
                names = os.listdir(self._directory)
                self._paths = [
                    f"{self._directory}/{name}"
                    for name in names
                    if name.startswith(self._prefix) and name != self._name
                ]
                self._listed_at = changed_at
        except OSError:
            return []
        return self._paths

    def _send(self, path: str, notice: bytes) -> None:
        if self._sender is None:
            return
        try:
            self._sender.sendto(notice, path)
        except BlockingIOError:
            pass  # Its buffer is full: it is awake, and soon looks at the file itself.
        except (ConnectionRefusedError, FileNotFoundError):
            # Nobody has it bound: its process is gone, and its name never comes again.
            with contextlib.suppress(OSError):
                os.unlink(path)
        except OSError:
            pass  # The fallback reaches it.

    def _bind(self) -> socket.socket | None:
        if self._directory is None:
            return None
        receiver = _datagram_socket()
        try:
            receiver.bind(f"{self._directory}/{self._name}")
        except OSError:
            receiver.close()
            return None
        return receiver

    def _listen(self, on_commit: Callable[[Set[str] | None], None], connection: sqlite3.Connection) -> None:
        try:
            version, looked_at_s = _data_version(connection), time.monotonic()
            # What was committed while the thread started must not go unnoticed.
            on_commit(None)
            with selectors.DefaultSelector() as selector:
                if self._receiver is not None:
                    selector.register(self._receiver, selectors.EVENT_READ)
                while not self._closed:
                    heard = bool(selector.select(FALLBACK_INTERVAL_S))
                    topics = self._drain() if heard else None
                    if topics is not None and time.monotonic() < looked_at_s + FALLBACK_INTERVAL_S:
                        on_commit(topics)
                        continue
                    now, looked_at_s = _data_version(connection), time.monotonic()
                    if heard or now != version:
                        version = now
                        on_commit(None)
        finally:
            connection.close()

    def _drain(self) -> Set[str] | None:
        """Take all the notices there are; their topics, None for any. One look finds all the commits of a topic."""
        topics: set[str] = set()
        is_any = self._receiver is None
        with contextlib.suppress(BlockingIOError):
            while self._receiver is not None:
                notice = self._receiver.recv(NOTICE_BYTES_MAX)
                is_any |= not notice.startswith(TOPICS)
                topics.update(notice[len(TOPICS) :].decode().split("\n"))
        return None if is_any else topics


def _data_version(connection: sqlite3.Connection) -> int:
    try:
        return int(connection.execute("PRAGMA data_version").fetchone()[0])
    except sqlite3.Error:
        return -1


def _datagram_socket() -> socket.socket:
    created = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    created.setblocking(False)
    return created


def _socket_directory(folder: Path, name_bytes: int) -> Path | None:
    """A directory that only this user can enter and whose paths are short enough; None where there is none."""
    if sys.platform == "win32":
        return None
    inside = folder.absolute() / "wake"
    if len(os.fsencode(inside)) + 1 + name_bytes <= SOCKET_PATH_MAX_BYTES:
        inside.mkdir(mode=0o700, exist_ok=True)
        return inside
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    outside = base / f"streambank-{os.getuid()}"
    if len(os.fsencode(outside)) + 1 + name_bytes > SOCKET_PATH_MAX_BYTES:
        return None
    try:
        outside.mkdir(mode=0o700, exist_ok=True)
        found = outside.lstat()
    except OSError:
        return None
    # The directory for temporary files is everybody's: somebody else may have made this name first.
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return outside if private else None
