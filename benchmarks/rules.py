"""10,000 people with five rules each: all topologies that take entries, together.

Everybody has an account, watched by two thresholds (one on what is available) and one on their total, a budget of three
categories with what is left carried over, and a goal for their savings. First a backlog is worked off by the topologies
in one thread; then they run as ``streambank up`` runs them, a thread each, while entries come in at a fixed rate: every
entry moves its user's goals, and some cross a threshold. Measured is the time from the append of an entry to the
progress of a goal, and to the alert with its address.
"""

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from benchmarks.workload import open_log
from streambank.bank.events import (
    ACCOUNT_THRESHOLDS,
    ALERT_NOTIFICATION,
    BALANCE_CHANGED,
    GOAL_PROGRESS,
    TOPICS,
    USER_GOALS,
    USER_PROFILE,
    AccountThresholds,
    AlertNotification,
    BalanceChanged,
    Budget,
    CreditDebit,
    Currency,
    Direction,
    GoalProgress,
    Period,
    SavingsGoal,
    Scope,
    Threshold,
    UserGoals,
    UserProfile,
    total_id,
)
from streambank.cli.platform import COMMIT_INTERVALS_MS, TOPOLOGIES
from streambank.cli.roles import TopologyRole
from streambank.clock import to_millis
from streambank.log import EventLog, TopicPartition, Transaction
from streambank.streams import StreamRunner, StreamsConfig, Topic

MEASURED = {name: build for name, build in TOPOLOGIES.items() if name != "screening"}
"""Screening takes transfers, of which there are none here."""

EUR = Currency("EUR")
CATEGORIES = tuple(f"01970000-0000-7000-8000-{n:012d}" for n in range(12))
START = datetime(2026, 1, 1, tzinfo=UTC)
WRITE_RECORDS = 5_000

OPENING_MINOR = 10_000_000_00
"""So much that only those entries cross a threshold that are to."""

CROSSING_EVERY = 25
"""One entry in so many takes its account below its thresholds, or back."""


def user(number: int) -> str:
    """The id of a user, and of their account."""
    return f"01970000-1111-7000-8000-{number:012d}"


def rules(number: int) -> Iterator[tuple[Topic[str, Any], str, Any]]:
    """Profile, thresholds and goals of one user."""
    user_id = user(number)
    about: dict[str, Any] = {"user_id": user_id, "occurred_at": START, "recorded_at": START, "event_id": user_id}
    yield USER_PROFILE, user_id, UserProfile(email="a@example.org", name="A", timezone="Europe/Prague", **about)

    def threshold(name: str, *, on_available: bool = False) -> Threshold:
        return Threshold(
            threshold_id=f"{user_id}/{name}",
            direction=Direction.BELOW,
            level_minor=1_000_000_00,
            rearm_margin_minor=10_00,
            on_available=on_available,
        )

    account = (threshold("balance"), threshold("available", on_available=True))
    for scope, scope_id, watched in (
        (Scope.ACCOUNT, user_id, account),
        (Scope.TOTAL, total_id(user_id, EUR), (threshold("total"),)),
    ):
        thresholds = AccountThresholds(scope=scope, scope_id=scope_id, currency=EUR, thresholds=watched, **about)
        yield ACCOUNT_THRESHOLDS, scope_id, thresholds
    common: dict[str, Any] = {
        "name": "A goal",
        "currency": EUR,
        "target_minor": 50_000_00,
        "starts_on": date(2026, 1, 1),
    }
    chosen = random.Random(number).sample(CATEGORIES, 3)
    budget = Budget(goal_id=f"{user_id}/b", period=Period.MONTH, carry_over=True, category_ids=tuple(chosen), **common)
    saving = SavingsGoal(goal_id=f"{user_id}/s", account_ids=(user_id,), **common)
    yield USER_GOALS, user_id, UserGoals(budgets=(budget,), savings=(saving,), **about)


class Load:
    """Entries of many users, each of a random one."""

    def __init__(self, log: EventLog, users: int) -> None:
        self._producer, self._random = log.producer(), random.Random(1)
        self._seq, self._below = [0] * users, set[int]()
        everything = [rule for number in range(users) for rule in rules(number)]
        for start in range(0, len(everything), WRITE_RECORDS):
            with self._producer.transaction() as transaction:
                for topic, key, value in everything[start : start + WRITE_RECORDS]:
                    topic.write(transaction, key, value, to_millis(START))
        for start in range(0, users, WRITE_RECORDS):
            with self._producer.transaction() as transaction:
                for number in range(start, min(users, start + WRITE_RECORDS)):
                    self._write(transaction, number, OPENING_MINOR, "OPENING")

    def append(self, count: int) -> None:
        """Append so many entries in one transaction."""
        with self._producer.transaction() as transaction:
            for _ in range(count):
                number = self._random.randrange(len(self._seq))
                signed = -self._random.randint(1_00, 100_00)
                if self._random.randrange(CROSSING_EVERY) == 0:
                    signed = OPENING_MINOR if number in self._below else -OPENING_MINOR
                    self._below ^= {number}
                self._write(transaction, number, signed, "CARD_PAYMENT")

    def close(self) -> None:
        """Release the log."""
        self._producer.close()

    def _write(self, transaction: Transaction, number: int, signed_minor: int, kind: str) -> None:
        self._seq[number] += 1
        user_id, now = user(number), datetime.now(UTC)
        entry = BalanceChanged(
            user_id=user_id,
            occurred_at=now,
            recorded_at=now,
            entry_id=f"{user_id}/{self._seq[number]}",
            account_id=user_id,
            account_seq=self._seq[number],
            credit_debit=CreditDebit.CREDIT if signed_minor >= 0 else CreditDebit.DEBIT,
            amount_minor=abs(signed_minor),
            currency=EUR,
            booking_date=now.date(),
            kind=kind,
            category=self._random.choice(CATEGORIES),
            counterparty="Supermarket",
        )
        BALANCE_CHANGED.write(transaction, user_id, entry, entry.timestamp)


class Watcher(threading.Thread):
    """Takes the time from each entry's append to when what follows from it can be read."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(daemon=True)
        self.progress_ms: list[float] = []
        self.alerts_ms: list[float] = []
        self._log, self._stop_asked = log, threading.Event()
        self._positions = {
            at: log.watermarks(at).high
            for topic in (GOAL_PROGRESS, ALERT_NOTIFICATION)
            for at in (TopicPartition(topic.name, number) for number in range(topic.partitions))
        }

    def run(self) -> None:
        """Watch until :meth:`stop`."""
        while not self._stop_asked.is_set():
            if self._log.wait(self._positions, 0.2):
                self._step()

    def stop(self) -> None:
        """Let the thread end."""
        self._stop_asked.set()
        self.join()

    def _step(self) -> None:
        for at, position in self._positions.items():
            batch = self._log.read(at, position, 10_000)
            now = datetime.now(UTC)
            for value in batch.values:
                event: GoalProgress | AlertNotification
                if at.topic == GOAL_PROGRESS.name:
                    event, into = GOAL_PROGRESS.value.deserialize(value or b""), self.progress_ms
                else:
                    event, into = ALERT_NOTIFICATION.value.deserialize(value or b""), self.alerts_ms
                into.append((now - event.recorded_at).total_seconds() * 1000)
            self._positions[at] = batch.next_offset


def backlog(log: EventLog, load: Load, entries: int) -> None:
    """Print how fast each topology works off a backlog, and all together."""
    with ExitStack() as stack:
        runners = {}
        for name, build in MEASURED.items():
            runner = StreamRunner(build(), log, StreamsConfig(application_id=name))
            runners[name] = stack.enter_context(closing(runner))
            drain(runner)
        for _ in range(0, entries, WRITE_RECORDS):
            load.append(WRITE_RECORDS)
        took = {name: drain(runner) for name, runner in runners.items()}
    for name, seconds in took.items():
        print(f"  {name:<10} {entries / seconds:>9,.0f} entries/s  {seconds / entries * 1e6:6.1f} us")
    together = sum(took.values())
    print(f"  {'together':<10} {entries / together:>9,.0f} entries/s  {together / entries * 1e6:6.1f} us")


def drain(runner: StreamRunner) -> float:
    """Seconds until nothing is left to do."""
    started = time.perf_counter()
    while runner.step():
        pass
    return time.perf_counter() - started


@contextmanager
def running(log: EventLog) -> Iterator[None]:
    """All topologies, a thread each."""
    stop = threading.Event()
    roles = [
        TopologyRole(name, build, log, commit_interval_ms=COMMIT_INTERVALS_MS.get(name, 0))
        for name, build in MEASURED.items()
    ]
    threads = [threading.Thread(target=role.run, args=(stop,)) for role in roles]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for role in roles:
            role.interrupt()
        for thread in threads:
            thread.join()


def live(log: EventLog, load: Load, rate: int, seconds: int) -> None:
    """Print how long progress and alerts take at ``rate`` entries/s, those that are due in one transaction.

    So the ledger's relay writes them, when the log has other writers too.
    """
    with running(log):
        time.sleep(5)
        watcher = Watcher(log)
        watcher.start()
        begun, written = time.perf_counter(), 0
        while written < rate * seconds:
            time.sleep(max(0.0, begun + written / rate - time.perf_counter()))
            due = min(rate * seconds, 1 + int((time.perf_counter() - begun) * rate))
            load.append(due - written)
            written = due
        took = time.perf_counter() - begun
        deadline = time.perf_counter() + 30
        while len(watcher.progress_ms) < rate * seconds and time.perf_counter() < deadline:
            time.sleep(0.1)
        watcher.stop()
    print(f"  {rate * seconds / took:.0f} entries/s for {took:.0f} s")
    for name, found in (("progress", watcher.progress_ms), ("alerts", watcher.alerts_ms)):
        if len(found) < 2:
            raise SystemExit(f"no {name}")
        quantiles = statistics.quantiles(found, n=100)
        p50, p99 = quantiles[49], quantiles[98]
        print(f"  {name:<10} {len(found):>6,}  median {p50:.1f} ms  p99 {p99:.1f} ms  max {max(found):.1f} ms")


def main(users: int = 10_000, entries: int = 100_000, rate: int = 500, seconds: int = 20) -> None:
    """Print throughput and latency."""
    print(f"{users:,} people with five rules each")
    with tempfile.TemporaryDirectory() as folder, closing(open_log(Path(folder))) as log:
        log.create_topics(topic.config for topic in TOPICS)
        load = Load(log, users)
        with closing(load):
            backlog(log, load, entries)
            live(log, load, rate, seconds)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
