"""What both stores of windows promise: what is put can be taken back, loaded again, and goes when its time is over."""

from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.streams import LONG, STRING
from streambank.streams.stores import SessionStore, StoreSpec, WindowStore, create_store
from streambank.streams.stores.base import StoreKind
from streambank.streams.windowed import TimeWindowedSerde, Windowed

SIZE_MS, RETENTION_MS = 10, 20

Store: TypeAlias = WindowStore | SessionStore


class Changelog(list[tuple[Windowed[Any], int | None, int]]):
    """What a store writes."""

    def update(self, key: Any, value: Any, timestamp: int, _headers: bytes | None) -> None:
        self.append((key, value, timestamp))


def new_store(kind: StoreKind, changelog: Changelog) -> Any:
    key = TimeWindowedSerde(STRING, SIZE_MS)
    return create_store(StoreSpec("windows", key, LONG, kind=kind, retention_ms=RETENTION_MS), changelog.update)


def window(key: str, start: int) -> Windowed[str]:
    return Windowed(key, start, start + SIZE_MS)


kinds = pytest.mark.parametrize("kind", ["window", "session"])


@kinds
def test_windows_go_when_their_retention_is_over_from_the_changelog_too(kind: StoreKind) -> None:
    changelog = Changelog()
    store = new_store(kind, changelog)
    for key, start in (("a", 0), ("b", 0), ("a", 10)):
        store.put(window(key, start), 1, start)
    # A window counts from its start, a window that is a key's own from its end.
    first_limit = RETENTION_MS + (SIZE_MS if kind == "session" else 0)
    store.observed_time = first_limit
    store.expire()
    assert len(store) == 3
    del changelog[:]
    store.observed_time = first_limit + 1
    store.expire()
    assert dict(store.items()) == {window("a", 10): (1, 10)}
    assert sorted(changelog) == [(window("a", 0), None, 0), (window("b", 0), None, 0)]


def test_a_keys_windows_are_found_by_their_start() -> None:
    store = new_store("window", Changelog())
    for key, start in (("a", 30), ("a", 10), ("b", 20), ("a", 20)):
        store.put(window(key, start), start, start)
    assert store.fetch_range("a", 10, 20) == [(window("a", 10), (10, 10)), (window("a", 20), (20, 20))]
    assert store.fetch("b", 20) == (20, 20)
    assert store.fetch("b", 10) is None
    assert store.starts(11, 30) == [20, 30]


def test_the_windows_that_ended_come_in_the_order_of_their_times_and_keys() -> None:
    store = new_store("session", Changelog())
    for key, start in (("b", 1), ("a", 1), ("c", 0), ("a", 2)):
        store.put(window(key, start), 1, start)
    assert [(each.key, each.start) for each, _ in store.ended(10, 12)] == [("c", 0), ("a", 1), ("b", 1)]
    assert store.ended(12, 12) == []


CHANGES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.sampled_from([1, 2, None])), max_size=5)
CYCLES = st.lists(st.tuples(CHANGES, st.integers(0, 60), st.booleans()), min_size=1, max_size=8)


@kinds
@given(cycles=CYCLES)
def test_a_rollback_and_the_changelog_both_give_back_the_last_commit(
    kind: StoreKind, cycles: list[tuple[list[tuple[str, int, int | None]], int, bool]]
) -> None:
    changelog = Changelog()
    store = new_store(kind, changelog)
    store.record(True)
    committed: tuple[Any, int] = ({}, -1)
    kept = 0
    for changes, time, commits in cycles:
        for key, at, value in changes:
            store.put(window(key, at), value, at)
        store.observed_time = max(store.observed_time, time)
        store.expire()
        if commits:
            store.committed()
            committed, kept = (dict(store.items()), store.observed_time), len(changelog)
        else:
            store.rollback()
            del changelog[kept:]
        assert (dict(store.items()), store.observed_time) == committed
    loaded = new_store(kind, Changelog())
    for change in changelog:
        loaded.load(*change)
    assert dict(loaded.items()) == committed[0]
    for each in (store, loaded):
        each.observed_time = 1_000
        each.expire()
        assert len(each) == 0
        assert dict(each.items()) == {}
