"""Some seeds of the simulator, each whole; that a seed says what happens; and that faults do not go unseen."""

import os
import subprocess
import sys

import pytest
from tests.simulation.seeds import SEEDS, Seed
from tests.simulation.simulation import simulate


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_seed(seed: Seed) -> None:
    outcome = simulate(seed.seed, seed.hours)
    assert outcome.hours >= seed.hours
    assert outcome.counts["done"] > 50
    assert outcome.counts["looked"] > 50


def test_the_same_seed_is_the_same_run() -> None:
    program = "from tests.simulation.simulation import simulate; print(simulate(7, 40).digest)"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            # Sets of texts are in another order in each.
            env={**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""


def test_another_seed_is_another_run() -> None:
    assert simulate(7, 5).digest != simulate(8, 5).digest
