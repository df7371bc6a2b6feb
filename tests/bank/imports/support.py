"""What the tests of imports share."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streambank.bank.events import BALANCE_CHANGED, BalanceChanged
from streambank.bank.imports import CsvOverrides, CsvSource, ImportedEntry, ImportedUser, Source, detect
from streambank.bank.imports.entries import Tally
from streambank.log import EventLog, Record, TopicPartition
from streambank.log.embedded import EmbeddedLog

OWNER = ImportedUser(user_id="user-1", email="one@example.org", name="One")
NOW_MS = 1_750_000_000_000


def clock() -> int:
    return NOW_MS


def memory_log() -> EmbeddedLog:
    return EmbeddedLog.open(None)


def csv_file(folder: Path, content: str | bytes, name: str = "bank.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def source(path: Path, **overrides: Any) -> CsvSource:
    given: dict[str, Any] = {"account": "Main", "currency": "EUR", **overrides}
    return CsvSource(detect(path, CsvOverrides(**given)), OWNER)


def read(source: Source) -> tuple[list[ImportedEntry], Tally]:
    tally = Tally()
    return list(source.entries(tally)), tally


def records(log: EventLog, topic: str) -> list[Record]:
    found: list[Record] = []
    config = log.topics().get(topic)
    for partition in range(config.partitions if config is not None else 0):
        place = TopicPartition(topic, partition)
        offset, end = log.watermarks(place)
        while offset < end:
            batch = log.read(place, offset)
            found.extend(batch)
            offset = batch.next_offset
    return found


def booked(log: EventLog) -> dict[str, list[BalanceChanged]]:
    accounts: dict[str, list[BalanceChanged]] = defaultdict(list)
    for record in records(log, BALANCE_CHANGED.name):
        assert record.value is not None
        event = BALANCE_CHANGED.value.deserialize(record.value)
        assert record.timestamp == event.timestamp
        accounts[event.account_id].append(event)
    return accounts


def assert_gapless(accounts: Iterable[list[BalanceChanged]]) -> None:
    for entries in accounts:
        assert [entry.account_seq for entry in entries] == list(range(1, len(entries) + 1))
        assert len({entry.entry_id for entry in entries}) == len(entries)
