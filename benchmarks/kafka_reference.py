"""The reference workload on a real Apache Kafka: streambank, Kafka Streams, Quix Streams and a loop written by hand.

One broker, one run, one after the other, all exactly once, each in processes of its own; what each has written is
compared. Time is taken in the same way for all: by what the group has committed of the input, from the first commit
to the last. Tables are read before that.

    python -m benchmarks.kafka_reference --events 1000000 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.kafka.cluster import ROOT, KafkaCluster

from benchmarks import workload
from benchmarks.peers import quix
from benchmarks.peers.java import KafkaStreamsPeer, PeerMissingError
from benchmarks.reference import records
from benchmarks.workload import PARTITIONS, Size
from streambank.log import EventLog, TopicPartition, open_log

# What the peers have written is compared record by record: no record of it may be compacted away before that.
SETTINGS = {"log.cleaner.enable": "false"}
ASK_S = 0.05
STUCK_S = 600.0
STOP_S = 20.0
SETTLE_S = 3.0


@contextmanager
def program(*command: str) -> Iterator[None]:
    """Run a program for a while."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Bench:
    """The broker with its input, and who is measured on it."""

    def __init__(self, cluster: KafkaCluster, log: EventLog, size: Size) -> None:
        self._cluster, self._log, self._size = cluster, log, size
        self._inputs = [TopicPartition("change", number) for number in range(PARTITIONS)]
        # The last offset of a partition is the mark of a transaction, which nobody commits.
        self._ends = {at: log.stable_end(at) - 1 for at in self._inputs}
        self._peers: dict[str, Callable[[ExitStack, str], object]] = {
            "loop by hand": lambda stack, run: self._python(stack, "benchmarks.peers.hand_loop", run),
            "streambank": self._streambank,
            "Kafka Streams": self._kafka_streams,
            "streambank, 2 processes": lambda stack, run: self._streambank(stack, run, processes=2),
            "Kafka Streams, 2 threads": lambda stack, run: self._kafka_streams(stack, run, threads=2),
            "Quix Streams": lambda stack, run: stack.enter_context(
                program(*quix.command(cluster.bootstrap, run, PARTITIONS))
            ),
        }

    @property
    def names(self) -> list[str]:
        """Who can be measured."""
        return list(self._peers)

    def measure(self, name: str, run: str) -> float:
        """Events/s."""
        self._log.create_topics(topic.config for topic in workload.outputs(run))
        with ExitStack() as stack:
            self._peers[name](stack, run)
            rate = self._watch(run)
            self._settle(run)
            return rate

    def _python(self, stack: ExitStack, module: str, run: str) -> None:
        arguments = [self._cluster.bootstrap, run, str(self._size.events), str(PARTITIONS)]
        stack.enter_context(program(sys.executable, "-m", module, *arguments))

    def _streambank(self, stack: ExitStack, run: str, processes: int = 1) -> None:
        for _ in range(processes):
            stack.enter_context(program(sys.executable, "-m", "tests.kafka.worker", self._cluster.url, run))

    def _kafka_streams(self, stack: ExitStack, run: str, threads: int = 1) -> None:
        stack.enter_context(KafkaStreamsPeer(self._cluster.bootstrap, run, threads=threads))

    def _watch(self, run: str) -> float:
        """Follow the group's commits to the end; the rate between the first seen and the last."""
        total, first = sum(self._ends.values()), (0, 0.0)
        deadline = time.monotonic() + STUCK_S
        while time.monotonic() < deadline:
            committed = self._log.describe_group(run).committed
            at_offset = {at: committed[at].offset if at in committed else 0 for at in self._inputs}
            done, now = sum(at_offset.values()), time.perf_counter()
            if done and not first[0]:
                first = (done, now)
            # One by one: a position may be past a mark, and the sum would hide a record.
            if all(at_offset[at] >= end for at, end in self._ends.items()):
                return (done - first[0]) / (now - first[1]) * self._size.events / total
            time.sleep(ASK_S)
        raise SystemExit(f"{run} did not come to the end within {STUCK_S:.0f} s")

    def _settle(self, run: str) -> None:
        """Wait for the last alerts, which go through another topic first; they are compared afterwards."""
        alerts = [TopicPartition(f"alert-{run}", number) for number in range(PARTITIONS)]
        ends: list[int] = []
        while ends != (now := [self._log.watermarks(at).high for at in alerts]):
            ends = now
            time.sleep(SETTLE_S)


def check_same(log: EventLog, runs: list[str]) -> None:
    """Raise SystemExit unless all of these have written the same balances and alerts."""
    for kind in ("balance", "alert"):
        expected = [sorted(rows) for rows in records(log, f"{kind}-{runs[0]}")]
        for run in runs[1:]:
            if [sorted(rows) for rows in records(log, f"{kind}-{run}")] != expected:
                raise SystemExit(f"{runs[0]} and {run} have written different {kind} records")
        print(f"{kind}: {sum(map(len, expected)):,} records, the same of all")


def main() -> None:
    """Print the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="the names, or beginnings of them, of those to measure")
    arguments = parser.parse_args()
    size = Size(events=arguments.events)
    with (
        tempfile.TemporaryDirectory() as folder,
        KafkaCluster(Path(folder), settings=SETTINGS, heap_mb=1024) as cluster,
    ):
        log = open_log(cluster.url)
        workload.fill(log, size)
        bench = Bench(cluster, log, size)
        names = [name for name in bench.names if not arguments.only or name.startswith(tuple(arguments.only))]
        rates: dict[str, list[float]] = {name: [] for name in names}
        for number in range(arguments.rounds):
            for name in names:
                run = f"{name.replace(' ', '-').replace(',', '')}-{number}"
                try:
                    rates[name].append(bench.measure(name, run))
                except PeerMissingError as missing:
                    print(f"{name}: left out: {missing}")
                    continue
                print(f"round {number + 1}: {name}: {rates[name][-1]:,.0f} events/s", flush=True)
        measured = [name for name in names if rates[name]]
        check_same(log, [f"{name.replace(' ', '-').replace(',', '')}-0" for name in measured])
        ours = statistics.median(rates["streambank"]) if rates.get("streambank") else 0.0
        print(f"reference workload on Kafka, {size.events:,} events, {arguments.rounds} rounds, medians")
        for name in measured:
            rate = statistics.median(rates[name])
            ratio = f"   streambank is {ours / rate:.2f} times that" if ours else ""
            print(f"  {name:26} {rate:>10,.0f} events/s{ratio}")
        log.close()


if __name__ == "__main__":
    main()
