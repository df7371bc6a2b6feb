"""A store of versions against a list of all that was put, through commits, rollbacks and reloads."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams.support import ANY

from streambank.streams import STRING, DeserializationError
from streambank.streams.stores.versioned import DELETED, Version, VersionedStore, VersionKey, versioned_store

RETENTION_MS = 10

Put: TypeAlias = tuple[str, Any, int]


@dataclass
class Changelog:
    """What compaction leaves of the changelog: each key's last value, as bytes."""

    last: dict[bytes, tuple[bytes | None, int]] = field(default_factory=dict)

    def write(self, key: Any, value: Any, timestamp: int, _headers: bytes | None) -> None:
        spec = versioned_store("rows", ANY, ANY, RETENTION_MS)
        self.last[spec.key.serialize(key)] = (None if value is None else spec.value.serialize(value), timestamp)

    def load(self, store: VersionedStore) -> None:
        store.clear()
        for key, (value, timestamp) in self.last.items():
            decoded = None if value is None else store.spec.value.deserialize(value)
            store.load(store.spec.key.deserialize(key), decoded, timestamp)

    @property
    def versions(self) -> int:
        return sum(value is not None for value, _ in self.last.values())


def opened(retention_ms: int = RETENTION_MS, log: Changelog | None = None) -> VersionedStore:
    spec = versioned_store("rows", ANY, ANY, retention_ms)
    return VersionedStore(spec, log.write if log is not None else None)


def filled(*puts: Put, retention_ms: int = RETENTION_MS) -> VersionedStore:
    store = opened(retention_ms)
    for put in puts:
        store.put(*put)
    return store


@pytest.mark.parametrize(
    ("puts", "versions"),
    [
        ([("k", "a", 1), ("k", "b", 5)], [Version("a", 1, 5), Version("b", 5, None)]),
        ([("k", "b", 5), ("k", "a", 1)], [Version("a", 1, 5), Version("b", 5, None)]),
        (
            [("k", "a", 1), ("k", "c", 5), ("k", "b", 3)],
            [Version("a", 1, 3), Version("b", 3, 5), Version("c", 5, None)],
        ),
        ([("k", "a", 1), ("k", "b", 1)], [Version("b", 1, None)]),
        ([("k", "a", 1), ("k", None, 5)], [Version("a", 1, 5), Version(None, 5, None)]),
        ([("k", None, 5), ("k", "a", 1)], [Version("a", 1, 5), Version(None, 5, None)]),
        (
            [("k", "a", 1), ("k", "b", 5), ("k", None, 3)],
            [Version("a", 1, 3), Version(None, 3, 5), Version("b", 5, None)],
        ),
    ],
    ids=["in order", "out of order", "between", "the same time", "deleted", "deleted before it was put", "a gap"],
)
def test_a_version_holds_from_its_timestamp_to_the_next(puts: list[Put], versions: list[Version]) -> None:
    assert filled(*puts).versions("k") == versions


def test_get_gives_the_latest_or_what_was_valid_then() -> None:
    store = filled(("k", "a", 2), ("k", None, 4), ("k", "b", 6))
    assert store.get("k") == ("b", 6)
    assert [store.get("k", time) for time in range(1, 8)] == [
        None,
        ("a", 2),
        ("a", 2),
        None,
        None,
        ("b", 6),
        ("b", 6),
    ]
    assert store.get("other") is None
    assert store.get("other", 5) is None


@pytest.mark.parametrize(("time", "accepted"), [(90, True), (89, False)])
def test_a_put_older_than_the_retention_is_refused(time: int, accepted: bool) -> None:
    store = filled(("other", "x", 100))
    assert store.put("k", "late", time) is accepted
    assert store.get("k") == (("late", time) if accepted else None)
    assert store.observed_time == 100


def test_beyond_the_retention_only_the_latest_version_is_read() -> None:
    store = filled(("l", "c", 1), ("k", "a", 1), ("k", "b", 50), ("other", "x", 60))
    assert store.get("k", 50) == ("b", 50)
    assert store.get("k", 49) is None
    assert store.get("l", 5) == ("c", 1)


def test_what_expires_leaves_memory_and_changelog() -> None:
    log = Changelog()
    store = opened(log=log)
    for time in range(1000):
        store.put("k", time, time)
        store.put("gone", None if time % 2 else time, time)
    assert len(store) == log.versions == len(list(store.items())) <= 2 * (RETENTION_MS + 1)
    store.put("other", "x", 2000)
    assert store.versions("k") == [Version(999, 999, None)]
    assert store.versions("gone") == []
    assert len(store) == log.versions == 2
    assert store._beginning.keys() == {2000}


def test_the_latest_is_known_even_where_it_deletes() -> None:
    store = filled(("k", None, 5))
    assert [store.is_latest("k", time) for time in (4, 5, 6)] == [False, True, True]
    assert store.is_latest("other", 0)


def test_what_a_rolled_back_put_expired_expires_again() -> None:
    log = Changelog()
    store = opened(log=log)
    store.record(True)
    store.put("k", "a", 1)
    store.put("k", "b", 2)
    store.committed()
    store.put("other", "x", 100)
    assert store.versions("k") == [Version("b", 2, None)]
    store.rollback()
    assert store.versions("k") == [Version("a", 1, 2), Version("b", 2, None)]
    store.put("other", "x", 11)
    store.put("other", "x", 12)
    assert store.versions("k") == [Version("b", 2, None)]


def test_a_delete_is_not_the_end_of_a_version_in_the_changelog() -> None:
    spec = versioned_store("rows", STRING, STRING, RETENTION_MS)
    assert spec.value.deserialize(spec.value.serialize(DELETED)) is DELETED
    assert spec.value.deserialize(spec.value.serialize("")) == ""
    assert spec.key.deserialize(spec.key.serialize(VersionKey("k", 5))) == VersionKey("k", 5)


@pytest.mark.parametrize("data", [b"", b"\2x"])
def test_what_is_no_version_is_refused(data: bytes) -> None:
    spec = versioned_store("rows", STRING, STRING, RETENTION_MS)
    with pytest.raises(DeserializationError, match="version"):
        spec.value.deserialize(data)
    with pytest.raises(DeserializationError, match="version"):
        spec.key.deserialize(data)


@dataclass
class Model:
    """All puts that were accepted, and the highest time."""

    observed: int = -1
    puts: list[Put] = field(default_factory=list)

    def put(self, key: str, value: Any, time: int) -> bool:
        if time < self.observed - RETENTION_MS:
            return False
        self.observed = max(self.observed, time)
        self.puts.append((key, value, time))
        return True

    def get(self, key: str, as_of: int | None = None) -> tuple[Any, int] | None:
        mine = sorted((put for put in self.puts if put[0] == key), key=lambda put: put[2])
        before = [put for put in mine if as_of is None or put[2] <= as_of]
        expired = as_of is not None and as_of < self.observed - RETENTION_MS
        if not before or (expired and before[-1] is not mine[-1]):
            return None
        _, value, time = before[-1]
        return None if value is None else (value, time)


puts = st.tuples(st.sampled_from("kl"), st.one_of(st.none(), st.integers(0, 99)), st.integers(0, 24))
steps = st.lists(st.one_of(puts, puts, puts, st.sampled_from(["commit", "rollback", "reload"])), max_size=40)


@given(steps=steps, recording=st.booleans())
@settings(max_examples=100, deadline=None)
def test_every_lookup_is_as_over_all_that_was_accepted(steps: list[Any], recording: bool) -> None:
    log, model = Changelog(), Model()
    store, kept, saved = opened(log=log), Model(), dict(log.last)
    store.record(recording)
    for step in steps:
        if step == "rollback" and recording:
            store.rollback()
        elif step in ("rollback", "reload"):
            log.last = dict(saved)
            log.load(store)
        if step in ("rollback", "reload"):
            model, log.last = Model(kept.observed, list(kept.puts)), dict(saved)
        elif step == "commit":
            store.committed()
            kept, saved = Model(model.observed, list(model.puts)), dict(log.last)
        else:
            assert store.put(*step) == model.put(*step)
        assert store.observed_time == model.observed
        for key in "kl":
            for time in (None, *range(26)):
                assert store.get(key, time) == model.get(key, time)
        assert len(store) == len(list(store.items())) == log.versions
