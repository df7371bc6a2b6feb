"""A process killed with SIGKILL at random moments, again and again, leaves what an undisturbed run leaves."""

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.streams import workload
from tests.streams.worker import CONFIG

from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner

ROOT = Path(__file__).parents[2]
RECORDS = 2_500
KILLS = 15
SEED = 20_260


def finish(log: EmbeddedLog) -> None:
    runner = StreamRunner(workload.build(), log, CONFIG)
    while not workload.done(log, CONFIG.application_id):
        runner.step()
    runner.close()


def run_and_kill(folder: Path, after_s: float) -> None:
    command = [sys.executable, "-m", "tests.streams.worker", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("running" in line for line in process.stdout)
        time.sleep(after_s)
        process.kill()


def test_killed_at_random_moments(tmp_path: Path) -> None:
    with EmbeddedLog.open(None) as undisturbed:
        workload.write_inputs(undisturbed, RECORDS)
        finish(undisturbed)
        expected = workload.outcome(undisturbed)
    with EmbeddedLog.open(tmp_path / "log", synchronous="OFF") as log:
        workload.write_inputs(log, RECORDS)
    chance = random.Random(SEED)
    unfinished = 0
    for _ in range(KILLS):
        run_and_kill(tmp_path / "log", after_s=chance.uniform(0.0, 0.12))
        with EmbeddedLog.open(tmp_path / "log", synchronous="OFF") as log:
            unfinished += not workload.done(log, CONFIG.application_id)
    assert unfinished > KILLS // 2, "most kills came after the work was over: give it more records"
    with EmbeddedLog.open(tmp_path / "log", synchronous="OFF") as log:
        finish(log)
        assert workload.outcome(log) == expected
