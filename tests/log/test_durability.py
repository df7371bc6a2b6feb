"""What a crash of the machine takes: nothing durable, and of the rest only the end.

The crash is a copy of the folder whose write-ahead log is cut off where it was last flushed to the disk.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from streambank.log import TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog

T0 = TopicPartition("t", 0)


class Disk:
    """Knows how much of the write-ahead log is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._flushed_bytes = 0

    def flushed(self) -> None:
        """The whole file is on the disk now."""
        self._flushed_bytes = self._wal.stat().st_size

    def after_crash(self, folder: Path) -> EmbeddedLog:
        """The log as the next start finds it."""
        folder.mkdir()
        shutil.copy(self.folder / "log.db", folder / "log.db")
        shutil.copy(self._wal, folder / "log.db-wal")
        os.truncate(folder / "log.db-wal", self._flushed_bytes)
        return EmbeddedLog.open(folder, background_cleaning=False)

    @property
    def _wal(self) -> Path:
        return self.folder / "log.db-wal"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog.open(tmp_path / "log", background_cleaning=False)
    log.create_topics([TopicConfig(name="t", partitions=1)])
    yield log
    log.close()


@pytest.fixture
def disk(log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(tmp_path / "log")
    disk.flushed()
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        real(descriptor)
        disk.flushed()

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return disk


def append(log: EmbeddedLog, *values: bytes, durable: bool) -> None:
    producer = log.producer()
    for value in values:
        with producer.transaction(durable=durable) as transaction:
            transaction.append("t", value, timestamp=0)
    producer.close()


def values(log: EmbeddedLog) -> list[bytes | None]:
    found = list(log.read(T0, 0).values)
    log.close()
    return found


def test_what_is_not_durable_may_go_and_leaves_the_rest_whole(log: EmbeddedLog, disk: Disk, tmp_path: Path) -> None:
    append(log, b"a", durable=True)
    disk.flushed()
    append(log, b"b", b"c", durable=False)
    assert values(disk.after_crash(tmp_path / "after")) == [b"a"]
    assert log.read(T0, 0).values == [b"a", b"b", b"c"]


def test_flush_saves_what_could_be_read(log: EmbeddedLog, disk: Disk, tmp_path: Path) -> None:
    append(log, b"a", b"b", durable=False)
    log.flush()
    append(log, b"c", durable=False)
    assert values(disk.after_crash(tmp_path / "after")) == [b"a", b"b"]


def test_durable_transactions_flush_by_themselves(tmp_path: Path) -> None:
    """SQLite's own calls cannot be watched from here; that they are asked for can."""
    with_setting = EmbeddedLog.open(tmp_path / "log", background_cleaning=False)
    with_setting.create_topics([TopicConfig(name="t", partitions=1)])
    database = with_setting._database
    found = []
    for durable in (True, False, True):
        append(with_setting, b"x", durable=durable)
        found.append(database._writer.execute("PRAGMA synchronous").fetchone()[0])
    with_setting.close()
    assert found == [2, 1, 2]  # FULL, NORMAL, FULL
