"""From the append of an entry to the mail server's 250.

Measured are the main job alone, in this process and shared out as ``streambank run`` does it, and all that ``up`` runs,
in this process. Entries come in at a fixed rate, for many accounts; some of them cross their account's threshold, each
for an account of its own, and have to become an e-mail. The time of the 250 is EmailSent.sent_at, taken when the server
has answered.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

from benchmarks.post_to_email import bank
from streambank.bank.events import (
    ACCOUNT_THRESHOLDS,
    BALANCE_CHANGED,
    EMAIL_SENT,
    USER_PROFILE,
    AccountThresholds,
    BalanceChanged,
    CreditDebit,
    Currency,
    Direction,
    Scope,
    Threshold,
    UserProfile,
)
from streambank.bank.reading import batches
from streambank.cli.folder import DataFolder
from streambank.cli.platform import ROLES, Platform
from streambank.log import EventLog, Transaction, open_log

ALERTS_PER_S = 20
"""Of the entries, so many a second cross a threshold; the others leave their account where it was, above."""

MAIN_JOB = ("balances", "alerts", "notifications")

APART = (
    ("run", "notifications", "--api-port", "0", "--port", "0", "--mailbox-smtp-port", "0"),
    ("run", "balances", "alerts"),
)
"""The main job in two processes; the entries are written by this one."""

Running: TypeAlias = Callable[[Path], AbstractContextManager[EventLog]]
"""Starts the bank with its data in a folder; its log."""

START = datetime(2026, 1, 1, tzinfo=UTC)


class Load:
    """Accounts that start above their threshold, and entries for them."""

    def __init__(self, log: EventLog, accounts: int) -> None:
        self._producer = log.producer()
        self._seq = dict.fromkeys((f"account-{n:06d}" for n in range(accounts)), 0)
        with self._producer.transaction() as transaction:
            for account in self._seq:
                profile = UserProfile(
                    user_id=account,
                    occurred_at=START,
                    recorded_at=START,
                    event_id=account,
                    email=f"{account}@example.org",
                    name="Someone",
                )
                USER_PROFILE.write(transaction, account, profile, profile.timestamp)
                watched = AccountThresholds(
                    user_id=account,
                    occurred_at=START,
                    recorded_at=START,
                    event_id=account,
                    scope=Scope.ACCOUNT,
                    scope_id=account,
                    currency=Currency("EUR"),
                    thresholds=(Threshold(threshold_id=account, direction=Direction.BELOW, level_minor=100_00),),
                )
                ACCOUNT_THRESHOLDS.write(transaction, account, watched, watched.timestamp)
                self._write(transaction, account, 1_000_00)

    def append(self, account: str, signed_minor: int) -> None:
        """Append one entry, in a transaction of its own."""
        with self._producer.transaction() as transaction:
            self._write(transaction, account, signed_minor)

    def _write(self, transaction: Transaction, account: str, signed_minor: int) -> None:
        self._seq[account] += 1
        now = datetime.now(UTC)
        entry = BalanceChanged(
            user_id=account,
            occurred_at=now,
            recorded_at=now,
            entry_id=f"{account}/{self._seq[account]}",
            account_id=account,
            account_seq=self._seq[account],
            credit_debit=CreditDebit.CREDIT if signed_minor >= 0 else CreditDebit.DEBIT,
            amount_minor=abs(signed_minor),
            currency=Currency("EUR"),
            booking_date=date(2026, 1, 1),
            counterparty="Supermarket",
        )
        BALANCE_CHANGED.write(transaction, account, entry, entry.timestamp)


@contextmanager
def together(folder: Path, roles: Sequence[str]) -> Iterator[EventLog]:
    """These roles, in this process."""
    stop = threading.Event()
    with Platform(DataFolder(folder), "bench", roles=roles) as running:
        thread = threading.Thread(target=running.run, args=(stop, lambda: None))
        thread.start()
        try:
            yield running.log
        finally:
            stop.set()
            thread.join()


@contextmanager
def apart(folder: Path, commands: Sequence[Sequence[str]]) -> Iterator[EventLog]:
    """These commands, each in a process of its own."""
    data = folder / "data"
    data.mkdir()
    with bank(commands, data, None), closing(open_log(data / "log")) as log:
        yield log


def latencies_ms(log: EventLog) -> list[float]:
    """From each entry's record to the 250 of its e-mail."""
    values = (value for batch in batches(log, EMAIL_SENT.name) for value in batch.values)
    events = (EMAIL_SENT.value.deserialize(value or b"") for value in values)
    return sorted((sent.sent_at - sent.recorded_at).total_seconds() * 1000 for sent in events)


def measure(running: Running, rate: int, seconds: int) -> tuple[list[float], float]:
    """How long each e-mail took, in ms, in ascending order; and how many entries a second there were."""
    crossings = ALERTS_PER_S * seconds
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as log:
        load = Load(log, crossings)
        time.sleep(3)
        accounts = (f"account-{n:06d}" for n in range(crossings))
        every = rate // ALERTS_PER_S
        begun = time.perf_counter()
        for n in range(rate * seconds):
            time.sleep(max(0.0, begun + n / rate - time.perf_counter()))
            if n % every == 0:
                load.append(next(accounts), -950_00)
            else:
                load.append(f"account-{(n * 7919) % crossings:06d}", 1)
        took = time.perf_counter() - begun
        deadline = time.perf_counter() + 30
        while len(found := latencies_ms(log)) < crossings and time.perf_counter() < deadline:
            time.sleep(0.2)
    if len(found) != crossings:
        raise SystemExit(f"{crossings} e-mails were due, {len(found)} were sent")
    return found, rate * seconds / took


def main(rate: int = 200, seconds: int = 20) -> None:
    """Print the latency's distribution at ``rate`` entries/s."""
    banks: dict[str, Running] = {
        "the main job": partial(together, roles=MAIN_JOB),
        "the main job in processes of its own": partial(apart, commands=APART),
        "all that up runs": partial(together, roles=ROLES),
    }
    for name, running in banks.items():
        found, reached = measure(running, rate, seconds)
        quantiles = statistics.quantiles(found, n=100)
        print(f"append to the SMTP server's 250, {name}: {reached:.0f} entries/s, {len(found)} e-mails")
        p50, p95, p99 = quantiles[49], quantiles[94], quantiles[98]
        print(f"  median {p50:.1f} ms  p95 {p95:.1f} ms  p99 {p99:.1f} ms  max {found[-1]:.1f} ms", flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
