"""The command as a real process, and as a call within this one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANY_PORTS = ("--api-port", "0", "--port", "0", "--mailbox-smtp-port", "0")

START_S = 30.0
"""How long a process may take to be ready on a busy machine."""

STOP_S = 1.0
"""How long a process may take to end after a signal."""

STATEMENT = """\
Date,Description,Amount,Balance
2026-01-02,Salary,1500.00,1700.00
2026-01-15,Rent,-1200.00,500.00
2026-01-28,Groceries,-450.50,49.50
2026-02-02,Salary,1500.00,1549.50
2026-02-05,Rent,-1520.00,29.50
"""
"""Falls below 100.00 twice."""

IMPORT_OPTIONS = ("--email", "ann@example.org", "--name", "Ann Lee", "--currency", "EUR", "--account", "Everyday")


def environment(data: Path | None = None) -> dict[str, str]:
    """This process's environment, without what would change the output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STREAMBANK_", "NO_COLOR"))}
    kept |= {"PYTHONUNBUFFERED": "1", "COLUMNS": "100", "TZ": "UTC"}
    return kept | ({"STREAMBANK_HOME": str(data)} if data is not None else {})


def streambank(
    *arguments: str, data: Path | None = None, text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "streambank", *arguments],
        env=environment(data) | dict(env or {}),
        input=text,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
    """Wait for the condition."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


@dataclass
class Process:
    """A running command, with its output in files."""

    process: subprocess.Popen[bytes]
    stdout_path: Path
    stderr_path: Path

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_text()

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log that tell of ``event``."""
        lines = (json.loads(line) for line in self.stderr.splitlines() if line.startswith("{") and line.endswith("}"))
        return [line for line in lines if line["event"] == event]

    def stop(self, number: int = signal.SIGINT) -> float:
        """Send the signal; how many seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(START_S)
        return time.monotonic() - began


@contextmanager
def running(folder: Path, *arguments: str, data: Path | None = None) -> Iterator[Process]:
    """A process in the background; killed at the end if it still runs."""
    folder.mkdir(exist_ok=True, parents=True)
    number = len(list(folder.glob("*.out")))
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "streambank", *arguments],
            env=environment(data),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield Process(process, out, err)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def up(data: Path, *arguments: str) -> Iterator[Process]:
    """``streambank up`` on free ports, once it runs."""
    with running(data.parent / "output", "up", *ANY_PORTS, *arguments, data=data) as process:
        wait_until(lambda: bool(process.logged("running")) or process.process.poll() is not None, "up runs")
        assert process.process.poll() is None, process.stderr
        yield process


def stops_in_time(attempt: Callable[[], float], within_s: float = STOP_S) -> None:
    """A stop takes less than that. Other programs on the machine may be in the way; not three times in a row."""
    times_s: list[float] = []
    while len(times_s) < 3:
        times_s.append(attempt())
        if times_s[-1] < within_s:
            return
    raise AssertionError(f"it took {times_s} s to stop")


def statement(folder: Path) -> Path:
    """The statement as a file."""
    path = folder / "statement.csv"
    path.write_text(STATEMENT)
    return path


@contextmanager
def topologies_and_notifications(folder: Path, *log: str) -> Iterator[tuple[Process, Process]]:
    """The bank in several processes, once all have joined their groups; ``log``: the option that says on which log."""
    data, mail = folder / "data", ("--api-port", "0", "--port", "0", "--mailbox-smtp-port", "0")
    topologies = ("run", "balances", "alerts", "--processes", "2", "--threads", "2")
    with (
        running(folder / "topologies", *topologies, *log, data=data) as first,
        running(folder / "notifications", "run", "notifications", *mail, *log, data=data) as second,
    ):
        expected = {"balances": 4, "alerts": 4, "notifications": 1}
        # Three processes start, and on Kafka each question of this asks the brokers anew.
        wait_until(lambda: members(data, *log) == expected, "all have joined", 4 * START_S)
        yield first, second


def members(data: Path, *log: str) -> dict[str, int]:
    """How many members each group has that has any."""
    listed = streambank("lag", "-o", "json", *log, data=data)
    return {group["group"]: group["members"] for group in json.loads(listed.stdout or "[]") if group["members"]}


def alerts_become_emails(folder: Path, notifications: Process, *log: str) -> None:
    """Import the statement, and wait for the e-mails that follow from it."""
    options = (*IMPORT_OPTIONS, "--live", "--alert-below", "100", "--yes")
    imported = streambank("import", str(statement(folder)), *options, *log, data=folder / "data")
    assert imported.returncode == 0, imported.stderr
    wait_until(lambda: len(notifications.logged("e-mail sent")) == 2, "two e-mails")
