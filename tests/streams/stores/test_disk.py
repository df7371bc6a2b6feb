"""Stores on disk: they say what those in memory say, and after a restart go on from where they were."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams import workload
from tests.streams.support import ANY, IN, OUT, TABLE, topic

from streambank.log import EventLog, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import (
    LONG,
    STRING,
    Processor,
    ProcessorContext,
    Record,
    RestoreProgress,
    StoreError,
    StoreSpec,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    Topology,
)
from streambank.streams.stores import disk
from streambank.streams.stores.disk import DiskStore, DiskStores
from streambank.streams.stores.key_value import KeyValueStore
from streambank.streams.testing import TopologyTestDriver

SPEC = StoreSpec("s", STRING, LONG)
CHANGELOG = TopicPartition("app-s-changelog", 0)
HALF_A_DAY_MS = 43_200_000


@pytest.fixture
def log() -> Iterator[EmbeddedLog]:
    with EmbeddedLog.open(None) as opened:
        opened.create_topics([topic(CHANGELOG.topic, cleanup_policy="compact").config])
        yield opened


def opened(folder: Path, log: EventLog, now: int = 0, spec: StoreSpec = SPEC) -> DiskStore:
    store = DiskStores(folder, log, lambda: now).create(spec, None, CHANGELOG)
    store.open()
    return store


def commit(store: DiskStore, offset: int, **entries: int | None) -> None:
    for key, value in entries.items():
        store.put(key, value, 10 + offset, store.get(key))
    store.committed()
    store.reached(offset)


def counting() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


def restored(driver: TopologyTestDriver, start: Callable[[], None]) -> dict[str, tuple[int, int]]:
    """What a start of the driver's application reads: by changelog, from which offset and how many records."""
    found: dict[str, tuple[int, int]] = {}

    def note(progress: RestoreProgress) -> None:
        found[str(progress.changelog)] = (progress.start, progress.records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streambank.streams.task_manager.log_restore", note)
        start()
    return found


class Steps:
    """The same steps on a store on disk and on one in memory."""

    def __init__(self, folder: Path, log: EventLog) -> None:
        self.folder, self.log = folder, log
        self.memory = KeyValueStore(SPEC, None)
        self.memory.record(True)
        self.disk = opened(folder, log)
        self.offset = 0

    def put(self, key: str, value: int | None) -> None:
        for store in (self.disk, self.memory):
            store.put(key, value, len(key), store.get(key))

    def commit(self) -> None:
        self.offset += 1
        for store in (self.disk, self.memory):
            store.committed()
            store.reached(self.offset)

    def rollback(self) -> None:
        self.disk.rollback()
        self.memory.rollback()

    def restart(self) -> None:
        self.rollback()
        self.disk.close(save=True)
        self.disk = opened(self.folder, self.log)

    def compare(self) -> None:
        for first, last in ((None, None), ("a", "b"), ("aa", None), (None, "a")):
            assert list(self.disk.range(first, last)) == list(self.memory.range(first, last))
        assert len(self.disk) == len(self.memory)
        assert all(self.disk.get(key) == self.memory.get(key) for key in KEYS)


KEYS = ["", "a", "aa", "b", "é"]
PUTS = st.tuples(st.just("put"), st.sampled_from(KEYS), st.one_of(st.none(), st.integers(-3, 3)))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(PUTS, st.sampled_from([("commit",), ("rollback",), ("restart",)])), max_size=30),
    st.sampled_from([1, 3, 1000]),
)
def test_it_says_what_a_store_in_memory_says(steps: list[Any], save_entries: int) -> None:
    with TemporaryDirectory() as folder, EmbeddedLog.open(None) as log, pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "SAVE_ENTRIES", save_entries)
        log.create_topics([topic(CHANGELOG.topic, cleanup_policy="compact").config])
        both = Steps(Path(folder), log)
        for name, *arguments in steps:
            getattr(both, name)(*arguments)
            both.compare()
        both.disk.close(save=False)


def test_a_restart_in_good_order_restores_nothing(tmp_path: Path) -> None:
    with TopologyTestDriver(counting(), state_dir=tmp_path) as driver:
        for key in "abca":
            driver.pipe(IN, key, 1)
        assert restored(driver, driver.restart) == {"test-n-changelog-0": (4, 0)}
        assert driver.store("n") == {"a": 2, "b": 1, "c": 1}
        driver.pipe(IN, "a", 1)
        assert driver.read(OUT)[-1] == ("a", 3, 4)


def test_after_a_crash_only_what_was_not_saved_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SAVE_ENTRIES", 3)
    with TopologyTestDriver(counting(), state_dir=tmp_path) as driver:
        for key in "abcab":
            driver.pipe(IN, key, 1)
        driver.write(IN, "a", 1)
        driver.crash_before_commit()
        assert driver.store("n") == {"a": 3, "b": 2, "c": 1}
        assert restored(driver, driver.crash) == {"test-n-changelog-0": (6, 0)}
        driver.pipe(IN, "z", 1)
        assert restored(driver, driver.crash) == {"test-n-changelog-0": (6, 1)}
        assert driver.store("n") == {"a": 3, "b": 2, "c": 1, "z": 1}


def test_a_restore_that_is_broken_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.streams.restore.READ_RECORDS", 1)
    monkeypatch.setattr(disk, "SAVE_ENTRIES", 2)
    config = StreamsConfig(application_id="test", store="rocksdb", state_dir=tmp_path)

    def break_off(progress: RestoreProgress) -> None:
        if progress.records == 3:
            raise InterruptedError

    with TopologyTestDriver(counting()) as driver:
        for key in "abcde":
            driver.pipe(IN, key, 1)
        driver.runner.close()
        runner = StreamRunner(counting(), driver.log, config, on_restore=break_off)
        with pytest.raises(InterruptedError):
            runner.step()
        runner.close()
        seen: list[RestoreProgress] = []
        runner = StreamRunner(counting(), driver.log, config, on_restore=seen.append)
        runner.step()
        assert (seen[0].offset, seen[-1].records) == (2, 3)
        assert len(runner.stores("n")[0]) == 5
        runner.close()


@pytest.mark.parametrize("crash", [False, True])
def test_tables_and_outputs_that_are_changelogs_too(tmp_path: Path, crash: bool) -> None:
    compacted = topic("totals", cleanup_policy="compact")
    builder = StreamBuilder()
    joined = builder.stream(IN).left_join(builder.table(TABLE), lambda value, row: [value, row], value=ANY)
    joined.group_by_key().count(name="n").to_stream().to(compacted)
    joined.to(OUT)
    with TopologyTestDriver(builder.build(), state_dir=tmp_path) as driver:
        driver.pipe(TABLE, "a", "row", 1)
        driver.pipe(IN, "a", 1, 2)
        driver.write(TABLE, "a", "later", 3)
        driver.crash_before_commit()
        start = driver.crash if crash else driver.restart
        expected = {"table-0": (0, 2), "totals-0": (0, 1)} if crash else {"table-0": (2, 0), "totals-0": (1, 0)}
        assert restored(driver, start) == expected
        driver.pipe(IN, "a", 2, 4)
        assert driver.read(OUT) == [("a", [1, "row"], 2), ("a", [2, "later"], 4)]
        assert driver.read(compacted) == [("a", 1, 2), ("a", 2, 4)]


def test_a_failed_record_is_rolled_back_without_a_restore(tmp_path: Path) -> None:
    def refuse(value: int) -> int:
        if value < 0:
            raise ValueError("negative")
        return value

    builder = StreamBuilder()
    counts = builder.stream(IN).group_by_key().aggregate(lambda: 0, lambda _k, v, n: n + v, name="n", value=ANY)
    counts.to_stream().map_values(refuse, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), state_dir=tmp_path, on_error="dead-letter") as driver:

        def run() -> None:
            for value in (1, -5, 2):
                driver.write(IN, "a", value)
            driver.run()

        assert restored(driver, run) == {}
        assert driver.store("n") == {"a": 3}
        assert len(driver.dead_letters) == 1


def test_state_of_another_log_is_loaded_anew(tmp_path: Path) -> None:
    for keys in ("ab", "c"):
        with TopologyTestDriver(counting(), state_dir=tmp_path) as driver:
            assert driver.store("n") == {}
            for key in keys:
                driver.pipe(IN, key, 1)
            assert driver.store("n") == dict.fromkeys(keys, 1)


@pytest.mark.parametrize(("age_ms", "read"), [(HALF_A_DAY_MS, (2, 0)), (HALF_A_DAY_MS + 1, (0, 2))])
def test_state_so_old_that_tombstones_may_be_gone_is_loaded_anew(
    tmp_path: Path, age_ms: int, read: tuple[int, int]
) -> None:
    with TopologyTestDriver(counting(), state_dir=tmp_path) as driver:
        driver.pipe(IN, "a", 1)
        driver.pipe(IN, "b", 1)
        driver.restart()
        driver.advance_wall_clock(age_ms)
        assert restored(driver, driver.crash) == {"test-n-changelog-0": read}
        assert driver.store("n") == {"a": 1, "b": 1}


def test_the_log_is_durable_before_the_store_is(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the store could have what a crash of the machine takes from the log.
    store = opened(tmp_path, log)
    order: list[str] = []
    monkeypatch.setattr(log, "flush", lambda: order.append(f"log, {store._opened.get(b'a') is not None}"))
    commit(store, 1, a=1)
    store.close(save=True)
    assert order == ["log, False"]


def test_damage_is_mended_from_the_changelog(tmp_path: Path) -> None:
    with TopologyTestDriver(counting(), state_dir=tmp_path) as driver:
        driver.pipe(IN, "a", 1)
        driver.runner.close()
        (tmp_path / "test" / "n-0" / "CURRENT").write_text("junk")
        assert restored(driver, driver._start) == {"test-n-changelog-0": (0, 1)}
        assert driver.store("n") == {"a": 1}


def test_a_folder_that_cannot_be_made_is_named(log: EmbeddedLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"store 's' in .*file/app/s-0 cannot be"):
        opened(tmp_path / "file" / "app", log)


def test_a_store_in_use_is_waited_for(log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(tmp_path, log)
    commit(first, 1, a=1)
    waiting = threading.Event()
    real_sleep = time.sleep

    def sleep(seconds: float) -> None:
        waiting.set()
        real_sleep(seconds)

    monkeypatch.setattr("streambank.streams.stores.disk.time.sleep", sleep)

    def close_in_a_while() -> None:
        waiting.wait(20)
        first.close(save=True)

    closing = threading.Thread(target=close_in_a_while)
    closing.start()
    second = opened(tmp_path, log)
    closing.join()
    assert dict(second.items()) == {"a": (1, 11)}
    monkeypatch.setattr(disk, "LOCK_WAIT_S", 0.0)
    with pytest.raises(StoreError, match=r"store 's' in .* is in use by another member"):
        opened(tmp_path, log)
    assert dict(second.items()) == {"a": (1, 11)}
    second.close(save=False)


def test_two_members_with_one_folder_hand_over_without_a_restore(tmp_path: Path) -> None:
    config = StreamsConfig(application_id="app", poll_timeout_s=0.01, store="rocksdb", state_dir=tmp_path)
    with EmbeddedLog.open(None) as log:
        workload.write_inputs(log, 300)
        first = StreamRunner(workload.build(), log, config)
        while not workload.done(log, "app"):
            first.step()

        def run() -> None:
            first.run()
            first.close()

        thread = threading.Thread(target=run)
        thread.start()
        seen: list[RestoreProgress] = []
        second = StreamRunner(workload.build(), log, config, on_restore=seen.append)
        deadline = time.monotonic() + 20
        while not seen:
            second.step(0.01)
            assert time.monotonic() < deadline
        first.stop()
        thread.join()
        while len(second.stores("count")) < 2:
            second.step(0.01)
            assert time.monotonic() < deadline
        assert sum(progress.records for progress in seen) == 0
        counts = {key: stored[0] for part in second.stores("count") for key, stored in part.items()}
        assert counts == {int(key): values[-1] for key, values in workload.by_key(log, "counts").items()}
        second.close()


def test_what_another_program_wrote_is_named_and_is_no_failure_of_the_record(tmp_path: Path) -> None:
    with TopologyTestDriver(counting(), state_dir=tmp_path, on_error="dead-letter") as driver:
        driver.pipe(IN, "a", 1)
        driver.restart()
        (store,) = driver.runner.stores("n")
        assert isinstance(store, DiskStore)
        store._opened[b"e" + ANY.serialize("a")] = b"12345678junk"
        with pytest.raises(StoreError, match="store 'n' has an entry that cannot be decoded"):
            driver.pipe(IN, "a", 1)
        assert driver.dead_letters == []


class Broken:
    """A database one of whose methods fails."""

    def __init__(self, store: DiskStore, method: str) -> None:
        self._database, self._method = store._opened, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise OSError("the disk is gone")
        return getattr(self._database, name)


def broken(driver: TopologyTestDriver, method: str) -> None:
    (store,) = driver.runner.stores("n")
    assert isinstance(store, DiskStore)
    store._database = cast("Any", Broken(store, method))


def test_a_store_that_cannot_be_read_is_no_failure_of_the_record(tmp_path: Path) -> None:
    with TopologyTestDriver(counting(), state_dir=tmp_path, on_error="dead-letter") as driver:
        driver.pipe(IN, "a", 1)
        broken(driver, "get")
        with pytest.raises(StoreError, match=r"store 'n' in .*n-0 cannot be read: the disk is gone"):
            driver.pipe(IN, "b", 1)
        assert driver.dead_letters == []


def test_a_store_that_cannot_be_saved_stops_the_application_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "SAVE_ENTRIES", 1)
    with TopologyTestDriver(counting(), state_dir=tmp_path) as driver:
        driver.pipe(IN, "a", 1)
        broken(driver, "write")
        with pytest.raises(StoreError, match=r"store 'n' in .*n-0 cannot be written: the disk is gone"):
            driver.pipe(IN, "a", 1)
        assert driver.store("n") == {"a": 2}
        assert restored(driver, driver.restart) == {"test-n-changelog-0": (1, 1)}
        assert driver.store("n") == {"a": 2}


def test_state_of_processors(tmp_path: Path) -> None:
    class Remember(Processor[str, int, str, int]):
        def process(self, record: Record[str, int], context: ProcessorContext[str, int]) -> None:
            seen = context.store("seen")
            seen.put(record.key, record.value)
            for key, value in seen.range("b", "c"):
                context.forward(key, value)

    builder = StreamBuilder()
    builder.stream(IN).process(Remember, name="p", stores=(StoreSpec("seen", STRING, LONG),)).to(OUT)
    with TopologyTestDriver(builder.build(), state_dir=tmp_path) as driver:
        for key in "dcba":
            driver.pipe(IN, key, ord(key))
            driver.restart()
        assert [(key, value) for key, value, _ in driver.read(OUT)] == [
            ("c", 99),
            *[("b", 98), ("c", 99)],
            *[("b", 98), ("c", 99)],
        ]


def test_a_store_that_is_not_open_says_so(log: EmbeddedLog, tmp_path: Path) -> None:
    store = opened(tmp_path, log)
    store.close(save=False)
    store.close(save=True)
    with pytest.raises(StoreError, match="store 's' on disk is not open"):
        list(store.items())
