"""Whether an event type's schema may take the place of an earlier one.

A log is read from its start, by readers older and newer than its writers. So both have to hold, for every version that
was ever written: new readers understand all old events, and old readers, who pass over fields that they do not know,
understand the new ones. Only one change leaves both unharmed: a further field that is optional and has a default.
Everything else is refused, and needs a new version of the event type. Since fields are never taken away again, a schema
that fits the last one fits all before it.

* A further value of an enum is refused: old readers do not know it.
* A changed default is refused: events leave out what equals the default, so that old ones would change their meaning.
* Texts (title, description, examples) are free.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
Part: TypeAlias = Mapping[str, Any] | bool

OLD_EVENTS = "new readers would refuse events that are in the log"
OLD_READERS = "old readers would refuse new events"

_TEXTS = frozenset({"$schema", "$defs", "$comment", "title", "description", "examples", "deprecated", "discriminator"})
_COMPARED = frozenset({"anyOf", "type", "enum", "properties", "required", "prefixItems"})
_COMPARED_PARTS = frozenset({"additionalProperties", "items"})
_LOWER = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One thing that does not fit. ``pointer`` is a JSON pointer into the old schema, or to where a new part stands."""

    pointer: str
    reason: str

    def __str__(self) -> str:
        return f"#{self.pointer}: {self.reason}"


def incompatibilities(old: Schema, new: Schema) -> list[Incompatibility]:
    """What keeps ``new`` from taking the place of ``old``; nothing if it may.

    Raises:
        KeyError: a ``$ref`` in one of them leads nowhere within it.
    """
    comparison = _Comparison(old, new, frozenset())
    comparison.compare(old, new, "")
    return list(dict.fromkeys(comparison.found))


class _Comparison:
    def __init__(self, old: Schema, new: Schema, seen: frozenset[tuple[str, str]]) -> None:
        self._old, self._new = old, new
        self._seen = set(seen)
        self.found: list[Incompatibility] = []

    def compare(self, old: Part, new: Part, at: str) -> None:
        old, new = _as_schema(old), _as_schema(new)
        if "$ref" in old or "$ref" in new:
            pair = _text(old), _text(new)
            if pair in self._seen:
                return
            # A type within itself is as compatible as the rest of it.
            self._seen.add(pair)
        at = str(old["$ref"])[1:] if "$ref" in old else at
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        if "anyOf" in old or "anyOf" in new:
            self._compare_choices(old, new, at)
        elif old.get("type") != new.get("type"):
            self._refuse(f"{at}/type", f"changes from {_kind(old)} to {_kind(new)}: {OLD_EVENTS}")
        else:
            self._compare_enums(old, new, at)
            self._compare_fields(old, new, at)
            self._compare_items(old, new, at)
            self._compare_rest(old, new, at)

    def _compare_choices(self, old: Schema, new: Schema, at: str) -> None:
        """Each old choice needs one of the new that may take its place, and none may be left over."""
        left = list(new.get("anyOf", [new]))
        for number, choice in enumerate(old.get("anyOf", [old])):
            place = f"{at}/anyOf/{number}" if "anyOf" in old else at
            attempts = [(other, self._attempt(choice, other, place)) for other in left if self._alike(choice, other)]
            if not attempts:
                what = _kind(_resolved(choice, self._old))
                self._refuse(place, f"{what} is no longer allowed: {OLD_EVENTS}")
                continue
            taken, attempt = min(attempts, key=lambda tried: len(tried[1].found))
            left.remove(taken)
            self.found += attempt.found
        for choice in left:
            self._refuse(at, f"{_kind(_resolved(choice, self._new))} is allowed too: {OLD_READERS}")

    def _attempt(self, old: Schema, new: Schema, at: str) -> "_Comparison":
        attempt = _Comparison(self._old, self._new, frozenset(self._seen))
        attempt.compare(old, new, at)
        return attempt

    def _alike(self, old: Schema, new: Schema) -> bool:
        return _resolved(old, self._old).get("type") == _resolved(new, self._new).get("type")

    def _compare_enums(self, old: Schema, new: Schema, at: str) -> None:
        if "enum" not in old and "enum" not in new:
            return
        if "enum" not in old or "enum" not in new:
            why = OLD_EVENTS if "enum" in new else OLD_READERS
            self._refuse(f"{at}/enum", f"{'comes' if 'enum' in new else 'goes'}: {why}")
            return
        before, after = {_text(value) for value in old["enum"]}, {_text(value) for value in new["enum"]}
        for value in sorted(before - after):
            self._refuse(f"{at}/enum", f"value {value} is gone: {OLD_EVENTS}")
        for value in sorted(after - before):
            self._refuse(f"{at}/enum", f"value {value} is new: {OLD_READERS}")

    def _compare_fields(self, old: Schema, new: Schema, at: str) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(before.keys() | after.keys() | was_required | is_required):
            place = f"{at}/properties/{_escaped(name)}"
            if name in before and name not in after:
                self._refuse(place, "is gone (to rename is to take away): old readers expect it, old events have it")
            elif name in is_required and name not in was_required:
                what = "became" if name in before else "is new and"
                self._refuse(place, f"{what} required: {OLD_EVENTS}, which lack it")
            elif name in was_required and name not in is_required:
                self._refuse(place, f"is no longer required: {OLD_READERS} without it")
            elif name in before:
                self._compare_defaults(before[name], after[name], place)
                self.compare(before[name], after[name], place)
            elif name in after and "default" not in _as_schema(after[name]):
                self._refuse(place, "is new and has no default: old events would have no value for it")

    def _compare_defaults(self, old: Part, new: Part, at: str) -> None:
        before = _as_schema(old).get("default", _MISSING)
        after = _as_schema(new).get("default", _MISSING)
        if _text(before) != _text(after):
            self._refuse(
                f"{at}/default",
                f"changes from {_text(before)} to {_text(after)}: events leave it out, and would change their meaning",
            )

    def _compare_items(self, old: Schema, new: Schema, at: str) -> None:
        for keyword in sorted(_COMPARED_PARTS & (old.keys() | new.keys())):
            self.compare(old.get(keyword, True), new.get(keyword, True), f"{at}/{keyword}")
        before, after = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(before) != len(after):
            self._refuse(f"{at}/prefixItems", f"changes from {len(before)} to {len(after)} places: {OLD_EVENTS}")
        for number, (was, becomes) in enumerate(zip(before, after, strict=False)):
            self.compare(was, becomes, f"{at}/prefixItems/{number}")

    def _compare_rest(self, old: Schema, new: Schema, at: str) -> None:
        """Bounds, formats, and whatever else a schema may say: it has to stay."""
        passed_over = _TEXTS | _COMPARED | _COMPARED_PARTS | {"default"}
        for keyword in sorted((old.keys() | new.keys()) - passed_over):
            before, after = old.get(keyword, _MISSING), new.get(keyword, _MISSING)
            if _text(before) != _text(after):
                why = OLD_READERS if _widened(keyword, before, after) else OLD_EVENTS
                self._refuse(f"{at}/{_escaped(keyword)}", f"changes from {_text(before)} to {_text(after)}: {why}")

    def _refuse(self, pointer: str, reason: str) -> None:
        self.found.append(Incompatibility(pointer, reason))


def _as_schema(part: Part) -> Schema:
    if part is True:
        return {}
    return {"not": {}} if part is False else part


def _resolved(part: Schema, document: Schema) -> Schema:
    """The part with what it refers to."""
    if "$ref" in part:
        target: Any = document
        for name in str(part["$ref"]).removeprefix("#").split("/")[1:]:
            target = target[name.replace("~1", "/").replace("~0", "~")]
        return {**target, **{key: value for key, value in part.items() if key != "$ref"}}
    return part


def _kind(part: Schema) -> str:
    """What a schema is, in a word or two."""
    if not part.keys() - _TEXTS - {"default"}:
        return "anything"
    if "not" in part:
        return "nothing"
    kind = str(part.get("type", "enum" if "enum" in part else "a choice" if "anyOf" in part else "anything"))
    return f"{kind} {part['title']}" if "title" in part and kind == "object" else kind


def _widened(keyword: str, before: Any, after: Any) -> bool:
    if after is _MISSING:
        return True
    if before is _MISSING:
        return False
    return (keyword in _LOWER and after < before) or (keyword in _UPPER and after > before)


def _text(value: Any) -> str:
    return "nothing" if value is _MISSING else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
