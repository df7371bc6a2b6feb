"""Latency on a real Apache Kafka, exactly once: from an event that is sent to the alert that can be read.

The reference workload's topology: two hops, since an alert goes through a repartition topic to the task that knows the
address. Events come at a steady rate from an idempotent producer; every second one lets its account fall below its
threshold. A consumer of committed records takes the time at which each alert comes in. streambank and Kafka Streams, at
its default settings for exactly-once (a commit every 100 ms), one after the other on the same broker, each after some
time in which nothing is measured.

    python -m benchmarks.kafka_latency --rate 200 --seconds 60
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.kafka.cluster import KafkaCluster

from benchmarks import workload
from benchmarks.kafka_reference import program
from benchmarks.peers.java import KafkaStreamsPeer, PeerMissingError
from benchmarks.workload import CHANGE, PARTITIONS, PROFILE, THRESHOLD, Change, Notification, Profile, Threshold
from streambank.log import EventLog, open_log

ACCOUNTS = 100
WARM_UP_S = 30
BROKER_WARM_UP_S = 90
"""A broker that has just started takes five times as long for a transaction as one that Java has compiled."""

DRAIN_S = 30.0


class Latencies:
    """Sends events, and reads the alerts that come of them."""

    def __init__(self, bootstrap: str, run: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "linger.ms": 0,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"measure-{run}",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "enable.auto.commit": False,
            }
        )
        self._consumer.assign([TopicPartition(f"alert-{run}", number, 0) for number in range(PARTITIONS)])
        self._run = run
        self._sent_s: dict[str, float] = {}
        self.found_ms: list[float] = []
        self.doubled = 0
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, rate: int, seconds: int, name: str) -> int:
        """Send events at a steady rate; how many alerts are due."""
        due, begun = 0, time.perf_counter()
        for n in range(rate * seconds):
            time.sleep(max(0.0, begun + n / rate - time.perf_counter()))
            account, turn = n % ACCOUNTS, n // ACCOUNTS
            entry = f"{name}-{n}"
            amount = 10 if turn % 2 else -10
            change = Change(entry, f"account-{account}", f"user-{account}", amount, "CARD", int(time.time() * 1000))
            if amount < 0:
                due += 1
                self._sent_s[entry] = time.perf_counter()
            self._producer.produce(CHANGE.name, msgspec.json.encode(change), change.account_id.encode())
            self._producer.poll(0)
        self._producer.flush()
        return due

    def wait(self) -> None:
        """Wait for the alerts that are not there yet. Raises SystemExit."""
        deadline = time.perf_counter() + DRAIN_S
        while self._sent_s:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{self._run}: {len(self._sent_s)} alerts have not come")
            time.sleep(0.05)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._reader.join()
        self._consumer.close()

    def _read(self) -> None:
        decode = msgspec.json.Decoder(Notification).decode
        while not self._stop.is_set():
            for message in self._consumer.consume(100, 0.005):
                now_s = time.perf_counter()
                entry = decode(message.value() or b"").alert.entry_id
                sent_s = self._sent_s.pop(entry, None)
                if sent_s is None:
                    self.doubled += 1
                else:
                    self.found_ms.append((now_s - sent_s) * 1000)


def fill(log: EventLog) -> None:
    """The tables: every account begins at its threshold of 0."""
    log.create_topics([CHANGE.config, THRESHOLD.config, PROFILE.config])
    producer = log.producer()
    with producer.transaction() as transaction:
        for number in range(ACCOUNTS):
            THRESHOLD.write(transaction, f"account-{number}", Threshold(0), 1)
            PROFILE.write(transaction, f"user-{number}", Profile(f"user-{number}@example.org"), 1)
    producer.close()


def measure(
    bootstrap: str, peer: AbstractContextManager[object], run: str, rate: int, seconds: int, warm_up_s: int = WARM_UP_S
) -> list[float]:
    """The latencies in ms."""
    with peer:
        latencies = Latencies(bootstrap, run)
        try:
            latencies.send(rate, warm_up_s, f"{run}-warm-up")
            latencies.wait()
            latencies.found_ms.clear()
            due = latencies.send(rate, seconds, run)
            latencies.wait()
        finally:
            latencies.close()
    if len(latencies.found_ms) != due or latencies.doubled:
        raise SystemExit(f"{run}: {due} alerts were due; {len(latencies.found_ms)} came, {latencies.doubled} twice")
    return sorted(latencies.found_ms)


def main() -> None:
    """Print the distributions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200, help="events per second")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, KafkaCluster(Path(folder), heap_mb=1024) as cluster:
        log = open_log(cluster.url)
        fill(log)
        peers: dict[str, Callable[[str], AbstractContextManager[object]]] = {
            "streambank": lambda run: program(sys.executable, "-m", "tests.kafka.worker", cluster.url, run),
            "Kafka Streams": lambda run: KafkaStreamsPeer(cluster.bootstrap, run, fast=False),
        }
        print(f"event to alert, {arguments.rate} events/s, {arguments.seconds} s, {os.cpu_count()} cores")
        log.create_topics(topic.config for topic in workload.outputs("broker"))
        measure(cluster.bootstrap, peers["streambank"]("broker"), "broker", arguments.rate, 2, BROKER_WARM_UP_S)
        for name, peer in peers.items():
            run = name.replace(" ", "-")
            # Each begins with no events, not with those of the one before.
            log.delete_topics([CHANGE.name])
            log.create_topics([CHANGE.config, *(topic.config for topic in workload.outputs(run))])
            try:
                found = measure(cluster.bootstrap, peer(run), run, arguments.rate, arguments.seconds)
            except PeerMissingError as missing:
                print(f"  {name}: left out: {missing}")
                continue
            p50, p99 = (statistics.quantiles(found, n=100)[n - 1] for n in (50, 99))
            print(
                f"  {name:14} {len(found):>6,} alerts  median {p50:6.1f} ms  p99 {p99:6.1f} ms  max {found[-1]:6.1f} ms"
            )
        log.close()


if __name__ == "__main__":
    main()
