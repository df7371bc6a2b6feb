"""The demo on a log: history once, live entries at a rate, and going on after a stop or a kill."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from streambank.bank.demo import DemoError, DemoSource
from streambank.bank.events import ACCOUNT, BALANCE_CHANGED, USER_PROFILE, BalanceChanged, Origin
from streambank.clock import system_clock
from streambank.log import TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams.topic import Topic

DAY_MS = 86_400_000
NOW_MS = 1_750_000_000_000


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def log() -> Iterator[EmbeddedLog]:
    with EmbeddedLog.open(None) as opened:
        yield opened


def events(log: EmbeddedLog, topic: Topic[str, BalanceChanged] = BALANCE_CHANGED) -> list[BalanceChanged]:
    found: list[BalanceChanged] = []
    for partition in range(topic.partitions):
        place = TopicPartition(topic.name, partition)
        offset, end = log.watermarks(place)
        while offset < end:
            batch = log.read(place, offset)
            found += [topic.value.deserialize(value) for value in batch.values if value is not None]
            offset = batch.next_offset
    return found


def count(log: EmbeddedLog, name: str) -> int:
    return sum(log.watermarks(TopicPartition(name, partition)).high for partition in range(4))


def _reached(log: EmbeddedLog, wanted: int) -> bool:
    return count(log, BALANCE_CHANGED.name) >= wanted


def assert_sound(log: EmbeddedLog) -> None:
    accounts: dict[str, list[BalanceChanged]] = defaultdict(list)
    for entry in events(log):
        accounts[entry.account_id].append(entry)
    for entries in accounts.values():
        assert [entry.account_seq for entry in entries] == list(range(1, len(entries) + 1))
        assert len({entry.entry_id for entry in entries}) == len(entries)
        total = 0
        for entry in entries:
            total += entry.signed_minor
            assert entry.balance_after_minor == total


def play(demo: DemoSource, until: Callable[[], bool]) -> int:
    """Run the demo until the condition holds; the number of entries written."""
    stop, written = threading.Event(), [0]
    thread = threading.Thread(target=lambda: written.__setitem__(0, demo.run(stop)))
    thread.start()
    deadline = time.monotonic() + 20
    while not until() and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    asked = time.monotonic()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - asked < 0.3
    return written[0]


def test_the_history_ends_today_and_is_written_once(log: EmbeddedLog) -> None:
    clock = Time()
    progress: list[tuple[int, float]] = []
    demo = DemoSource(log, clock, seed=5, people=10, days=30, rate=10)
    written = demo.load_history(lambda done, share: progress.append((done, share)))
    entries = events(log)
    today = NOW_MS // DAY_MS * DAY_MS
    assert all(today - 30 * DAY_MS <= entry.timestamp < today for entry in entries)
    assert {entry.origin for entry in entries} == {Origin.IMPORT}
    assert progress[-1] == (written, 1.0)
    assert written > len(entries) > 200
    clock.now_ms += 3 * DAY_MS
    assert DemoSource(log, clock, seed=5, people=10, days=99, rate=10).load_history() == 0
    assert demo.load_history() == 0
    assert_sound(log)


def test_more_people_join_with_their_own_history(log: EmbeddedLog) -> None:
    clock = Time()
    DemoSource(log, clock, seed=5, people=5, days=30, rate=10).load_history()
    clock.now_ms += DAY_MS
    assert DemoSource(log, clock, seed=5, people=9, days=30, rate=10).load_history() > 0
    assert count(log, USER_PROFILE.name) == 9
    assert_sound(log)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_killed_history_is_completed_by_the_next_start(
    log: EmbeddedLog, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time()
    monkeypatch.setattr("streambank.bank.demo.source.CHUNK_EVENTS", 97)
    chunks: list[float] = []

    def kill(_: int, share: float) -> None:
        chunks.append(share)
        if len(chunks) == after:
            raise _Killed

    with pytest.raises(_Killed):
        DemoSource(log, clock, seed=5, people=10, days=30, rate=10).load_history(kill)
    clock.now_ms += DAY_MS
    DemoSource(log, clock, seed=5, people=10, days=30, rate=10).load_history()
    with EmbeddedLog.open(None) as other:
        clock.now_ms -= DAY_MS
        DemoSource(other, clock, seed=5, people=10, days=30, rate=10).load_history()
        whole, mended = ({entry.entry_id for entry in events(opened)} for opened in (other, log))
        assert whole == mended
        assert count(other, ACCOUNT.name) == count(log, ACCOUNT.name)
        assert count(other, "account.thresholds") == count(log, "account.thresholds")
    assert_sound(log)


def test_live_entries_come_at_the_rate_and_are_live(log: EmbeddedLog) -> None:
    demo = DemoSource(log, system_clock, seed=5, people=20, days=10, rate=200)
    demo.load_history()
    history = count(log, BALANCE_CHANGED.name)
    begun_ms = system_clock()
    written = play(demo, lambda: system_clock() - begun_ms > 1_000)
    lasted_s = (system_clock() - begun_ms) / 1000
    live = [entry for entry in events(log) if entry.origin is Origin.LIVE]
    assert written == len(live) == count(log, BALANCE_CHANGED.name) - history
    assert 0.5 * 200 * lasted_s < written <= 200 * lasted_s
    assert all(begun_ms <= entry.timestamp <= system_clock() for entry in live)
    assert_sound(log)


def test_a_stall_is_not_made_up_for_in_one_burst(log: EmbeddedLog) -> None:
    clock = Time()
    demo = DemoSource(log, clock, seed=5, people=5, days=5, rate=100)
    demo.load_history()
    history = count(log, BALANCE_CHANGED.name)
    stalled = [False]

    def until() -> bool:
        if not stalled[0]:
            time.sleep(0.2)
            clock.now_ms += 3_600_000
            stalled[0] = True
            return False
        return count(log, BALANCE_CHANGED.name) > history

    assert play(demo, until) == 50


@pytest.mark.parametrize("entries", [1, 25, 150])
def test_a_restart_goes_on_without_gap_or_double(log: EmbeddedLog, entries: int) -> None:
    for _ in range(3):
        demo = DemoSource(log, system_clock, seed=5, people=20, days=10, rate=2_000)
        begun = count(log, BALANCE_CHANGED.name) if BALANCE_CHANGED.name in log.topics() else 0
        demo.load_history()
        history = max(begun, count(log, BALANCE_CHANGED.name))
        wanted = history + entries
        assert play(demo, partial(_reached, log, wanted)) >= entries
        demo.close()
        assert_sound(log)
    days = {entry.end_to_end_id[:10] for entry in events(log) if entry.end_to_end_id and entry.origin is Origin.LIVE}
    # 20 people have some 40 entries a day: a restart lives the rest of a day and does not jump to another.
    assert len(days) <= len(events(log)) / 15


def test_a_second_demo_stops_the_first(log: EmbeddedLog) -> None:
    first = DemoSource(log, system_clock, seed=5, people=5, days=5, rate=1_000)
    first.load_history()
    second = DemoSource(log, system_clock, seed=5, people=5, days=5, rate=1_000)
    second.load_history()
    with pytest.raises(DemoError, match=r"another demo began.*nothing is doubled"):
        first.run(threading.Event())
    begun = count(log, BALANCE_CHANGED.name)
    assert play(second, lambda: count(log, BALANCE_CHANGED.name) > begun) > 0
    assert_sound(log)
    second.close()
    with pytest.raises(DemoError, match="was closed"):
        second.run(threading.Event())


@pytest.mark.parametrize(("people", "days", "rate"), [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.0)])
def test_settings_are_checked(log: EmbeddedLog, people: int, days: int, rate: float) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        DemoSource(log, Time(), people=people, days=days, rate=rate)
