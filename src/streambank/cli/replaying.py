"""What ``streambank replay`` does: choose records, and write them again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from heapq import merge
from itertools import islice

from streambank.cli.reading import offset_at, require_topic
from streambank.cli.selecting import Filter, in_time_order
from streambank.log import EventLog, Record, TopicPartition, encode_headers

HEADER = "replayed-from"
"""Topic, partition and offset of the record that was replayed."""

TRANSACTION_RECORDS = 1_000


class Replay:
    """The chosen records, as of when it is made: what comes later is not replayed."""

    def __init__(self, log: EventLog, topic: str, into: str, chosen: Filter, start: str, until: str) -> None:
        """Raises CommandError, UsageError."""
        count = require_topic(log, topic)
        self._log, self._into, self._filter = log, into, chosen
        self._config = log.topics()[topic]
        self._ranges = {
            at: (offset_at(log, at, start, "--from"), offset_at(log, at, until, "--until"))
            for at in (TopicPartition(topic, number) for number in chosen.partitions(count))
        }

    def count(self) -> int:
        """How many records there are."""
        return sum(1 for _ in self._records())

    def run(self, rate: float | None = None) -> int:
        """Write them, at most so many a second; how many."""
        from rich.console import Console
        from rich.progress import Progress

        same_places = self._make_topic()
        written, began_s = 0, time.monotonic()
        total = self.count() if sys.stderr.isatty() else None
        size = TRANSACTION_RECORDS if rate is None else max(1, min(TRANSACTION_RECORDS, round(rate / 10)))
        records = self._records()
        with (
            Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar,
            closing(self._log.producer()) as producer,
        ):
            task = bar.add_task("replaying", total=total)
            while batch := list(islice(records, size)):
                with producer.transaction() as transaction:
                    for record in batch:
                        transaction.append(
                            self._into,
                            record.value,
                            timestamp=record.timestamp,
                            key=record.key,
                            headers=encode_headers([*record.headers, (HEADER, _place(record))]),
                            partition=record.partition if same_places else None,
                        )
                written += len(batch)
                bar.update(task, completed=written)
                if rate is not None:
                    time.sleep(max(0.0, began_s + written / rate - time.monotonic()))
        return written

    def _make_topic(self) -> bool:
        """Make the other topic if there is none; whether it has as many partitions."""
        existing = self._log.topics().get(self._into)
        if existing is None:
            self._log.create_topics([replace(self._config, name=self._into)])
        return existing is None or existing.partitions == self._config.partitions

    def _records(self) -> Iterator[Record]:
        found = (self._filter.records(self._log, at, *bounds) for at, bounds in self._ranges.items())
        return merge(*found, key=in_time_order)


def _place(record: Record) -> bytes:
    return f"{record.topic}-{record.partition}-{record.offset}".encode()
