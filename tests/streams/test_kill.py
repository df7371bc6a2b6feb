"""A process killed with SIGKILL at random moments, again and again, leaves what an undisturbed run leaves."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.streams import workload
from tests.streams.worker import config

from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner

ROOT = Path(__file__).parents[2]
APPLICATION = "app"
RECORDS = 2_500
SEED = 20_260


def finish(log: EmbeddedLog, state_dir: Path | None = None) -> None:
    runner = StreamRunner(workload.build(), log, config(state_dir))
    while not workload.done(log, APPLICATION):
        runner.step()
    runner.close()


def run_and_kill(folders: list[Path], after_s: float) -> None:
    command = [sys.executable, "-m", "tests.streams.worker", *map(str, folders)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("running" in line for line in process.stdout)
        time.sleep(after_s)
        process.kill()


@pytest.mark.parametrize(("store", "kills"), [("memory", 15), ("disk", 8)])
def test_killed_at_random_moments(store: str, kills: int, tmp_path: Path) -> None:
    state_dir = tmp_path / "state" if store == "disk" else None
    folders = [tmp_path / "log", *([state_dir] if state_dir else [])]
    with EmbeddedLog.open(None) as undisturbed:
        workload.write_inputs(undisturbed, RECORDS)
        finish(undisturbed)
        expected = workload.outcome(undisturbed)
    with EmbeddedLog.open(tmp_path / "log", synchronous="OFF") as log:
        workload.write_inputs(log, RECORDS)
    chance = random.Random(SEED)
    unfinished = 0
    for _ in range(kills):
        run_and_kill(folders, after_s=chance.uniform(0.0, 0.12))
        with EmbeddedLog.open(tmp_path / "log", synchronous="OFF") as log:
            unfinished += not workload.done(log, APPLICATION)
    assert unfinished > kills // 2, "most kills came after the work was over: give it more records"
    with EmbeddedLog.open(tmp_path / "log", synchronous="OFF") as log:
        finish(log, state_dir)
        assert workload.outcome(log) == expected
