"""What the tests run in processes of their own: ``python child.py ROLE FOLDER [ARGUMENTS]``."""

import sys
import time
from collections.abc import Collection
from pathlib import Path

from streambank.log import FencedError, GroupMetadata, OffsetAndMetadata, TopicPartition
from streambank.log.embedded import EmbeddedLog

SOURCE = TopicPartition("source", 0)


def say(*words: object) -> None:
    print(*words, flush=True)


def write(log: EmbeddedLog, name: str, transactions: str) -> None:
    """Transactions of one record in each of two topics and three in a third."""
    producer = log.producer()
    for number in range(int(transactions)):
        with producer.transaction() as transaction:
            text = f"{name}:{number}".encode()
            transaction.append("left", text, timestamp=number, partition=0)
            transaction.append("right", text, timestamp=number, partition=0)
            transaction.append_columns(TopicPartition("many", 0), [number] * 3, [None] * 3, [text] * 3)
    say("done")


def copy(log: EmbeddedLog) -> None:
    """Copy the source to two topics for ever, outputs and position in one transaction."""
    producer = log.producer()
    position = log.committed("copy").get(SOURCE, OffsetAndMetadata(0)).offset
    say("ready")
    while True:
        batch = log.read(SOURCE, position, 1)
        if not len(batch):
            log.wait({SOURCE: position}, 1.0)
            continue
        with producer.transaction() as transaction:
            for topic in ("left", "right"):
                transaction.append_columns(TopicPartition(topic, 0), batch.timestamps, batch.keys, batch.values)
            transaction.commit_offsets(GroupMetadata("copy"), {SOURCE: OffsetAndMetadata(batch.next_offset)})
        position = batch.next_offset


def member(log: EmbeddedLog) -> None:
    """Be a member until killed."""
    consumer = log.consumer("group", ["orders"])
    consumer.poll(1, 0.0)
    say("ready", len(consumer.assignment))
    while True:
        consumer.poll(10, 0.1)


class _Teller:
    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        say("assigned", len(partitions))

    def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        say("revoked", len(partitions))

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        say("lost", len(partitions))


def sleeper(log: EmbeddedLog) -> None:
    """Poll once; on a line of input commit what was polled then, and poll again."""
    consumer = log.consumer("group", ["orders"], listener=_Teller())
    consumer.poll(1, 0.0)
    before = consumer.metadata
    say("ready")
    sys.stdin.readline()
    try:
        with log.producer().transaction() as transaction:
            transaction.append("left", b"zombie", timestamp=0)
            transaction.commit_offsets(before, {TopicPartition("orders", 3): OffsetAndMetadata(0)})
        say("committed")
    except FencedError:
        say("fenced")
    consumer.poll(1, 0.0)
    say("rejoined" if consumer.metadata.member_id != before.member_id else "same member")


def echo(log: EmbeddedLog) -> None:
    """Say for each record how many microseconds ago its value, a monotonic time in ns, was."""
    consumer = log.consumer("echo", ["source"])
    consumer.poll(1, 0.0)
    say("ready")
    while True:
        for batch in consumer.poll(100, 10.0):
            now = time.monotonic_ns()
            for value in batch.values:
                say((now - int(value or b"0")) // 1000)


ROLES = {role.__name__: role for role in (write, copy, member, sleeper, echo)}


def main() -> None:
    role, folder, *arguments = sys.argv[1:]
    with EmbeddedLog.open(Path(folder), session_timeout_ms=400 if role == "sleeper" else 10_000) as log:
        ROLES[role](log, *arguments)


if __name__ == "__main__":
    main()
