"""How soon a member is at work on a real Apache Kafka.

1. Restore: a member that starts with nothing reads a store of many keys from its changelog.
2. Fail-over: of two worker processes one is killed. From the moment at which the group gives its partitions to the
   other, until the first record that this one writes for them; with a standby copy, and without.

    python -m benchmarks.kafka_restore --keys 1000000
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from tests.kafka.cluster import ROOT, KafkaCluster
from tests.kafka.torture import SETTINGS

from benchmarks import workload
from benchmarks.workload import CHANGE, PARTITIONS, PROFILE, THRESHOLD, Balance, Change
from streambank.log import EventLog, TopicPartition, open_log, partition_for
from streambank.streams import RestoreProgress, StreamRunner, StreamsConfig

WRITE_RECORDS = 50_000
RATE = 100
SETTLE_S = 60.0
STUCK_S = 120.0


def account(number: int) -> str:
    """The account's name."""
    return f"account-{number:07d}"


def fill(log: EventLog, run: str, keys: int) -> None:
    """The run's topics, with a balance for every account: the changelog of its store."""
    balance_topic, alert_topic = workload.outputs(run)
    log.create_topics(topic.config for topic in (CHANGE, THRESHOLD, PROFILE, balance_topic, alert_topic))
    value = msgspec.json.encode(Balance("user-0000001", 0, 100, "entry-000000000"))
    with closing(log.producer()) as producer:
        for start in range(0, keys, WRITE_RECORDS):
            columns: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
            for number in range(start, min(start + WRITE_RECORDS, keys)):
                key = account(number).encode()
                columns[partition_for(key, PARTITIONS)].append(key)
            with producer.transaction() as transaction:
                for partition, names in enumerate(columns):
                    at = TopicPartition(balance_topic.name, partition)
                    transaction.append_columns(at, [1] * len(names), names, [value] * len(names))


def restore(log: EventLog, run: str, keys: int) -> tuple[float, float]:
    """Seconds from the start of a member until its stores are whole, and of these the reading of changelogs."""
    began, first = time.perf_counter(), [0.0]

    def on_restore(progress: RestoreProgress) -> None:
        first[0] = first[0] or time.perf_counter()

    config = StreamsConfig(application_id=run)
    with closing(StreamRunner(workload.topology(run), log, config, on_restore=on_restore)) as runner:
        while sum(map(len, runner.stores("balance"))) < keys:
            runner.step(0.1)
        ended = time.perf_counter()
    return ended - began, ended - first[0]


class Worker:
    """A worker process, with its log."""

    def __init__(self, url: str, run: str, standbys: int, log_file: Path) -> None:
        self.log_file = log_file
        command = [sys.executable, "-m", "tests.kafka.worker", url, run, str(standbys)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
        with log_file.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment)

    def assigned(self) -> list[tuple[float, set[int]]]:
        """When it was given which partitions of the input, in seconds since the epoch."""
        lines = [line for line in self.log_file.read_text().splitlines() if 'event="partitions assigned"' in line]
        return [
            (
                datetime.fromisoformat(re.findall(r"timestamp=(\S+)", line)[0]).timestamp(),
                {int(number) for number in re.findall(r"'change-(\d+)'", line)},
            )
            for line in lines
        ]

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


class Traffic:
    """Events at a steady rate, and the times at which the records that come of them can be read, by partition."""

    def __init__(self, bootstrap: str, run: str, keys: int) -> None:
        self.read_at: dict[int, list[float]] = {number: [] for number in range(PARTITIONS)}
        self._bootstrap, self._run, self._keys = bootstrap, run, keys
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._send, self._read)]
        for thread in self._threads:
            thread.start()

    def wait(self, partitions: set[int], since: float) -> float:
        """When the first record came in each of these partitions after that moment; the last of these times."""
        deadline = time.time() + STUCK_S
        while time.time() < deadline:
            first = [next((at for at in self.read_at[number] if at > since), None) for number in partitions]
            if None not in first:
                return max(at for at in first if at is not None)
            time.sleep(0.02)
        raise SystemExit(f"{self._run}: nothing was written to some of {sorted(partitions)} within {STUCK_S:.0f} s")

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        producer = Producer({"bootstrap.servers": self._bootstrap, "linger.ms": 0, "partitioner": "murmur2_random"})
        rng, number = random.Random(1), 0
        while not self._stop.wait(1 / RATE):
            number += 1
            change = Change(f"e-{number}", account(rng.randrange(self._keys)), "user-0000001", 1, "CARD", 1)
            producer.produce(CHANGE.name, msgspec.json.encode(change), change.account_id.encode())
            producer.poll(0)
        producer.flush(5)

    def _read(self) -> None:
        settings = {"group.id": f"measure-{self._run}", "isolation.level": "read_committed", "fetch.wait.max.ms": 10}
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "enable.auto.commit": False, **settings})
        topic = workload.outputs(self._run)[0].name
        ends = [consumer.get_watermark_offsets(KafkaPartition(topic, n), timeout=10)[1] for n in range(PARTITIONS)]
        consumer.assign([KafkaPartition(topic, number, end) for number, end in enumerate(ends)])
        while not self._stop.is_set():
            for message in consumer.consume(100, 0.01):
                self.read_at[message.partition() or 0].append(time.time())
        consumer.close()


def fail_over(cluster: KafkaCluster, run: str, keys: int, standbys: int, folder: Path) -> float:
    """Seconds from the assignment of a dead member's partitions to the last of the first records in each."""
    workers = [Worker(cluster.url, run, standbys, folder / f"{run}-{number}.log") for number in range(2)]
    traffic = Traffic(cluster.bootstrap, run, keys)
    try:
        traffic.wait(set(range(PARTITIONS)), time.time())
        deadline = time.time() + SETTLE_S
        while standbys and "standby copies" not in workers[1].log_file.read_text() and time.time() < deadline:
            time.sleep(0.1)
        # Until both have half of it, and copies have caught up.
        time.sleep(20)
        traffic.wait(set(range(PARTITIONS)), time.time())
        victim, survivor = workers
        before = len(survivor.assigned())
        victim.process.kill()
        deadline = time.time() + STUCK_S
        while len(survivor.assigned()) == before:
            if time.time() > deadline:
                raise SystemExit(f"{run}: the group has not noticed")
            time.sleep(0.02)
        noticed, gained = survivor.assigned()[before]
        return traffic.wait(gained, noticed) - noticed
    finally:
        traffic.close()
        for worker in workers:
            worker.end()


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    keys = parser.parse_args().keys
    with (
        tempfile.TemporaryDirectory() as folder,
        KafkaCluster(Path(folder), settings=SETTINGS, heap_mb=1024) as cluster,
    ):
        log = open_log(cluster.url)
        fill(log, "restore", keys)
        total_s, reading_s = restore(log, "restore", keys)
        print(f"{keys:,} keys on Kafka, {os.cpu_count()} cores")
        print(f"  restore           {total_s:6.1f} s from the start of the member, {keys / reading_s:,.0f} records/s")
        for standbys in (1, 0):
            run = f"standbys-{standbys}"
            log.delete_topics([CHANGE.name])
            fill(log, run, keys)
            took_s = fail_over(cluster, run, keys, standbys, Path(folder))
            print(f"  fail-over         {took_s:6.1f} s with {standbys} standby copies")
        log.close()


if __name__ == "__main__":
    main()
