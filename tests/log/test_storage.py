"""The data folder: its format, damage to it, and a disk that is full."""

import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.log.conformance import drain, everything, put, values_of

from streambank.log import (
    ClosedError,
    LogError,
    StorageCorruptError,
    StorageFullError,
    StorageVersionError,
    TopicConfig,
    TopicPartition,
)
from streambank.log.embedded import EmbeddedLog
from streambank.log.embedded.schema import FORMAT_VERSION, log_file

P0 = TopicPartition("single", 0)
SINGLE = TopicConfig(name="single", partitions=1)


def filled(folder: Path, count: int = 50) -> str:
    with EmbeddedLog.open(folder) as log:
        log.create_topics([SINGLE])
        for number in range(count):
            put(log, "single", f"{number}-" + "x" * 500)
        return log.log_id


def put_until_full(log: EmbeddedLog, records: int) -> None:
    for _ in range(200):
        put(log, "single", *["x" * 1000] * records)


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    log_id = filled(folder)
    with EmbeddedLog.open(folder) as log:
        assert log.log_id == log_id
        assert log.topics() == {"single": SINGLE}
        assert len(values_of(log, P0)) == 50
        put(log, "single", "next")
        assert log.watermarks(P0) == (0, 51)


def test_only_the_owner_can_look_in(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    filled(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(log_file(folder).stat().st_mode) == 0o600


def test_every_log_has_another_id(tmp_path: Path) -> None:
    assert len({filled(tmp_path / name, 1) for name in "abc"}) == 3


def test_committed_data_survives_a_copy_without_closing(tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path / "log") as log:
        log.create_topics([SINGLE])
        put(log, "single", "a", "b")
        shutil.copytree(tmp_path / "log", tmp_path / "copy", ignore=shutil.ignore_patterns("wake"))
    with EmbeddedLog.open(tmp_path / "copy") as copy:
        assert values_of(copy, P0) == ["a", "b"]


def _other_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    connection.close()


def _other_application(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


def _text(path: Path) -> None:
    path.write_text("not a database " * 1000)


def _halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _stub(path: Path) -> None:
    os.truncate(path, 60)


@pytest.mark.parametrize("damage", [_other_version, _other_application, _text, _halved, _emptied, _stub])
def test_what_is_no_log_is_refused_and_left_alone(damage: Callable[[Path], None], tmp_path: Path) -> None:
    filled(tmp_path)
    path = log_file(tmp_path)
    damage(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StorageVersionError, match=r"log\.db") as refusal:
            EmbeddedLog.open(tmp_path)
        assert any(word in str(refusal.value) for word in ("choose another folder", "backup"))
    assert path.read_bytes() == before


def test_a_newer_format_names_both_versions(tmp_path: Path) -> None:
    filled(tmp_path)
    _other_version(log_file(tmp_path))
    with pytest.raises(StorageVersionError, match=f"format {FORMAT_VERSION + 1}.*format {FORMAT_VERSION}"):
        EmbeddedLog.open(tmp_path)


def test_a_creation_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "log.db.new").write_bytes(b"half a file")
    (tmp_path / "log.db.new-journal").write_bytes(b"")
    filled(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("log.db*")) == ["log.db"]


def test_threads_that_open_a_new_folder_at_once_get_one_log(tmp_path: Path) -> None:
    logs: list[EmbeddedLog] = []
    threads = [threading.Thread(target=lambda: logs.append(EmbeddedLog.open(tmp_path / "log"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({log.log_id for log in logs}) == 1
    assert len(logs) == 6
    for log in logs:
        log.close()


def test_a_changed_byte_is_noticed_when_read(tmp_path: Path) -> None:
    filled(tmp_path)
    with sqlite3.connect(log_file(tmp_path)) as connection:
        connection.execute(
            "UPDATE batches SET payload = CAST(replace(payload, x'7878', x'7879') AS BLOB) WHERE base_offset = 7"
        )
    connection.close()
    with EmbeddedLog.open(tmp_path) as log:
        assert len(log.read(P0, 0, max_records=7)) == 7
        with pytest.raises(StorageCorruptError, match=r"single-0.*offsets 7 to 7.*backup"):
            log.read(P0, 7)


def test_the_size_limit(tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path, size_max_bytes=400_000, background_cleaning=False) as log:
        log.create_topics([TopicConfig(name="single", partitions=1, retention_ms=0)])
        with pytest.raises(StorageFullError, match="space"):
            put_until_full(log, 20)
        written = log.watermarks(P0).high
        assert 100 < written < 400
        assert written % 20 == 0, "the transaction that did not fit left nothing"
        assert len(everything(log, P0)) == written
        with pytest.raises(StorageFullError):
            put(log, "single", *["x" * 1000] * 20)
        log.clean()
        put(log, "single", "fits again")
        assert values_of(log, P0) == ["fits again"]
    with EmbeddedLog.open(tmp_path) as log:
        put(log, "single", *["x" * 1000] * 400)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", place], capture_output=True)
        if mounted.returncode:
            pytest.skip("a small file system can only be mounted by root")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with EmbeddedLog.open(small_disk / "log") as log:
        log.create_topics([SINGLE])
        put(log, "single", "first")
        free = os.statvfs(small_disk)
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 65_536))
        with pytest.raises(StorageFullError, match="nothing was written"):
            put_until_full(log, 10)
        written = log.watermarks(P0).high
        assert written % 10 == 1
        assert len(everything(log, P0)) == written
        filler.unlink()
        put(log, "single", "again")
        assert len(everything(log, P0)) == written + 1
    with EmbeddedLog.open(small_disk / "log") as log:
        assert values_of(log, P0)[0] == "first"
        assert values_of(log, P0)[-1] == "again"


def test_threads_share_a_log(tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path, synchronous="OFF") as log:
        log.create_topics([SINGLE])
        consumer = log.consumer("group", ["single"])

        def write(name: str) -> None:
            for number in range(50):
                put(log, "single", f"{name}:{number}")

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        seen = [(record.value or b"").decode() for record in drain(consumer, 200)]
        for thread in threads:
            thread.join()
        assert seen == values_of(log, P0)
        for name in "abcd":
            assert [text for text in seen if text[0] == name] == [f"{name}:{number}" for number in range(50)]


def test_closing_while_a_thread_polls(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path)
    log.create_topics([SINGLE])
    consumer = log.consumer("group", ["single"])
    errors: list[Exception] = []

    def poll() -> None:
        try:
            while True:
                consumer.poll(1, 30.0)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=poll)
    thread.start()
    log.close()
    thread.join(10)
    assert [type(error) for error in errors] == [ClosedError]


@pytest.mark.parametrize(
    "settings",
    [{"synchronous": "SOMETIMES"}, {"session_timeout_ms": 0}, {"size_max_bytes": 0}, {"record_max_bytes": 0}],
)
def test_settings_are_checked(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        EmbeddedLog.open(tmp_path / "log", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "log").exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(LogError, match="choose a folder"):
        EmbeddedLog.open(tmp_path / "log")
