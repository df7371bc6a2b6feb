"""The records that wait for those they may meet: found by time, taken in order, back after a rollback and a restore."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams.stores.test_window import Changelog

from streambank.streams import LONG, STRING
from streambank.streams.stores import JoinBuffer, StoreSpec
from streambank.streams.stores.join_buffer import BufferKey, BufferKeySerde

SERDE = BufferKeySerde(STRING)


def new_buffer(changelog: Changelog) -> JoinBuffer:
    return JoinBuffer(StoreSpec("buffer", SERDE, LONG, kind="join-buffer"), changelog.update)


def filled(changelog: Changelog) -> JoinBuffer:
    """a: 1@10, 2@5, 3@10; b: 4@7."""
    buffer = new_buffer(changelog)
    for key, value, at in (("a", 1, 10), ("a", 2, 5), ("a", 3, 10), ("b", 4, 7)):
        buffer.put(key, value, at)
    return buffer


def test_records_of_a_key_come_by_time_then_arrival_and_both_ends_belong() -> None:
    buffer = filled(Changelog())
    assert [value for _, _, value in buffer.fetch("a", 5, 10)] == [2, 1, 3]
    assert [value for _, _, value in buffer.fetch("a", 6, 10)] == [1, 3]
    assert buffer.fetch("a", 11, 20) == buffer.fetch("c", 0, 100) == []


def test_what_is_taken_comes_in_the_order_of_time_and_leaves_the_changelog() -> None:
    changelog = Changelog()
    buffer = filled(changelog)
    assert buffer.take_before(10) == [(5, "a", 2), (7, "b", 4)]
    assert buffer.take_before(10) == []
    assert len(buffer) == 2
    tombstones: list[Any] = [key for key, value, _ in changelog if value is None]
    assert tombstones == [BufferKey("a", 5, 0), BufferKey("b", 7, 0)]


def test_all_records_of_a_key_and_time_are_removed_together_and_their_numbers_are_free_again() -> None:
    buffer = filled(Changelog())
    buffer.remove("a", 10)
    buffer.put("a", 9, 10)
    assert buffer.fetch("a", 0, 100) == [(5, 0, 2), (10, 0, 9)]
    assert buffer.take_before(100) == [(5, "a", 2), (7, "b", 4), (10, "a", 9)]
    assert len(buffer) == 0


@pytest.mark.parametrize("key", ["", "a", "é"])
def test_keys_come_back_from_their_bytes(key: str) -> None:
    at = BufferKey(key, 1_700_000_000_000, 3)
    assert SERDE.deserialize(SERDE.serialize(at)) == at
    assert SERDE.serialize(at).startswith(SERDE.serialize_key(key))


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "take"]), st.sampled_from("ab"), st.integers(0, 9)), max_size=20
)


def act(buffer: JoinBuffer, actions: list[tuple[str, str, int]]) -> None:
    for number, (what, key, at) in enumerate(actions):
        if what == "put":
            buffer.put(key, number, at)
        elif what == "remove":
            buffer.remove(key, at)
        else:
            buffer.take_before(at)


def content(buffer: JoinBuffer) -> dict[Any, Any]:
    return dict(buffer.items())


@given(ACTIONS, ACTIONS)
def test_a_rollback_and_a_restore_bring_back_what_was_committed(
    before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    changelog = Changelog()
    buffer = new_buffer(changelog)
    act(buffer, before)
    buffer.committed()
    buffer.record(True)
    committed, written = content(buffer), list(changelog)
    act(buffer, after)
    buffer.rollback()
    assert content(buffer) == committed
    assert len(buffer) == len(committed)
    restored = new_buffer(Changelog())
    for key, value, at in written:
        restored.load(SERDE.deserialize(SERDE.serialize(key)), value, at)  # type: ignore[arg-type]
    assert content(restored) == committed
    # As if nothing had been: what goes on from here comes out the same.
    for each in (buffer, restored):
        act(each, after)
    assert content(buffer) == content(restored)
    assert Counter(buffer.take_before(100)) == Counter(restored.take_before(100))
