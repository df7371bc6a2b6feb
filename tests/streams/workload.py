"""One small workload with everything in it, and what it leaves in a log: for tests that crash it in every way.

changes --sum--> balances (compacted) --join thresholds (a table)--> alerts
        --by value, through a repartition topic--> counts (internal changelog)
"""

import random
from collections.abc import Callable
from typing import Any

from tests.streams.support import ANY, topic

from streambank.log import EventLog, TopicPartition
from streambank.streams import StreamBuilder, Topology

PARTITIONS = 2

CHANGES, THRESHOLDS = topic("changes", partitions=PARTITIONS), topic("thresholds", partitions=PARTITIONS)
BALANCES = topic("balances", partitions=PARTITIONS, cleanup_policy="compact")
ALERTS, COUNTS = topic("alerts", partitions=PARTITIONS), topic("counts", partitions=PARTITIONS)

INPUTS = (CHANGES.name, THRESHOLDS.name)
EXACT = (BALANCES.name, ALERTS.name)
"""Outputs that are the same record for record however the work is cut into transactions."""


def build(seen: Callable[[Any, Any], object] = lambda _key, _value: None) -> Topology:
    """The topology; ``seen`` is called with each change before anything is done with it."""
    builder = StreamBuilder()
    changes = builder.stream(CHANGES).peek(seen)
    balances = changes.group_by_key().reduce(lambda total, change: total + change, name="balance")
    balances.to_stream().to(BALANCES)
    crossed = balances.to_stream().join(builder.table(THRESHOLDS), lambda total, limit: [total, limit], value=ANY)
    crossed.filter(lambda _key, both: both[0] < both[1]).to(ALERTS)
    changes.group_by(lambda _key, change: abs(change) % 5, key=ANY).count(name="count").to_stream().to(COUNTS)
    return builder.build()


def write_inputs(log: EventLog, count: int, seed: int = 7) -> None:
    """Changes, one a millisecond, and now and then a threshold that is set, moved or deleted in between."""
    log.create_topics([CHANGES.config, THRESHOLDS.config])
    chance = random.Random(seed)
    producer = log.producer()
    for timestamp in range(count):
        name = f"account-{chance.randrange(5)}"
        with producer.transaction() as transaction:
            if chance.random() < 0.2:
                THRESHOLDS.write(transaction, name, chance.choice([None, 0, 20, 50]), timestamp)
            else:
                CHANGES.write(transaction, name, chance.randrange(-30, 30), timestamp)
    producer.close()


def contents(log: EventLog, name: str) -> list[list[tuple[Any, ...]]]:
    """A topic's records, partition by partition: offset, timestamp, key, value, headers."""
    partitions = []
    for number in range(log.topics()[name].partitions):
        offset, records = 0, []
        while batch := log.read(TopicPartition(name, number), offset):
            records += [record[2:] for record in batch]
            offset = batch.next_offset
        partitions.append(records)
    return partitions


def by_key(log: EventLog, name: str) -> dict[Any, list[Any]]:
    """The values of each key, in order."""
    values: dict[Any, list[Any]] = {}
    for records in contents(log, name):
        for _offset, _timestamp, key, value, _headers in records:
            values.setdefault(key, []).append(None if value is None else ANY.deserialize(value))
    return values


def outcome(log: EventLog) -> dict[str, Any]:
    """What must be the same whatever happened on the way."""
    return {name: contents(log, name) for name in EXACT} | {COUNTS.name: by_key(log, COUNTS.name)}


def done(log: EventLog, application_id: str) -> bool:
    """Whether every input, internal ones too, is processed and committed."""
    committed = log.committed(application_id)
    names = (*INPUTS, f"{application_id}-count-repartition")
    partitions = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
    return all(log.watermarks(at).high == (committed[at].offset if at in committed else 0) for at in partitions)
