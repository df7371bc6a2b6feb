"""What ``streambank tail`` does: where to begin, what to leave out, and how a record is printed."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Any

from streambank.cli.errors import CommandError, UsageError
from streambank.cli.formats import parse_moment, rfc3339
from streambank.cli.output import Format, print_json, print_json_line, printable
from streambank.cli.reading import batches, require_topic
from streambank.clock import system_clock
from streambank.log import EventLog, Record, RecordBatch, TopicPartition, decode_headers, partition_for

LAST_RECORDS = 10
FOLLOW_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records to show."""

    partition: int | None = None
    key: str | None = None
    text: str | None = None

    def partitions(self, count: int) -> list[int]:
        """The partitions to read, of ``count``."""
        chosen = set(range(count))
        if self.partition is not None:
            if self.partition not in chosen:
                raise CommandError(f"--partition: the topic has partitions 0 to {count - 1}, not {self.partition}")
            chosen = {self.partition}
        return sorted(chosen)

    @property
    def selective(self) -> bool:
        """Whether it may leave out records of a partition that is read."""
        return self.key is not None or self.text is not None

    def rows(self, batch: RecordBatch) -> Iterator[int]:
        """The rows of the batch that are to be shown."""
        if not self.selective:
            yield from range(len(batch))
            return
        key = self.key.encode() if self.key is not None else None
        text = self.text.casefold() if self.text is not None else None
        for row in range(len(batch)):
            if (key is None or batch.keys[row] == key) and (text is None or text in _searchable(batch, row)):
                yield row


class Tail:
    """Prints records of one topic."""

    def __init__(self, log: EventLog, topic: str, chosen: Filter, output: Format, headers: bool) -> None:
        self._log = log
        self._filter = chosen
        self._output = output
        self._headers = headers
        count = require_topic(log, topic)
        self._partitions = [TopicPartition(topic, number) for number in chosen.partitions(count)]
        self._guess = partition_for(chosen.key.encode(), count) if chosen.key is not None else None
        # Where to read on; set by print_first.
        self._positions: dict[TopicPartition, int] = {}

    def print_first(self, start: str | None, lines: int | None) -> None:
        """Print from ``start`` on at most ``lines`` records, or without ``start`` the last ``lines``."""
        ends = {at: self._log.watermarks(at).high for at in self._partitions}
        self._positions = dict(ends)
        if start is None:
            self._print(self._last(LAST_RECORDS if lines is None else lines, ends))
            return
        starts = {at: self._start(at, start) for at in self._partitions}
        self._print(_limited(merge(*(self._shown(at, starts[at], ends[at]) for at in ends), key=_order), lines))

    def follow(self) -> None:
        """Print new records as they come, until interrupted."""
        while True:
            sys.stdout.flush()
            self._log.wait(self._positions, FOLLOW_WAIT_S)
            for at, position in self._positions.items():
                end = self._log.watermarks(at).high
                self._print(self._shown(at, max(position, self._log.watermarks(at).low), end))
                self._positions[at] = max(position, end)

    def _last(self, lines: int, ends: dict[TopicPartition, int]) -> Iterator[Record]:
        found = [record for at, end in ends.items() for record in self._last_of(at, lines, end)]
        found.sort(key=_order)
        return iter(found[max(0, len(found) - lines) :])

    def _last_of(self, at: TopicPartition, lines: int, end: int) -> deque[Record]:
        low = self._log.watermarks(at).low
        reach = end - low if self._filter.selective else lines
        while True:
            # Compaction leaves gaps: reach further back until there are enough.
            found = deque(self._shown(at, max(low, end - reach), end), maxlen=lines)
            if len(found) == lines or reach >= end - low:
                return found
            reach = max(reach, 1) * 4

    def _shown(self, at: TopicPartition, start: int, end: int) -> Iterator[Record]:
        if self._guess is not None and self._filter.partition is None and at.partition != self._guess:
            return
        for batch in batches(self._log, at, start, end):
            for row in self._filter.rows(batch):
                if batch.offsets[row] < end:
                    yield _record(batch, row)

    def _start(self, at: TopicPartition, text: str) -> int:
        low, high = self._log.watermarks(at)
        if text == "start":
            return low
        if text == "end":
            return high
        if text.startswith("@"):
            return self._log.offset_for_time(at, parse_moment(text[1:], system_clock(), "--from"))
        try:
            number = int(text)
        except ValueError:
            raise UsageError(
                f"--from: {text!r} is none of start, end, an offset, -N, @MOMENT such as @2026-11-01T10:00 or @-15m"
            ) from None
        return min(max(number, low), high) if not text.startswith("-") else max(low, high + number)

    def _print(self, records: Iterator[Record]) -> None:
        if self._output == "json":
            print_json([_item(record, self._headers) for record in records])
        elif self._output == "jsonl":
            for record in records:
                print_json_line(_item(record, self._headers))
        else:
            for record in records:
                sys.stdout.write(_line(record, self._headers) + "\n")


def _order(record: Record) -> tuple[int, int, int]:
    return record.timestamp, record.partition, record.offset


def _limited(records: Iterator[Record], lines: int | None) -> Iterator[Record]:
    for number, record in enumerate(records):
        if lines is not None and number >= lines:
            return
        yield record


def _record(batch: RecordBatch, row: int) -> Record:
    headers = decode_headers(batch.headers[row]) if batch.headers is not None else ()
    topic, partition = batch.topic_partition
    return Record(
        topic, partition, batch.offsets[row], batch.timestamps[row], batch.keys[row], batch.values[row], headers
    )


def _searchable(batch: RecordBatch, row: int) -> str:
    parts = [batch.keys[row], batch.values[row], batch.headers[row] if batch.headers is not None else None]
    return "\n".join(part.decode("utf-8", "replace") for part in parts if part is not None).casefold()


def _text(raw: bytes | None) -> str | None:
    """UTF-8 as text, anything else as hexadecimal digits after ``0x``."""
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"


def _value(raw: bytes | None) -> Any:
    text = _text(raw)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _item(record: Record, headers: bool) -> dict[str, Any]:
    item = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": rfc3339(record.timestamp),
        "key": _text(record.key),
        "value": _value(record.value),
    }
    if headers:
        item["headers"] = [[name, _text(value)] for name, value in record.headers]
    return item


def _line(record: Record, headers: bool) -> str:
    value = _value(record.value)
    shown = "(deleted)" if record.value is None else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    place = f"{record.partition}-{record.offset}"
    line = f"{rfc3339(record.timestamp)}  {place:>9}  {printable(_text(record.key) or '-')}  {printable(shown)}"
    if headers:
        line += "".join(f"\n    {printable(name)}: {printable(_text(raw) or '')}" for name, raw in record.headers)
    return line
