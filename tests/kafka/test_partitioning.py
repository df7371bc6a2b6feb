"""Every key goes where Kafka's own producer, in Java, puts it."""

import base64
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.kafka.cluster import KafkaCluster
from tests.kafka.java.programs import command_or_skip
from tests.kafka.test_conformance import empty

from streambank.log import EventLog, TopicConfig, TopicPartition, open_log
from streambank.log.embedded import EmbeddedLog
from streambank.streams import BYTES, StreamBuilder, StreamRunner, StreamsConfig, Topic

PARTITIONS = 7
"""No power of two, so that every bit of the hash counts."""

KEYS = 2_000
WAIT_S = 60.0


def keys() -> list[bytes]:
    """Texts and any bytes, of every length up to 40 and some beyond, each once."""
    chance = random.Random(7)
    texts = ["", " ", "0", "a", "account-1", "zoë", "Ünïcödé", "口座番号", "🦊", "🦊" * 100, "a\x00b", "x" * 10_000]
    found = {text.encode() for text in texts}
    found |= {bytes([byte]) * length for byte in (0x00, 0x7F, 0x80, 0xFF) for length in range(1, 41)}
    while len(found) < KEYS:
        length = chance.choice([*range(41), 255, 256, 1_000])
        text = "".join(
            chr(chance.choice([chance.randrange(32, 127), chance.randrange(0x3B1, 0x3C9)])) for _ in range(length)
        )
        found |= {chance.randbytes(length), text.encode()}
    return sorted(found)


def partitions(log: EventLog, topic: str) -> dict[bytes | None, int]:
    """Where each key is. Every record has a key of its own."""
    found: dict[bytes | None, int] = {}
    for number in range(log.topics()[topic].partitions):
        at, offset = TopicPartition(topic, number), 0
        end = log.stable_end(at)
        while offset < end:
            batch = log.read(at, offset)
            assert found.keys().isdisjoint(batch.keys)
            found |= dict.fromkeys(batch.keys, number)
            offset = batch.next_offset
    return found


def write(log: EventLog, topic: str) -> None:
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        for key in keys():
            transaction.append(topic, b"", key=key, timestamp=1)


@pytest.fixture(scope="module")
def log(kafka: KafkaCluster) -> Iterator[EventLog]:
    with closing(open_log(kafka.url)) as log:
        yield log
    empty(kafka)


@pytest.fixture(scope="module")
def by_java(kafka: KafkaCluster, log: EventLog) -> dict[bytes | None, int]:
    """Where a Java producer puts each key."""
    topic = TopicConfig(name="partitioning-java", partitions=PARTITIONS)
    log.create_topics([topic])
    lines = "".join(f"{base64.b64encode(key).decode()}\n" for key in keys())
    subprocess.run(command_or_skip("WriteKeys", kafka.bootstrap, topic.name), input=lines, text=True, check=True)
    found = partitions(log, topic.name)
    assert sorted(key for key in found if key is not None) == keys()
    assert set(found.values()) == set(range(PARTITIONS))
    return found


def test_the_log_on_kafka(log: EventLog, by_java: dict[bytes | None, int]) -> None:
    log.create_topics([TopicConfig(name="partitioning-log", partitions=PARTITIONS)])
    write(log, "partitioning-log")
    assert partitions(log, "partitioning-log") == by_java


def test_the_embedded_log(tmp_path: Path, by_java: dict[bytes | None, int]) -> None:
    with EmbeddedLog.open(tmp_path / "log") as log:
        log.create_topics([TopicConfig(name="out", partitions=PARTITIONS)])
        write(log, "out")
        assert partitions(log, "out") == by_java


def test_topics_that_a_topology_writes_its_internal_ones_included(
    log: EventLog, by_java: dict[bytes | None, int]
) -> None:
    given = Topic(name="partitioning-in", key=BYTES, value=BYTES, partitions=3)
    out = Topic(name="partitioning-out", key=BYTES, value=BYTES, partitions=PARTITIONS)
    builder = StreamBuilder()
    builder.stream(given).repartition(name="wide", partitions=PARTITIONS).to(out)
    runner = StreamRunner(builder.build(), log, StreamsConfig(application_id="partitioning"))
    write(log, given.name)
    deadline = time.monotonic() + WAIT_S
    while runner.counters.written < 2 * len(by_java):
        assert time.monotonic() < deadline, f"only {runner.counters.written} records were written"
        runner.step(0.1)
    runner.close()
    assert partitions(log, "partitioning-wide-repartition") == by_java
    assert partitions(log, out.name) == by_java
