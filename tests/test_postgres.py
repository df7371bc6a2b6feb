"""The tests' own PostgreSQL server."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tests.postgres
from tests.postgres import NoServerError, PostgresServer, postgres_or_skip

ROOT = Path(__file__).parents[1]
START = """
import time
from tests.postgres import postgres_or_skip
with postgres_or_skip() as server:
    print(server.url("postgres").query["host"], flush=True)
    time.sleep(600)
"""


def test_who_is_killed_leaves_no_server_behind(postgres: PostgresServer) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        child.kill()
    deadline = time.monotonic() + 30
    while folder.exists() or alive(server):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert postgres.execute("SELECT 1") == [(1,)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_server_tests_are_skipped_but_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    def none(_: str | None) -> Path:
        raise NoServerError("there is none")

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(tests.postgres, "_bin_folder", none)
    with pytest.raises(outcome, match="there is none"), postgres_or_skip():
        pass
