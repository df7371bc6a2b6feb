"""Processes that are started again when they end by themselves, and stopped with the first."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest
from tests.cli.support import (
    alerts_become_emails,
    members,
    running,
    streambank,
    topologies_and_notifications,
    wait_until,
)

from streambank.cli.errors import CommandError
from streambank.cli.processes import FAILURES_MAX, run_processes


def fail(_stop: threading.Event, folder: Path) -> None:
    """A child's work that fails at once, and leaves a file for each time."""
    (folder / f"{os.getpid()}").touch()
    os._exit(3)


@pytest.mark.slow
def test_a_process_that_fails_again_and_again_ends_all(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"process worker-1 has failed {FAILURES_MAX} times in a row: exit code 3"):
        run_processes(threading.Event(), fail, (tmp_path,), count=1, names="worker")
    assert len(list(tmp_path.iterdir())) == FAILURES_MAX


@pytest.mark.slow
def test_topologies_in_processes_of_their_own_with_one_killed(tmp_path: Path) -> None:
    with topologies_and_notifications(tmp_path) as (topologies, notifications):
        first = topologies.logged("process started")[0]["pid"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(topologies.logged("process started")) == 3, "another one in its place")
        assert topologies.logged("process ended, and is started again")[0]["how"] == "killed by SIGKILL"
        alerts_become_emails(tmp_path, notifications)
        topologies.stop()
        assert not any(os.path.exists(f"/proc/{line['pid']}") for line in topologies.logged("process started"))
    assert members(tmp_path / "data") == {}


@pytest.mark.slow
def test_processes_end_with_the_first_whatever_ends_it(tmp_path: Path) -> None:
    with running(tmp_path / "output", "run", "balances", "--processes", "2", data=tmp_path / "data") as topologies:
        wait_until(lambda: len(topologies.logged("partitions assigned")) >= 2, "both have joined")
        topologies.process.kill()
        pids = [line["pid"] for line in topologies.logged("process started")]
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "both have ended")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run"], "name what to run|requires an argument"),
        (["run", "nothing"], "balances"),
        (["run", "notifications", "-p", "2"], "run notifications by itself"),
        (["run", "alerts", "-p", "0"], "must be at least 1"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    done = streambank(*arguments, data=tmp_path)
    assert done.returncode == 2
    assert re.search(complaint, done.stderr), done.stderr
