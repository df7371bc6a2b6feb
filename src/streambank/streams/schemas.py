"""Whether JSON that was written under one schema can be read under another (the schemas that msgspec makes)."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_ANY: Schema = {}
_REMARKS = frozenset({"$defs", "title", "description", "default", "examples"})
_PARTS = frozenset({"anyOf", "properties", "required", "additionalProperties", "items", "enum"})


def reads(new: Schema, old: Schema) -> bool:
    """Whether a decoder of ``new`` takes every value that an encoder of ``old`` wrote, fields left out aside.

    A field may be added where it has a default, and taken away where unknown ones are not forbidden.
    """
    return _Comparison(new.get("$defs", {}), old.get("$defs", {})).reads(new, old)


class _Comparison:
    def __init__(self, new_types: Schema, old_types: Schema) -> None:
        self._new_types, self._old_types = new_types, old_types
        self._found: dict[tuple[int, int], bool] = {}

    def reads(self, new: Schema, old: Schema) -> bool:
        new, old = _resolved(new, self._new_types), _resolved(old, self._old_types)
        pair = (id(new), id(old))
        if pair not in self._found:
            # A type within itself is readable unless the rest of it is not.
            self._found[pair] = True
            self._found[pair] = self._compare(new, old)
        return self._found[pair]

    def _compare(self, new: Schema, old: Schema) -> bool:
        if not new.keys() - _REMARKS:
            return True
        if "anyOf" in old:
            return all(self.reads(new, each) for each in old["anyOf"])
        if "anyOf" in new:
            return any(self.reads(each, old) for each in new["anyOf"])
        return (
            _same_kind(new, old)
            and set(old.get("enum", ())) <= set(new.get("enum", old.get("enum", ())))
            and self._reads_fields(new, old)
            and self.reads(new.get("items") or _ANY, old.get("items") or _ANY)
        )

    def _reads_fields(self, new: Schema, old: Schema) -> bool:
        new_fields, old_fields = new.get("properties", {}), old.get("properties", {})
        others = new.get("additionalProperties", _ANY)
        if others is False:
            others_fit = old_fields.keys() <= new_fields.keys()
        else:
            others_fit = self.reads(others, old.get("additionalProperties") or _ANY)
        return (
            others_fit
            and set(new.get("required", ())) <= old_fields.keys()
            and all(self.reads(new_fields[name], old_fields[name]) for name in new_fields.keys() & old_fields.keys())
        )


def _resolved(schema: Schema, types: Schema) -> Schema:
    while "$ref" in schema:
        schema = types[schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _same_kind(new: Schema, old: Schema) -> bool:
    """Whether all that is no part is the same: types, formats, bounds. An integer is a number too."""

    def kind(schema: Schema) -> dict[str, Any]:
        return {name: value for name, value in schema.items() if name not in _REMARKS | _PARTS}

    if new.get("type") == "number" and old.get("type") == "integer":
        return kind(new) | {"type": "integer"} == kind(old)
    return kind(new) == kind(old)
