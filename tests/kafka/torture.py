"""Workers under load while they, and the brokers, are killed and frozen; every record that comes out is checked.

An oracle knows, for each account, the series of balances that has to come out, and the alerts. A balance that is
missing, doubled or out of order shows at once; so does a committed position that goes back. For every fault the time
is taken until records come out again as soon as they go in.

    python -m tests.kafka.torture --minutes 15 --nodes 3
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from benchmarks import workload
from benchmarks.workload import CHANGE, PROFILE, THRESHOLD, Balance, Change, Notification, Profile, Threshold
from tests.kafka.cluster import ROOT, KafkaCluster

from streambank.log import EventLog, LogError, TopicPartition, open_log

ACCOUNTS = 200
USERS = 100
BATCH_EVENTS = 40
BATCH_EVERY_S = 0.05

SESSION_MS = 3_000
"""Short, so that many faults fit into a run; the default is 45 s."""

FROZEN_S = 6.0
"""Longer than the session time-out: another member has the partitions when the process goes on."""

FRESH_S = 1.5
STUCK_S = 90.0
DRAIN_S = 90.0

SETTINGS = {
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "replica.lag.time.max.ms": "3000",
}


@dataclass
class Oracle:
    """What has to come out."""

    rng: random.Random
    levels: dict[str, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    expected: dict[str, list[Balance]] = field(default_factory=lambda: defaultdict(list))
    alerts: Counter[str] = field(default_factory=Counter)
    events: int = 0

    def change(self, now_ms: int) -> Change:
        """A change of a random account, taken into account."""
        account = f"account-{self.rng.randrange(ACCOUNTS)}"
        user = f"user-{int(account.split('-')[1]) % USERS}"
        amount = self.rng.randrange(-5_000, 5_000)
        entry = f"entry-{self.events}"
        self.events += 1
        before = self.balances[account]
        after = self.balances[account] = before + amount
        if before >= self.levels[account] > after:
            self.alerts[entry] += 1
        self.expected[account].append(Balance(user, before, after, entry))
        return Change(entry, account, user, amount, "payment", now_ms)


@dataclass
class Report:
    """What was seen."""

    problems: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    balances: int = 0
    alerts: int = 0


class Load:
    """Writes changes at a steady rate from a thread of its own; none is written twice, whatever the brokers do."""

    def __init__(self, log: EventLog, oracle: Oracle) -> None:
        self._log, self._oracle = log, oracle
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(STUCK_S)

    def _run(self) -> None:
        try:
            producer = self._log.producer()
            while not self._stop.is_set():
                began = time.monotonic()
                changes = [self._oracle.change(int(time.time() * 1000)) for _ in range(BATCH_EVENTS)]
                self._write(producer, changes)
                self._stop.wait(max(0.0, BATCH_EVERY_S - (time.monotonic() - began)))
        except BaseException as error:
            self.failure = error

    def _write(self, producer, changes: list[Change]) -> None:  # type: ignore[no-untyped-def]
        while True:
            try:
                with producer.transaction() as transaction:
                    for change in changes:
                        CHANGE.write(transaction, change.account_id, change, change.at)
                return
            except LogError as error:
                # Nothing of it is in the log.
                tell(f"load: again: {error}")


class Judge:
    """Reads what comes out, and compares it with the oracle."""

    def __init__(self, log: EventLog, run: str, oracle: Oracle, report: Report) -> None:
        self._log, self._run_name, self._oracle, self._report = log, run, oracle, report
        balance, alert = workload.outputs(run)
        self._balances = {TopicPartition(balance.name, n): 0 for n in range(workload.PARTITIONS)}
        self._alerts = {TopicPartition(alert.name, n): 0 for n in range(workload.PARTITIONS)}
        self._seen: Counter[str] = Counter()
        self._alerted: Counter[str] = Counter()
        self._committed: dict[TopicPartition, int] = {}
        self._decode = msgspec.json.Decoder(Balance).decode
        self._decode_alert = msgspec.json.Decoder(Notification).decode
        self.newest: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="judge", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(STUCK_S)

    def finished(self) -> bool:
        """Whether everything that has to come out has."""
        return self._report.balances >= self._oracle.events and self._report.alerts >= self._oracle.alerts.total()

    def verdict(self) -> None:
        """Note what is missing or too much in the end."""
        missing = {
            account: len(series) - self._seen[account]
            for account, series in self._oracle.expected.items()
            if len(series) != self._seen[account]
        }
        if missing:
            self._problem(f"balances missing: {missing}")
        if self._alerted != self._oracle.alerts:
            self._problem(
                f"alerts differ: {self._oracle.alerts - self._alerted} missing, "
                f"{self._alerted - self._oracle.alerts} too many"
            )

    def _problem(self, text: str) -> None:
        tell(f"PROBLEM: {text}")
        self._report.problems.append(text)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._look():
                    time.sleep(0.02)
            except LogError as error:
                tell(f"judge: again: {error}")
                time.sleep(0.2)

    def _look(self) -> int:
        found = 0
        for at in self._balances:
            batch = self._log.read(at, self._balances[at])
            for key, value, timestamp in zip(batch.keys, batch.values, batch.timestamps, strict=True):
                self._check((key or b"").decode(), self._decode(value or b""))
                self.newest[at.partition] = timestamp / 1000
            self._balances[at] = batch.next_offset
            found += len(batch)
        for at in self._alerts:
            batch = self._log.read(at, self._alerts[at])
            self._alerted.update(self._decode_alert(value or b"").alert.entry_id for value in batch.values)
            self._report.alerts += len(batch)
            self._alerts[at] = batch.next_offset
            found += len(batch)
        for at, position in self._log.committed(self._run_name).items():
            if position.offset < self._committed.get(at, 0):
                self._problem(f"{at} went back from {self._committed[at]} to {position.offset}")
            self._committed[at] = position.offset
        return found

    def _check(self, account: str, balance: Balance) -> None:
        number = self._seen[account]
        self._seen[account] += 1
        self._report.balances += 1
        series = self._oracle.expected[account]
        if number >= len(series) or series[number] != balance:
            wanted = series[number] if number < len(series) else None
            self._problem(f"{account}: record {number} is {balance}, not {wanted}")

    def oldest(self) -> float:
        """When what came out last had gone in, in the partition where that is longest ago."""
        return min(self.newest.values()) if len(self.newest) == workload.PARTITIONS else 0.0


class Workers:
    """The processes."""

    def __init__(self, url: str, run: str, count: int, folder: Path, standbys: int) -> None:
        self._command = [sys.executable, "-m", "tests.kafka.worker", url, run, str(standbys)]
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._number = 0
        for _ in range(count):
            self.add()

    def add(self) -> None:
        with (self._folder / f"worker-{self._number}.log").open("wb") as out:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
            process = subprocess.Popen(self._command, cwd=ROOT, stdout=out, stderr=out, env=environment)
        self._number += 1
        self.processes.append(process)

    def kill(self, rng: random.Random) -> None:
        process = self.processes.pop(rng.randrange(len(self.processes)))
        process.kill()
        process.wait()
        self.add()

    def stop_and_start(self, rng: random.Random) -> None:
        process = self.processes.pop(rng.randrange(len(self.processes)))
        process.terminate()
        process.wait(STUCK_S)
        self.add()

    def freeze(self, rng: random.Random) -> None:
        process = rng.choice(self.processes)
        process.send_signal(signal.SIGSTOP)
        time.sleep(FROZEN_S)
        process.send_signal(signal.SIGCONT)

    def come_and_go(self, _rng: random.Random) -> None:
        """One more for a while, so that partitions move and move back."""
        self.add()
        time.sleep(4)
        process = self.processes.pop()
        process.terminate()
        process.wait(STUCK_S)

    def dead(self) -> list[int]:
        return [process.pid for process in self.processes if process.poll() is not None]

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def prepare(log: EventLog, oracle: Oracle, run: str) -> None:
    """Make the topics, and fill the tables."""
    log.create_topics(topic.config for topic in (CHANGE, THRESHOLD, PROFILE, *workload.outputs(run)))
    with log.producer().transaction() as transaction:
        for number in range(ACCOUNTS):
            account = f"account-{number}"
            oracle.levels[account] = oracle.rng.randrange(-20_000, 20_000)
            THRESHOLD.write(transaction, account, Threshold(oracle.levels[account]), 1)
        for number in range(USERS):
            PROFILE.write(transaction, f"user-{number}", Profile(f"user-{number}@example.org"), 1)


def torture(
    cluster: KafkaCluster, folder: Path, *, seconds: float, seed: int = 1, workers: int = 2, standbys: int = 0
) -> Report:
    """Run for so long, then let everything heal and compare."""
    rng, report, run = random.Random(seed), Report(), f"torture-{seed}"
    oracle = Oracle(random.Random(seed))
    log = open_log(cluster.url)
    prepare(log, oracle, run)
    pool = Workers(cluster.url, run, workers, folder, standbys)
    load, judge = Load(log, oracle), Judge(log, run, oracle, report)
    load.start()
    judge.start()
    faults: list[tuple[str, Callable[[random.Random], None]]] = [
        ("worker killed", pool.kill),
        ("worker frozen", pool.freeze),
        ("worker restarted", pool.stop_and_start),
        ("worker more and less", pool.come_and_go),
    ]
    if len(cluster.brokers) > 1:
        faults.append(("broker killed", lambda r: restart_broker(cluster, r)))
    try:
        recovered(judge, report, "start")
        until = time.monotonic() + seconds
        order: list[tuple[str, Callable[[random.Random], None]]] = []
        while time.monotonic() < until and not report.problems:
            order = order or rng.sample(faults, len(faults))
            name, fault = order.pop()
            report.faults[name] += 1
            tell(name)
            began = time.time()
            fault(rng)
            recovered(judge, report, name, began)
            if dead := pool.dead():
                report.problems.append(f"workers {dead} ended by themselves")
            time.sleep(rng.uniform(0.2, 2))
        load.stop()
        if load.failure is not None:
            report.problems.append(f"the load failed: {load.failure!r}")
        deadline = time.monotonic() + DRAIN_S
        while not judge.finished() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
    finally:
        load.stop()
        judge.stop()
        pool.close()
        log.close()
    judge.verdict()
    return report


def restart_broker(cluster: KafkaCluster, rng: random.Random) -> None:
    """Kill a broker, which may be the active controller too; start it again some seconds later."""
    rng.choice(cluster.brokers).end()
    time.sleep(5)
    cluster.start()


def recovered(judge: Judge, report: Report, name: str, began: float | None = None) -> None:
    """Wait until what went in after the fault's beginning comes out, and soon; note how long that took."""
    began = time.time() if began is None else began
    while judge.oldest() < began or time.time() - judge.oldest() > FRESH_S:
        if time.time() - began > STUCK_S:
            report.problems.append(
                f"stuck for {STUCK_S:.0f} s after: {name}; the last is {time.time() - judge.oldest():.1f} s old"
            )
            return
        time.sleep(0.05)
    took = time.time() - began
    report.recoveries.append((name, took))
    tell(f"{name}: recovered after {took:.1f} s; {report.balances:,} balances, {report.alerts:,} alerts")


def tell(text: str) -> None:
    """Print with the time, to be found in the workers' logs."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def show(report: Report) -> None:
    """Print the report."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for name, took in report.recoveries:
        by_name[name].append(took)
    for name, times in sorted(by_name.items()):
        print(
            f"{name:22} {len(times):>4} times, recovered in {statistics.median(times):.1f} s, at most {max(times):.1f}"
        )
    print(f"{report.balances:,} balances and {report.alerts:,} alerts checked, {len(report.problems)} problems")
    for problem in report.problems:
        print(f"  {problem}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--standbys", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"logs of workers and brokers in {folder}", flush=True)
    with KafkaCluster(folder / "kafka", nodes=arguments.nodes, settings=SETTINGS) as cluster:
        report = torture(
            cluster,
            folder,
            seconds=arguments.minutes * 60,
            seed=arguments.seed,
            workers=arguments.workers,
            standbys=arguments.standbys,
        )
    show(report)
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
