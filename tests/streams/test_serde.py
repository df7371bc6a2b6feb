"""Bytes and back, and what is refused."""

from typing import Any

import msgspec
import pytest

from streambank.streams import BYTES, LONG, STRING, JsonSerde, Serde
from streambank.streams.errors import DeserializationError


class Point(msgspec.Struct, frozen=True):
    x: int
    label: str = ""


POINT = JsonSerde(Point)


@pytest.mark.parametrize(
    ("serde", "value", "data"),
    [
        (STRING, "żółw", "żółw".encode()),
        (STRING, "", b""),
        (BYTES, b"\x00\xff", b"\x00\xff"),
        (LONG, 0, bytes(8)),
        (LONG, -1, b"\xff" * 8),
        (LONG, 2**63 - 1, b"\x7f" + b"\xff" * 7),
        (LONG, -(2**63), b"\x80" + bytes(7)),
        (POINT, Point(1, "a"), b'{"x":1,"label":"a"}'),
    ],
)
def test_round_trip(serde: Serde[Any], value: Any, data: bytes) -> None:
    assert serde.serialize(value) == data
    assert serde.deserialize(data) == value


@pytest.mark.parametrize(
    ("serde", "data"),
    [
        (STRING, b"\xff"),
        (LONG, b""),
        (LONG, bytes(7)),
        (LONG, bytes(9)),
        (POINT, b""),
        (POINT, b"{"),
        (POINT, b'{"x":"one"}'),
        (POINT, b"{}"),
        (POINT, b"null"),
        (POINT, b'{"x":1,"label":"\xff"}'),
    ],
)
def test_bytes_that_are_no_such_value_raise_value_error(serde: Serde[Any], data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        serde.deserialize(data)


def test_a_wrong_length_is_told() -> None:
    with pytest.raises(DeserializationError, match="8 bytes, not 3"):
        LONG.deserialize(b"abc")


def test_fields_that_a_newer_program_added_are_passed_over() -> None:
    assert POINT.deserialize(b'{"x":1,"colour":"red"}') == Point(1)
