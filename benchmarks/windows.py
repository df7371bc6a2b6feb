"""A windowed count and a join of two streams: streambank beside loops written by hand, on the same log in the same run.

The loops are what a careful programmer would write without a library: batches, dicts, one transaction a batch, the
counts' topic as their own changelog. They have no rebalancing, no restore, no order by time and no rollback, and the
join's keeps its records in memory only.
"""

import gc
import random
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.workload import open_log
from streambank.log import EventLog, OffsetAndMetadata, TopicConfig, TopicPartition
from streambank.log.partitioner import Partitioner
from streambank.streams import (
    BYTES,
    LONG,
    STRING,
    JoinWindows,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    TimeWindowedSerde,
    TimeWindows,
    Topic,
    Topology,
    Windowed,
)

PARTITIONS = 4
KEYS = 100_000
WINDOW_MS = 10_000
BATCH_RECORDS = 10_000
STEP_MS = 1

LEFT, RIGHT = (Topic(name=name, key=STRING, value=BYTES, partitions=PARTITIONS) for name in ("left", "right"))

Columns = dict[TopicPartition, tuple[list[int], list[bytes], list[bytes]]]


def fill(log: EventLog, events: int) -> None:
    """One record a millisecond: of a random key, and for the join of a pair of streams."""
    log.create_topics([LEFT.config, RIGHT.config])
    rng = random.Random(1)
    partition_of = Partitioner(PARTITIONS).partition
    producer = log.producer()
    for first in range(0, events, BATCH_RECORDS):
        columns: Columns = defaultdict(lambda: ([], [], []))
        for n in range(first, first + BATCH_RECORDS):
            key = f"account-{rng.randrange(KEYS):06d}".encode()
            at = TopicPartition((LEFT if rng.random() < 0.5 else RIGHT).name, partition_of(key))
            timestamps, keys, values = columns[at]
            timestamps.append(n * STEP_MS)
            keys.append(key)
            values.append(b"%012d" % n)
        with producer.transaction() as transaction:
            for at, (timestamps, keys, values) in columns.items():
                transaction.append_columns(at, timestamps, keys, values)
    producer.close()


def count_topology(run: str) -> tuple[Topology, Topic[Windowed[str], int]]:
    """Records by key and window of ten seconds."""
    counts: Topic[Windowed[str], int] = Topic(
        name=f"counts-{run}", key=TimeWindowedSerde(STRING, WINDOW_MS), value=LONG, partitions=PARTITIONS
    )
    builder = StreamBuilder()
    windows = builder.stream(LEFT).group_by_key().windowed_by(TimeWindows.tumbling(WINDOW_MS))
    windows.count(name="count").to_stream().to(counts)
    return builder.build(), counts


def count_by_hand(log: EventLog, run: str, events: int) -> float:
    """The same count as a loop; returns the seconds it took."""
    log.create_topics([TopicConfig(name=f"counts-{run}", partitions=PARTITIONS)])
    windows: dict[int, dict[bytes, int]] = {}

    def handle(timestamp: int, key: bytes, _value: bytes, partition: int, out: Columns, _topic: str) -> None:
        start = timestamp - timestamp % WINDOW_MS
        counts = windows.get(start)
        if counts is None:
            counts = windows[start] = {}
            for old in [each for each in windows if each + WINDOW_MS < timestamp]:
                del windows[old]
        count = counts[key] = counts.get(key, 0) + 1
        timestamps, keys, values = out[TopicPartition(f"counts-{run}", partition)]
        timestamps.append(timestamp)
        keys.append(key + start.to_bytes(8, "big"))
        values.append(count.to_bytes(8, "big"))

    return _loop(log, run, events, [LEFT], handle)


def join_topology(run: str) -> tuple[Topology, Topic[str, bytes]]:
    """Records of both streams with one key that are at most a second apart."""
    joined = Topic(name=f"joined-{run}", key=STRING, value=BYTES, partitions=PARTITIONS)
    builder = StreamBuilder()
    windows = JoinWindows.of(WINDOW_MS)
    builder.stream(LEFT).join(builder.stream(RIGHT), lambda a, b: a + b, windows=windows, name="join", value=BYTES).to(
        joined
    )
    return builder.build(), joined


def join_by_hand(log: EventLog, run: str, events: int) -> float:
    """The same join as a loop; returns the seconds it took."""
    log.create_topics([TopicConfig(name=f"joined-{run}", partitions=PARTITIONS)])
    sides: dict[str, dict[bytes, list[tuple[int, bytes]]]] = {LEFT.name: {}, RIGHT.name: {}}

    def handle(timestamp: int, key: bytes, value: bytes, partition: int, out: Columns, topic: str) -> None:
        is_left = topic == LEFT.name
        others = sides[RIGHT.name if is_left else LEFT.name].get(key)
        if others is not None:
            del others[: bisect_left(others, (timestamp - 2 * WINDOW_MS,))]
            timestamps, keys, values = out[TopicPartition(f"joined-{run}", partition)]
            for other_time, other in others:
                if abs(other_time - timestamp) <= WINDOW_MS:
                    timestamps.append(max(timestamp, other_time))
                    keys.append(key)
                    values.append(value + other if is_left else other + value)
        sides[topic].setdefault(key, []).append((timestamp, value))

    return _loop(log, run, events, [LEFT, RIGHT], handle)


def _loop(log: EventLog, run: str, events: int, topics: list[Topic[str, bytes]], handle: Callable[..., None]) -> float:
    consumer, producer = log.consumer(run, [topic.name for topic in topics]), log.producer()
    done, started = 0, time.perf_counter()
    while done < events:
        offsets = {}
        out: Columns = defaultdict(lambda: ([], [], []))
        for batch in consumer.poll(BATCH_RECORDS, 1.0):
            topic, partition = batch.topic_partition
            for timestamp, key, value in zip(batch.timestamps, batch.keys, batch.values, strict=True):
                handle(timestamp, key, value, partition, out, topic)
            done += len(batch)
            offsets[batch.topic_partition] = OffsetAndMetadata(batch.next_offset)
        with producer.transaction() as transaction:
            for at, (timestamps, keys, values) in out.items():
                transaction.append_columns(at, timestamps, keys, values)
            transaction.commit_offsets(consumer.metadata, offsets)
    elapsed = time.perf_counter() - started
    consumer.close()
    producer.close()
    return elapsed


def with_streambank(log: EventLog, run: str, topology: Topology) -> float:
    """The topology; returns the seconds until nothing is left to do."""
    runner = StreamRunner(topology, log, StreamsConfig(application_id=run, poll_records=BATCH_RECORDS))
    started = time.perf_counter()
    while runner.step() or not runner.assignment:
        pass
    elapsed = time.perf_counter() - started
    runner.close()
    return elapsed


def written(log: EventLog, topic: str) -> int:
    """How many records a topic has."""
    return sum(log.watermarks(TopicPartition(topic, number)).high for number in range(PARTITIONS))


def main(events: int = 400_000, rounds: int = 3) -> None:
    """Print the rates of both workloads and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder))
        fill(log, events)
        print(f"{events:,} events, {KEYS:,} keys, {rounds} rounds, medians")
        for name, build, by_hand in (
            ("windowed count", count_topology, count_by_hand),
            ("stream-stream join", join_topology, join_by_hand),
        ):
            loop, ours = [], []
            for n in range(rounds):
                topology, topic = build(f"streambank-{n}")
                count = sum(written(log, source.name) for source in topology.source_topics)
                gc.collect()
                loop.append(count / by_hand(log, f"{by_hand.__name__}-{n}", count))
                gc.collect()
                ours.append(count / with_streambank(log, f"{build.__name__}-{n}", topology))
            hand_topic = topic.name.replace(f"streambank-{rounds - 1}", f"{by_hand.__name__}-{rounds - 1}")
            if written(log, hand_topic) != written(log, topic.name):
                raise SystemExit(f"{name}: the loop and streambank wrote different numbers of records")
            ratio = statistics.median(b / a for a, b in zip(loop, ours, strict=True))
            print(
                f"  {name:<19} loop {statistics.median(loop):>9,.0f}/s  streambank {statistics.median(ours):>9,.0f}/s"
                f"  ratio {ratio:.2f}  {written(log, topic.name):,} results"
            )
        log.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
