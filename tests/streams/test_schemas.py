from typing import Any, Literal

import msgspec
import pytest

from streambank.streams.schemas import reads


class Entry(msgspec.Struct):
    amount: int
    note: str = ""


class WithField(msgspec.Struct):
    amount: int
    note: str = ""
    shop: str | None = None


class WithRequiredField(msgspec.Struct):
    amount: int
    shop: str
    note: str = ""


class WithoutField(msgspec.Struct):
    amount: int


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    amount: int


class OtherType(msgspec.Struct):
    amount: str
    note: str = ""


class Wider(msgspec.Struct):
    amount: float | str
    note: str = ""


class Node(msgspec.Struct):
    name: str
    next: "Node | None" = None


class OtherNode(msgspec.Struct):
    name: int
    next: "OtherNode | None" = None


class Circle(msgspec.Struct, tag="circle"):
    radius: int


class Square(msgspec.Struct, tag="square"):
    side: int


@pytest.mark.parametrize(
    ("old", "new", "readable"),
    [
        (Entry, Entry, True),
        (Entry, WithField, True),
        (WithField, Entry, True),
        (Entry, WithoutField, True),
        (Entry, WithRequiredField, False),
        (Entry, Closed, False),
        (WithoutField, Closed, True),
        (Entry, OtherType, False),
        (Entry, Wider, True),
        (Wider, Entry, False),
        (int, float, True),
        (float, int, False),
        (int, str, False),
        (int, int | None, True),
        (int | None, int, False),
        (int | str, str | int | None, True),
        (list[int], list[float], True),
        (list[int], list[str], False),
        (list[Any], list[int], False),
        (tuple[int, str], tuple[int, str], True),
        (tuple[int, str], tuple[int, int], False),
        (dict[str, int], dict[str, float], True),
        (dict[str, float], dict[str, int], False),
        (dict[str, Any], dict[str, int], False),
        (Literal["a"], Literal["a", "b"], True),
        (Literal["a", "b"], Literal["a"], False),
        (Node, Node, True),
        (Node, OtherNode, False),
        (Circle, Circle | Square, True),
        (Circle | Square, Circle, False),
        (Entry, Any, True),
        (Any, Entry, False),
        (list[Entry], list[WithField], True),
    ],
)
def test_what_can_be_read(old: Any, new: Any, readable: bool) -> None:
    assert reads(msgspec.json.schema(new), msgspec.json.schema(old)) is readable
