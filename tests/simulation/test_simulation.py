"""Some seeds of the simulator, each whole; that a seed says what happens; and that faults do not go unseen."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from tests.simulation.seeds import SEEDS, Seed
from tests.simulation.simulation import SimulationFailedError, simulate

from streambank.bank import crossing
from streambank.bank.events import SavingsGoal
from streambank.bank.notifications import repository
from streambank.bank.personalization import thresholds
from streambank.bank.topologies import entries, goal_keeping, goal_progress
from streambank.bank.topologies.goal_progress import Standing
from streambank.bank.transactions import ledger
from streambank.service.http import idempotency
from streambank.service.outbox import OutboxRelay


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


def _begin_untold(*what: Any) -> Standing:
    return replace(_BEGIN(*what), told=())


_BEGIN = goal_progress.begin


def _all_saved(_plan: SavingsGoal, accounts: Mapping[str, tuple[str, int]]) -> int:
    return sum(minor for _, minor in accounts.values())


@pytest.mark.parametrize(
    ("where", "name", "broken"),
    [
        pytest.param(ledger, "check_funds", lambda account, debit: None, id="limits do not hold"),
        pytest.param(crossing, "arms", lambda threshold, balance: True, id="thresholds arm too early"),
        pytest.param(thresholds, "_definitions", lambda *_: [], id="thresholds are answered, and not published"),
        pytest.param(goal_progress, "begin", _begin_untold, id="a new goal tells of what was so before"),
        pytest.param(goal_keeping, "_saved", _all_saved, id="a goal counts what is on other accounts"),
        pytest.param(entries, "MOVED_ABOUT", frozenset(), id="moving money about is income"),
        pytest.param(OutboxRelay, "_published_position", lambda relay: 0, id="what was published is published again"),
        pytest.param(idempotency, "_stored", lambda connection, requests: {}, id="a retry does it again"),
        pytest.param(repository, "recover", lambda connection, places, gone: 0, id="a sender's death loses its e-mail"),
    ],
)
def test_what_is_broken_is_seen(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, broken: Any) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(SimulationFailedError, match=r"again: make sim SEED=\d+ HOURS="):
        _simulate_some()


def _simulate_some() -> None:
    # 10 was the first that saw an e-mail lost.
    for seed in (10, *range(1, 31)):
        simulate(seed, 100)
