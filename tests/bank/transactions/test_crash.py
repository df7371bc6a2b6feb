"""The service is killed at random moments while eight threads post: what was answered is there, once, in order."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from sqlalchemy.engine import URL
from tests.bank.transactions.support import Bench, Ticker, made

from streambank.clock import system_clock
from streambank.service.database import database_url

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[3]
LIVES, ACCOUNTS = 10, 8


def test_killed_at_random_moments(tmp_path: Path, where: Path | URL) -> None:
    chance = random.Random(20261129)
    with made(tmp_path, where, "ada", clock=Ticker(system_clock())) as bench:
        accounts = [bench.open(overdraft_limit_minor=None) for _ in range(ACCOUNTS)]
        bench.settle()
    answered: list[tuple[str, str]] = []
    at = database_url(where).render_as_string(hide_password=False)
    command = [sys.executable, str(CHILD), str(tmp_path), at, *accounts]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(LIVES):
            process.stdin.write("live\n")
            process.stdin.flush()
            pid = int(process.stdout.readline().split()[1])
            # Some die while they start, most in the middle of work.
            at_most = chance.choice([0, 1, 30, 60, 90])
            answered += [told for _ in range(at_most) if (told := _answer(process.stdout.readline())) is not None]
            time.sleep(chance.uniform(0.0, 0.05))
            os.kill(pid, signal.SIGKILL)
            while (told_line := process.stdout.readline()) != "dead\n":
                told = _answer(told_line)
                if told is not None:
                    answered.append(told)
        process.stdin.close()

    assert len(answered) > 100
    with made(tmp_path, where, clock=Ticker(system_clock())) as bench:
        check(bench, accounts, answered)


def check(bench: Bench, accounts: list[str], answered: list[tuple[str, str]]) -> None:
    bench.settle()
    assert bench.faults() == []
    published = bench.published()
    assert max(Counter(event.entry_id for event in published).values()) == 1
    there = {(event.account_id, event.entry_id) for event in published}
    assert set(answered) <= there
    for account in accounts:
        mine = [event for event in published if event.account_id == account]
        assert [event.account_seq for event in mine] == list(range(1, len(mine) + 1))
        balance = bench.balance(account)
        assert balance.last_seq == len(mine)
        assert balance.booked_minor == sum(e.signed_minor for e in mine if e.status.value == "BOOK")


def _answer(line: str) -> tuple[str, str] | None:
    """The account and the entry; nothing if the line was cut off by a kill."""
    account, _, entry = line.strip().partition(" ")
    return (account, entry) if len(entry) == 36 else None
