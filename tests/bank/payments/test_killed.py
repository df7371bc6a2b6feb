"""Both services as real processes, killed at random moments while they pay: no money is made, lost, or stuck."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.bank.payments.conftest import NewDatabases
from tests.bank.payments.judging import heal, judge, rows
from tests.bank.payments.support import made
from tests.bank.transactions.support import Ticker

from streambank.clock import system_clock
from streambank.service.database import database_url

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[3]
LIVES = 14


LOTS = 10**12
"""More than is ever paid: no limit of the bank's is to be in the way."""


class Nursery:
    """The process that forks the services, and what they have told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.transfers: list[str] = []
        self.pids: list[int] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, _, value = line.strip().partition(" ")
            # A line may be cut off by a kill.
            if what == "pid":
                self.pids.append(int(value))
            elif what == "transfer" and len(value) == 36:
                self.transfers.append(value)

    def bear(self, which: str) -> int:
        count = len(self.pids)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{which}\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + 30
        while len(self.pids) == count:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return self.pids[-1]

    def wait_for(self, count: int) -> None:
        """Wait until so many more transfers were made."""
        wanted, deadline = len(self.transfers) + count, time.monotonic() + 30
        while len(self.transfers) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reader.join(30)


def test_killed_at_random_moments(tmp_path: Path, new_databases: NewDatabases) -> None:
    chance = random.Random(20261130)
    databases = new_databases()
    clock = Ticker(system_clock())
    with made(tmp_path, *databases, "ada", "bob", clock=clock) as bank:
        accounts = {bank.open("ada", 20_000): "ada", bank.open("bob", 0): "bob"}
        bank.limit(per_transfer_minor=LOTS, per_day_minor=LOTS, per_day_count=LOTS, new_payee_minor=LOTS)
    places = [database_url(where).render_as_string(hide_password=False) for where in databases]
    command = [sys.executable, str(CHILD), str(tmp_path), *places, *accounts]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        nursery = Nursery(process)
        living: dict[str, int] = {}
        try:
            living |= {which: nursery.bear(which) for which in ("ledger", "payments")}
            for _ in range(LIVES):
                # Some die while they start, most in the middle of work.
                nursery.wait_for(chance.choice([0, 1, 5, 12]))
                time.sleep(chance.uniform(0.0, 0.2))
                which = chance.choice(["ledger", "payments"])
                os.kill(living[which], signal.SIGKILL)
                living[which] = nursery.bear(which)
            time.sleep(0.5)
        finally:
            # Else whoever waits for the nursery's end waits for ever.
            for pid in living.values():
                os.kill(pid, signal.SIGKILL)
            nursery.close()

    assert len(nursery.transfers) > 30
    clock.now_ms = system_clock()
    with made(tmp_path, *databases, clock=clock) as bank:
        heal(bank)
        there = {row.transfer_id for row in rows(bank)}
        assert set(nursery.transfers) <= there
        states = judge(bank, accounts, 20_000)
        assert len(states) >= 3, states
