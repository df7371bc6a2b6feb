"""The connections to a log's SQLite file, and who may use which when."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from streambank.log.embedded.locks import FairLock, FileLock, Turn
from streambank.log.embedded.schema import APPLICATION_ID, FORMAT_VERSION, PAGE_BYTES, TABLES, log_file
from streambank.log.errors import ClosedError, LogError, StorageCorruptError, StorageFullError, StorageVersionError

Synchronous: TypeAlias = Literal["FULL", "NORMAL", "OFF"]
"""SQLite's: FULL keeps every committed transaction when the machine crashes; NORMAL and OFF may lose the last ones."""

BUSY_TIMEOUT_S = 30.0
"""Writers queue for the file lock before they reach SQLite, so that only a checkpoint or a backup makes them wait."""

WAL_CHECKPOINT_PAGES = 4_000
WAL_KEPT_BYTES = 64 << 20
CACHE_KIB = 16_384

CACHED_STATEMENTS = 256
"""Those that write have a text for each number of rows."""

_WRITE_FAILED = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """One write connection behind a fair lock, and a pool of read connections.

    Without a folder: one connection in memory for everything, behind the same lock.
    """

    def __init__(self, folder: Path | None, synchronous: Synchronous, size_max_bytes: int | None) -> None:
        self.folder = folder
        self._synchronous = synchronous
        # What the write connection is set to; None: not known.
        self._is_durable: bool | None = None
        self._size_max_bytes = size_max_bytes
        self._lock = FairLock()
        self._mutex = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._process = os.getpid()
        self._file_lock: FileLock | None = None
        if folder is None:
            self._writer = self._connect()
            self._writer.executescript(TABLES)
        else:
            self._file_lock = FileLock(folder / "write.lock")
            try:
                with self._file_lock.held():
                    _create_or_check(log_file(folder))
                self._writer = self._connect()
            except BaseException:
                self._file_lock.close()
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading. Each statement sees what is committed when it starts."""
        self._check_open()
        if self.folder is None:
            turn = self._lock.acquire()
            try:
                self._check_open()
                with translated(self.folder):
                    _drop_leftover(self._writer)
                    yield self._writer
            finally:
                self._lock.release(turn)
            return
        connection = self._idle_connection()
        try:
            with translated(self.folder):
                yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._give_back(connection)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements all see the same state."""
        with self.read() as connection:
            connection.execute("BEGIN")
            # The snapshot is taken by the first read, not by BEGIN.
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that commits at the end of the block and is rolled back when it raises.

        One that is not ``durable`` is written to the write-ahead log like any other, but does not wait for the disk.
        """
        turn = self._lock.acquire()
        try:
            self._check_open()
            if self._file_lock is not None:
                self._file_lock.acquire()
            with translated(self.folder):
                yield from self._transaction(turn, durable)
        finally:
            if self._lock.holds(turn):
                if self._file_lock is not None and not self._closed:
                    self._file_lock.release()
                self._lock.release(turn)

    def _transaction(self, turn: Turn, durable: bool) -> Iterator[sqlite3.Connection]:
        connection = self._writer
        _drop_leftover(connection)
        try:
            if self._synchronous == "FULL" and durable != self._is_durable:
                # Not known while it is being set: Ctrl-C may come just then.
                self._is_durable = None
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._is_durable = durable
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back already (a full disk), or have committed just before Ctrl-C; and a block that
            # was interrupted may be finished only when another one has the connection.
            if self._lock.holds(turn) and connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def flush(self) -> None:
        """Wait until every committed transaction is on the disk.

        All of them are in the write-ahead log, or were synced with the database file when they left it.
        """
        self._check_open()
        if self.folder is None or self._synchronous == "OFF":
            return
        try:
            descriptor = os.open(f"{log_file(self.folder)}-wal", os.O_RDONLY)
        except FileNotFoundError:
            return  # All of it is in the database file.
        try:
            getattr(os, "fdatasync", os.fsync)(descriptor)
        finally:
            os.close(descriptor)

    def connect_watcher(self) -> sqlite3.Connection:
        """A connection of its own for whoever asks; it closes it itself."""
        with translated(self.folder):
            return self._connect()

    def close(self) -> None:
        """Close every connection, after the transaction that may be under way. Idempotent."""
        turn = self._lock.acquire()
        try:
            if self._closed:
                return
            with self._mutex:
                self._closed = True
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            self._writer.close()
            if self._file_lock is not None:
                self._file_lock.close()
        finally:
            self._lock.release(turn)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the log is closed; open it again")
        if os.getpid() != self._process:
            raise ClosedError("this process was forked after the log was opened; open the log again in the child")

    def _connect(self) -> sqlite3.Connection:
        target = ":memory:" if self.folder is None else str(log_file(self.folder))
        connection = sqlite3.connect(
            target,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
        )
        try:
            if self.folder is None:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
            if self._size_max_bytes is not None:
                connection.execute(f"PRAGMA max_page_count = {max(1, self._size_max_bytes // PAGE_BYTES)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _idle_connection(self) -> sqlite3.Connection:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        with translated(self.folder):
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._mutex:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _drop_leftover(connection: sqlite3.Connection) -> None:
    """Roll back what a block left behind that was interrupted before it could end its transaction."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def translated(folder: Path | None) -> Iterator[None]:
    """Raise SQLite's errors as the log's."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, "memory" if folder is None else str(folder)) from error


def _translate(error: sqlite3.Error, place: str) -> LogError:
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_FULL or code in _WRITE_FAILED:
        return StorageFullError(
            f"no space left for the log in {place}: nothing was written; free some space or raise the size limit,"
            " then try again"
        )
    if code & 0xFF in _DAMAGED:
        return StorageCorruptError(f"the log in {place} is damaged ({error}); restore the folder from a backup")
    if code & 0xFF == sqlite3.SQLITE_BUSY:
        return LogError(
            f"the log in {place} stayed locked for {BUSY_TIMEOUT_S:.0f} s; see which other program has it open"
        )
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error).lower():
        return ClosedError("the log is closed; open it again")
    return LogError(f"the log in {place} cannot be used: {error}")


def _create_or_check(path: Path) -> None:
    if not path.exists():
        _create(path)
        return
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise LogError(f"{path} cannot be opened: {error}") from error
    try:
        _check_format(connection, path)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise StorageVersionError(
                f"{path} is damaged or not a streambank log ({error}); choose another folder or restore a backup"
            ) from error
        raise _translate(error, str(path.parent)) from error
    finally:
        connection.close()


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StorageVersionError(f"{path} is not a streambank log; choose another folder")
    if version != FORMAT_VERSION:
        raise StorageVersionError(
            f"{path} has format {version}, this streambank reads format {FORMAT_VERSION};"
            " use the version that wrote it, or choose another folder"
        )
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    wal = path.with_name(path.name + "-wal")
    if path.stat().st_size < pages * PAGE_BYTES and not (wal.exists() and wal.stat().st_size):
        raise StorageVersionError(f"{path} is truncated; restore the folder from a backup")
    connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()


def _create(path: Path) -> None:
    """Make the file under another name first: what bears the log's name is complete, whenever the machine stops."""
    new = path.with_name(path.name + ".new")
    for leftover in path.parent.glob(new.name + "*"):
        leftover.unlink()
    with translated(path.parent):
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(TABLES)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        finally:
            connection.close()
    new.chmod(0o600)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
