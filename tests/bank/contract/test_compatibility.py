"""Each change of a schema and what comes of it; and that what is called compatible really is."""

import copy
import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.contract.support import encoded, values

from streambank.bank.contract import incompatibilities
from streambank.streams.schemas import reads

BASE: dict[str, Any] = {
    "$id": "/schemas/x.v1.json",
    "title": "X",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "count": {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
        "day": {"type": "string", "format": "date"},
        "side": {"$ref": "#/$defs/Side", "default": "in"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}, "maxItems": 5},
        "owner": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}], "default": None},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
    },
    "required": ["id", "day", "parts", "pair"],
    "$defs": {
        "Side": {"title": "Side", "enum": ["in", "out"]},
        "Part": {
            "title": "Part",
            "type": "object",
            "properties": {"a/b": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]}},
            "required": ["a/b"],
        },
    },
}
GONE = object()


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The base with what is at each path (parts apart by spaces) put there, or taken away."""
    schema = copy.deepcopy(BASE)
    for path, value in changes:
        *way, last = path.split()
        at: Any = schema
        for name in way:
            at = at[int(name)] if isinstance(at, list) else at[name]
        if value is GONE:
            del at[last]
        elif isinstance(at, list):
            at[int(last)] = value
        else:
            at[last] = value
    return schema


STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}

FINE: dict[str, tuple[tuple[str, Any], ...]] = {
    "nothing": (),
    "texts": (("title", "Y"), ("description", "new"), ("$defs Part title", "Piece")),
    "an optional field": (("properties new", {"type": "integer", "default": 1}),),
    "an optional field that may be null": (("properties new", {"anyOf": [STRING, NULL], "default": None}),),
    "an optional field of a part": (("$defs Part properties new", {"type": "integer", "default": 1}),),
    "an optional field with a type of its own": (
        ("$defs New", {"enum": ["a"]}),
        ("properties new", {"$ref": "#/$defs/New", "default": "a"}),
    ),
    "the order of required fields, and of choices": (
        ("required", ["pair", "parts", "day", "id"]),
        ("properties note anyOf", [NULL, STRING]),
        ("$defs Side enum", ["out", "in"]),
    ),
    "a definition's name": (
        ("$defs Direction", {"title": "Side", "enum": ["in", "out"]}),
        ("$defs Side", GONE),
        ("properties side $ref", "#/$defs/Direction"),
    ),
    "a definition written out": (("properties side", {"enum": ["in", "out"], "default": "in"}),),
}

REFUSED: dict[str, tuple[tuple[tuple[str, Any], ...], str, str]] = {
    "a field taken away": ((("properties note", GONE),), "/properties/note", "is gone"),
    "a field renamed": (
        (("properties note", GONE), ("properties remark", {"type": "string", "default": ""})),
        "/properties/note",
        "to rename is to take away",
    ),
    "a field of a part taken away": (
        (("$defs Part properties a/b", GONE), ("$defs Part required", [])),
        "/$defs/Part/properties/a~1b",
        "is gone",
    ),
    "a required field": (
        (("properties new", INTEGER), ("required", [*BASE["required"], "new"])),
        "/properties/new",
        "is new and required",
    ),
    "an optional field without a default": ((("properties new", INTEGER),), "/properties/new", "has no default"),
    "a field made required": ((("required", [*BASE["required"], "count"]),), "/properties/count", "became required"),
    "a field made optional": ((("required", ["id", "day", "parts"]),), "/properties/pair", "no longer required"),
    "another type": (
        (("properties id type", "integer"),),
        "/properties/id/type",
        "changes from string to integer: new readers would refuse events that are in the log",
    ),
    "a wider type": ((("properties count type", "number"),), "/properties/count/type", "integer to number"),
    "null too": (
        (("properties id", {"anyOf": [STRING, NULL]}),),
        "/properties/id",
        "null is allowed too: old readers would refuse new events",
    ),
    "null no more": ((("properties note", {"type": "string", "default": None}),), "/properties/note/anyOf/1", "null"),
    "a part that may be null changes": (
        (("$defs Part properties a/b type", "string"),),
        "/$defs/Part/properties/a~1b/type",
        "changes from integer to string",
    ),
    "a value of an enum gone": ((("$defs Side enum", ["in"]),), "/$defs/Side/enum", '"out" is gone'),
    "a further value of an enum": (
        (("$defs Side enum", ["in", "out", "none"]),),
        "/$defs/Side/enum",
        '"none" is new: old readers',
    ),
    "text made an enum": ((("properties id enum", ["a"]),), "/properties/id/enum", "comes"),
    "another default": ((("properties count default", 1),), "/properties/count/default", "from 0 to 1"),
    "another default beside a reference": ((("properties side default", "out"),), "/properties/side/default", '"in"'),
    "a default gone": ((("properties count default", GONE),), "/properties/count/default", "from 0 to nothing"),
    "false for nought": ((("properties count default", False),), "/properties/count/default", "from 0 to false"),
    "a narrower bound": ((("properties count maximum", 8),), "/properties/count/maximum", "9 to 8: new readers"),
    "a wider bound": ((("properties count maximum", 10),), "/properties/count/maximum", "9 to 10: old readers"),
    "a lower bound": ((("properties count minimum", -1),), "/properties/count/minimum", "0 to -1: old readers"),
    "a bound": ((("properties id maxLength", 9),), "/properties/id/maxLength", "nothing to 9: new readers"),
    "a bound gone": ((("properties parts maxItems", GONE),), "/properties/parts/maxItems", "5 to nothing: old readers"),
    "another format": ((("properties day format", "date-time"),), "/properties/day/format", '"date" to "date-time"'),
    "other items": ((("properties parts items", STRING),), "/$defs/Part/type", "object Part to string"),
    "any items": ((("properties parts items", GONE),), "/$defs/Part/type", "object Part to anything"),
    "other values of a map": (
        (("properties tags additionalProperties", INTEGER),),
        "/properties/tags/additionalProperties/type",
        "string to integer",
    ),
    "a place of a tuple": ((("properties pair prefixItems", [INTEGER]),), "/properties/pair/prefixItems", "2 to 1"),
    "another place of a tuple": (
        (("properties pair prefixItems 1", INTEGER),),
        "/properties/pair/prefixItems/1/type",
        "string to integer",
    ),
    "closed": ((("additionalProperties", False),), "/additionalProperties/not", "nothing to {}"),
    "another address": ((("$id", "/schemas/x.v2.json"),), "/$id", "x.v1.json"),
    "a keyword that nobody knows": ((("properties id x-secret", True),), "/properties/id/x-secret", "nothing to true"),
}


@pytest.mark.parametrize("changes", FINE.values(), ids=FINE)
def test_a_change_that_harms_nobody(changes: tuple[tuple[str, Any], ...]) -> None:
    assert incompatibilities(BASE, changed(*changes)) == []


@pytest.mark.parametrize(("changes", "pointer", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_is_refused_names_its_place(
    changes: tuple[tuple[str, Any], ...], pointer: str, reason: str
) -> None:
    (found,) = incompatibilities(BASE, changed(*changes))
    assert found.pointer == pointer
    assert reason in found.reason
    assert str(found) == f"#{pointer}: {found.reason}"


def test_one_choice_for_another_is_one_gone_and_one_too_many() -> None:
    found = incompatibilities(BASE, changed(("properties note anyOf 0", INTEGER)))
    assert [(part.pointer, part.reason.partition(":")[0]) for part in found] == [
        ("/properties/note/anyOf/0", "string is no longer allowed"),
        ("/properties/note", "integer is allowed too"),
    ]


def test_choices_in_another_order_are_compared_each_with_its_own() -> None:
    def choice(kind: str, **more: Any) -> dict[str, Any]:
        properties = {"type": {"enum": [kind]}, kind: STRING} | more
        return {"type": "object", "properties": properties, "required": ["type", kind]}

    old = {"anyOf": [choice("a"), choice("b")]}
    more = {"new": {"type": "integer", "default": 0}}
    assert incompatibilities(old, {"anyOf": [choice("b", **more), choice("a")]}) == []
    (found,) = incompatibilities(old, {"anyOf": [choice("b", new=INTEGER), choice("a")]})
    assert found.pointer == "/anyOf/1/properties/new"


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    new = changed(("properties note", GONE), ("properties count default", 3), ("$defs Side enum", ["in", "no"]))
    assert [found.pointer for found in incompatibilities(BASE, new)] == [
        "/properties/count/default",
        "/properties/note",
        "/$defs/Side/enum",
        "/$defs/Side/enum",
    ]


@dataclass(frozen=True)
class Field:
    """A field of a random struct: one of the kinds, required or with the kind's default of that number."""

    kind: str
    default: int | None


class Small(Enum):
    A = "a"
    B = "b"


class Large(Enum):
    A = "a"
    B = "b"
    C = "c"


class Inner(msgspec.Struct, frozen=True, omit_defaults=True):
    n: int = 0


class InnerMore(msgspec.Struct, frozen=True, omit_defaults=True):
    n: int = 0
    more: str = ""


class InnerOther(msgspec.Struct, frozen=True, omit_defaults=True):
    n: int = 1


KINDS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "int": (int, (0, 1)),
    "digit": (Annotated[int, msgspec.Meta(ge=0, le=9)], (0, 1)),
    "text": (str, ("", "x")),
    "maybe int": (int | None, (None, 1)),
    "bool": (bool, (False, True)),
    "ints": (tuple[int, ...], ((), (1,))),
    "small": (Small, (Small.A, Small.B)),
    "large": (Large, (Large.A, Large.B)),
    "inner": (Inner, (Inner(), Inner(5))),
    "inner, more": (InnerMore, (InnerMore(), InnerMore(5))),
    "inner, other": (InnerOther | None, (None, InnerOther(5))),
}
Fields = dict[str, Field]

NAMES = st.sampled_from("abcdef")
FIELDS = st.builds(Field, st.sampled_from(sorted(KINDS)), st.sampled_from([None, 0, 1]))
STRUCTS = st.dictionaries(NAMES, FIELDS, min_size=1, max_size=4)


def struct(fields: Fields) -> type[msgspec.Struct]:
    """The struct of such fields."""
    defined = []
    for name, field in fields.items():
        kind, defaults = KINDS[field.kind]
        defined.append((name, kind) if field.default is None else (name, kind, defaults[field.default]))
    return msgspec.defstruct("X", defined, kw_only=True, omit_defaults=True)


@st.composite
def changes(draw: st.DrawFn, old: Fields) -> Fields:
    """The fields after some changes, most of which add something."""
    new = dict(old)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(NAMES)
        if name not in new:
            new[name] = draw(FIELDS)
        else:
            what = draw(st.sampled_from(["drop", "kind", "default", "more"]))
            if what == "drop" and len(new) > 1:
                del new[name]
            elif what == "kind":
                new[name] = replace(new[name], kind=draw(st.sampled_from(sorted(KINDS))))
            elif what == "default":
                new[name] = replace(new[name], default=draw(st.sampled_from([None, 0, 1])))
            elif what == "more" and new[name].kind == "inner":
                new[name] = replace(new[name], kind="inner, more")
    return new


def schema_of(of: type[msgspec.Struct]) -> dict[str, Any]:
    return msgspec.json.schema(of)


@settings(deadline=None)
@given(st.data())
def test_what_is_called_compatible_is_read_both_ways(data: st.DataObject) -> None:
    fields = data.draw(STRUCTS)
    old = struct(fields)
    new = struct(data.draw(changes(fields)))
    if incompatibilities(schema_of(old), schema_of(new)):
        return
    assert reads(schema_of(new), schema_of(old))
    assert reads(schema_of(old), schema_of(new))
    for writer, reader in ((old, new), (new, old)):
        value = data.draw(values(writer))
        jsonschema_rs.validate(schema_of(reader), encoded(value))
        read = msgspec.json.decode(msgspec.json.encode(value), type=reader)
        for name in fields:
            assert _same(getattr(read, name), getattr(value, name))


@settings(deadline=None)
@given(STRUCTS, st.dictionaries(st.sampled_from("uvwxyz"), FIELDS))
def test_to_add_is_compatible_exactly_if_all_that_is_new_has_a_default(old: Fields, more: Fields) -> None:
    found = incompatibilities(schema_of(struct(old)), schema_of(struct(old | more)))
    lacking = {name for name, field in more.items() if field.default is None}
    assert {part.pointer.rpartition("/")[2] for part in found} == lacking


@settings(deadline=None)
@given(st.data())
def test_what_fits_step_by_step_fits_as_a_whole(data: st.DataObject) -> None:
    first = data.draw(STRUCTS)
    second = data.draw(changes(first))
    third = data.draw(changes(second))
    schemas = [schema_of(struct(fields)) for fields in (first, second, third)]
    if not incompatibilities(*schemas[:2]) and not incompatibilities(*schemas[1:]):
        assert incompatibilities(schemas[0], schemas[2]) == []


def test_a_struct_that_holds_itself_is_compared_to_its_end() -> None:
    old = changed()
    new = changed(("$defs Part properties next", {"$ref": "#/$defs/Part"}))
    assert incompatibilities(old, json.loads(json.dumps(old))) == []
    assert [found.pointer for found in incompatibilities(old, new)] == ["/$defs/Part/properties/next/anyOf/1"]


def _same(read: Any, written: Any) -> bool:
    """Whether what both know of a value is the same."""
    if not isinstance(written, msgspec.Struct):
        return bool(read == written)
    shared = set(read.__struct_fields__) & set(written.__struct_fields__)
    return all(getattr(read, name) == getattr(written, name) for name in shared)
