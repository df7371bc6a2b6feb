from typing import Any

import pytest
from tests.streams.support import ANY

from streambank.errors import InvariantError
from streambank.streams.stores import StoreSpec, SuppressionStore, create_store
from streambank.streams.stores.suppression import ENTRY_BYTES, NEVER, Held, HeldSerde

SERDE: HeldSerde[Any] = HeldSerde(ANY)
SPEC = StoreSpec("held", ANY, SERDE, kind="suppression")


class Changelog(list[tuple[Any, Held | None]]):
    """What a store writes."""

    def update(self, key: Any, value: Any, _timestamp: int, _headers: bytes | None) -> None:
        self.append((key, value))

    def load_into(self, store: SuppressionStore) -> None:
        for key, value in self:
            store.load(key, value, 0)


def held(time: int, value: Any = 1) -> Held:
    return Held(time, time, None, None, value)


def new_store(changelog: Changelog | None = None) -> SuppressionStore:
    return SuppressionStore(SPEC, (Changelog() if changelog is None else changelog).update)


def drained(store: SuppressionStore) -> list[Any]:
    return [store.pop()[0] for _ in range(len(store))]


def test_the_order_is_by_time_then_by_the_bytes_of_the_key() -> None:
    store = new_store()
    for key, time in [("b", 2), ("c", 1), ("a", 2), ("B", 2), ("d", 0)]:
        store.put(key, held(time))
    assert store.first_time == 0
    assert drained(store) == ["d", "c", "B", "a", "b"]
    assert store.first_time == NEVER


def test_a_key_that_is_updated_keeps_its_place_and_is_popped_once() -> None:
    store = new_store()
    store.put("a", held(1))
    store.put("b", held(2))
    store.put("a", held(1, "newer"))
    assert len(store) == 2
    assert [store.pop()[1].value, store.pop()[1].value] == ["newer", 1]


@pytest.mark.parametrize("prior", [None, {"x": 1}], ids=["nothing before", "a value before"])
@pytest.mark.parametrize("value", [None, [1]], ids=["delete", "value"])
@pytest.mark.parametrize("headers", [None, b"h"], ids=["no headers", "headers"])
def test_an_update_comes_back_from_its_bytes(prior: Any, value: Any, headers: bytes | None) -> None:
    update = Held(7, -1, headers, prior, value)
    assert SERDE.deserialize(SERDE.serialize(update)) == update


def test_the_changelog_brings_back_what_is_held_in_its_order() -> None:
    changelog = Changelog()
    store = new_store(changelog)
    for key, time in [("b", 1), ("a", 1), ("c", 0), ("d", 9)]:
        store.put(key, held(time))
    store.pop()
    assert changelog[-1] == ("c", None)
    again = new_store()
    changelog.load_into(again)
    assert dict(again.items()) == dict(store.items()) == {"a": (1, 1), "b": (1, 1), "d": (1, 9)}
    again.put("Z", held(1))
    assert drained(again) == ["Z", "a", "b", "d"]


def test_a_rollback_brings_back_what_was_popped_and_replaced() -> None:
    store = new_store()
    store.observed_time = 5
    store.put("a", held(1))
    store.put("b", held(2))
    store.committed()
    store.record(True)
    assert store.recording
    store.observed_time = 9
    store.put("a", held(1, "newer"))
    store.put("c", held(0))
    assert store.pop()[0] == "c"
    assert store.pop()[1].value == "newer"
    store.rollback()
    assert dict(store.items()) == {"a": (1, 1), "b": (1, 2)}
    assert store.observed_time == 5
    assert drained(store) == ["a", "b"]


def test_a_store_that_is_cleared_has_the_time_of_the_last_commit() -> None:
    store = new_store()
    store.observed_time = 5
    store.committed()
    store.observed_time = 9
    store.put("a", held(1))
    store.clear()
    assert (len(store), store.first_time, store.observed_time) == (0, NEVER, 5)


def test_bytes_are_counted_through_updates_pops_rollbacks_and_loads() -> None:
    changelog = Changelog()
    store = new_store(changelog)
    store.count_bytes()
    store.put("a", held(1, "x" * 1000))
    first = store.bytes
    assert first == ENTRY_BYTES + len(ANY.serialize("a")) + len(SERDE.serialize(held(1, "x" * 1000)))
    store.put("b", held(2, "x"))
    both = store.bytes
    store.committed()
    store.record(True)
    store.put("a", held(1, "x"))
    assert store.bytes == 2 * (both - first)
    store.pop()
    assert store.bytes == both - first
    store.rollback()
    assert store.bytes == both
    again = new_store()
    again.count_bytes()
    changelog.load_into(again)
    assert again.bytes == both - first
    again.clear()
    assert again.bytes == 0


def test_bytes_are_not_counted_unasked() -> None:
    store = new_store()
    store.put("a", held(1))
    assert store.bytes == 0


def test_a_store_without_a_changelog_is_refused() -> None:
    with pytest.raises(InvariantError, match="'held'"):
        create_store(SPEC, None)
