from typing import Any

import pytest
from tests.streams.support import ANY

from streambank.streams import STRING, DeserializationError
from streambank.streams.stores.join_grace_buffer import Buffered, BufferKey, JoinGraceBuffer, join_grace_buffer


def opened(updates: list[tuple[Any, Any]] | None = None) -> JoinGraceBuffer:
    log = None if updates is None else (lambda key, value, _timestamp, _headers: updates.append((key, value)))
    buffer = JoinGraceBuffer(join_grace_buffer("waiting", STRING, ANY), log)
    buffer.record(True)
    return buffer


def test_records_leave_by_time_then_key_then_arrival() -> None:
    buffer = opened()
    rows = [("b", 1, 5), ("a", 2, 5), ("b", 3, 5), ("z", 4, 3), ("a", 5, 9)]
    for key, value, time in rows:
        buffer.put(key, value, time, None)
    assert list(buffer.evict(5)) == [("z", 4, 3, None), ("a", 2, 5, None), ("b", 1, 5, None), ("b", 3, 5, None)]
    assert len(buffer) == 1
    assert list(buffer.evict(8)) == []
    assert list(buffer.evict(9)) == [("a", 5, 9, None)]
    assert len(buffer) == 0


def test_a_rollback_puts_back_what_left_and_takes_out_what_came() -> None:
    buffer = opened()
    buffer.put("a", 1, 1, b"h")
    buffer.put("b", 2, 2, None)
    buffer.committed()
    buffer.put("c", 3, 0, None)
    assert [key for key, *_ in buffer.evict(1)] == ["c", "a"]
    buffer.rollback()
    assert list(buffer.evict(9)) == [("a", 1, 1, b"h"), ("b", 2, 2, None)]


def test_the_changelog_brings_back_what_waits() -> None:
    updates: list[tuple[Any, Any]] = []
    buffer = opened(updates)
    for number, time in enumerate([3, 1, 2, 2]):
        buffer.put("k", number, time, b"h" if number else None)
    assert len(list(buffer.evict(1))) == 1
    again = opened()
    for key, value in updates:
        again.load(key, value, 0)
    again.put("k", 9, 2, None)
    waiting = [("k", 2, 2, b"h"), ("k", 3, 2, b"h"), ("k", 9, 2, None), ("k", 0, 3, None)]
    again.rollback()
    assert len(again) == len(list(again.items())) == 3
    again.put("k", 9, 2, None)
    assert list(again.evict(9)) == waiting
    buffer.clear()
    assert len(buffer) == 0


@pytest.mark.parametrize("record", [Buffered("v", None), Buffered("v", b""), Buffered("", b"headers")])
def test_a_record_and_its_place_travel_as_bytes(record: Buffered) -> None:
    spec = join_grace_buffer("waiting", STRING, STRING)
    assert spec.value.deserialize(spec.value.serialize(record)) == record
    key = BufferKey(5, "k", 7)
    assert spec.key.deserialize(spec.key.serialize(key)) == key


@pytest.mark.parametrize("data", [b"\0\0\0\x09short", b"\0"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    spec = join_grace_buffer("waiting", STRING, STRING)
    with pytest.raises(DeserializationError, match="headers"):
        spec.value.deserialize(data)
    with pytest.raises(DeserializationError, match="place"):
        spec.key.deserialize(data)
