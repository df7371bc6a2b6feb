"""What ``streambank tail`` does: where to begin, what to leave out, and how a record is printed."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from heapq import merge
from typing import Any

from streambank.bank.events import USER_KEY
from streambank.cli.formats import rfc3339
from streambank.cli.output import Format, print_json, print_json_line, printable
from streambank.cli.personal import Keys
from streambank.cli.reading import offset_at, require_topic
from streambank.cli.selecting import Filter, in_time_order
from streambank.log import EventLog, Record, TopicPartition

LAST_RECORDS = 10
FOLLOW_WAIT_S = 0.5


class Tail:
    """Prints records of one topic."""

    def __init__(
        self, log: EventLog, topic: str, chosen: Filter, output: Format, *, headers: bool = False, unseal: bool = False
    ) -> None:
        """``headers``: show those too. ``unseal``: open what is personal in the values."""
        self._log = log
        self._filter = chosen
        self._output = output
        self._headers = headers
        self._unseal = unseal
        self._keys = Keys()
        self._keys_read_to: list[int] | None = None
        count = require_topic(log, topic)
        self._partitions = [TopicPartition(topic, number) for number in chosen.partitions(count)]
        # Where to read on; set by print_first.
        self._positions: dict[TopicPartition, int] = {}

    def print_first(self, start: str | None, lines: int | None) -> None:
        """Print from ``start`` on at most ``lines`` records, or without ``start`` the last ``lines``."""
        ends = {at: self._log.watermarks(at).high for at in self._partitions}
        self._positions = dict(ends)
        if start is None:
            self._print(self._last(LAST_RECORDS if lines is None else lines, ends))
            return
        starts = {at: offset_at(self._log, at, start, "--from") for at in self._partitions}
        self._print(
            _limited(
                merge(*(self._filter.records(self._log, at, starts[at], ends[at]) for at in ends), key=in_time_order),
                lines,
            )
        )

    def follow(self) -> None:
        """Print new records as they come, until interrupted."""
        while True:
            sys.stdout.flush()
            self._log.wait(self._positions, FOLLOW_WAIT_S)
            for at, position in self._positions.items():
                end = self._log.watermarks(at).high
                self._print(self._filter.records(self._log, at, max(position, self._log.watermarks(at).low), end))
                self._positions[at] = max(position, end)

    def _last(self, lines: int, ends: dict[TopicPartition, int]) -> Iterator[Record]:
        found = [record for at, end in ends.items() for record in self._last_of(at, lines, end)]
        found.sort(key=in_time_order)
        return iter(found[max(0, len(found) - lines) :])

    def _last_of(self, at: TopicPartition, lines: int, end: int) -> deque[Record]:
        low = self._log.watermarks(at).low
        reach = end - low if self._filter.selective else lines
        while True:
            # Compaction leaves gaps: reach further back until there are enough.
            found = deque(self._filter.records(self._log, at, max(low, end - reach), end), maxlen=lines)
            if len(found) == lines or reach >= end - low:
                return found
            reach = max(reach, 1) * 4

    def _print(self, records: Iterator[Record]) -> None:
        if self._unseal:
            self._read_keys()
        if self._output == "json":
            print_json([self._item(record) for record in records])
        elif self._output == "jsonl":
            for record in records:
                print_json_line(self._item(record))
        else:
            for record in records:
                sys.stdout.write(self._line(record) + "\n")

    def _read_keys(self) -> None:
        """Again only if there are others now: following looks twice a second."""
        topic = self._log.topics().get(USER_KEY.name)
        places = [TopicPartition(USER_KEY.name, number) for number in range(topic.partitions if topic else 0)]
        ends = [self._log.watermarks(at).high for at in places]
        if ends != self._keys_read_to:
            self._keys, self._keys_read_to = Keys.read(self._log), ends

    def _value(self, raw: bytes | None) -> Any:
        text = _text(raw)
        if text is None:
            return None
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return self._keys.unsealed_in(value) if self._unseal else value

    def _item(self, record: Record) -> dict[str, Any]:
        item = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": rfc3339(record.timestamp),
            "key": _text(record.key),
            "value": self._value(record.value),
        }
        if self._headers:
            item["headers"] = [[name, _text(value)] for name, value in record.headers]
        return item

    def _line(self, record: Record) -> str:
        value = self._value(record.value)
        shown = "(deleted)" if record.value is None else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
        place = f"{record.partition}-{record.offset}"
        line = f"{rfc3339(record.timestamp)}  {place:>9}  {printable(_text(record.key) or '-')}  {printable(shown)}"
        if self._headers:
            line += "".join(f"\n    {printable(name)}: {printable(_text(raw) or '')}" for name, raw in record.headers)
        return line


def _limited(records: Iterator[Record], lines: int | None) -> Iterator[Record]:
    for number, record in enumerate(records):
        if lines is not None and number >= lines:
            return
        yield record


def _text(raw: bytes | None) -> str | None:
    """UTF-8 as text, anything else as hexadecimal digits after ``0x``."""
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
