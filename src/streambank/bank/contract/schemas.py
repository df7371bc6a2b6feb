"""A JSON Schema (draft 2020-12) for each event type.

Content is open: a reader passes over fields that it does not know, so that a later one may be added.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
from iso4217 import Currency
from msgspec import inspect

from streambank.bank.contract.docs import field_docs
from streambank.bank.contract.errors import ContractError
from streambank.bank.contract.event_types import EventType

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

CURRENCY: Schema = {
    "title": "Currency",
    "description": "An ISO 4217 code. Which codes there are is ISO's to say, not this contract's.",
    "type": "string",
    "pattern": "^[A-Z]{3}$",
}
"""In place of the list of all currencies, which would change with the library that has it."""

_DEFINITIONS = "#/$defs/"


def schema(event_type: EventType) -> Schema:
    """The schema of the type's events, as they are in the values of the log's records.

    Raises:
        ContractError: a type in it is not a Struct or forbids unknown fields, or two have one name.
    """
    (root,), components = msgspec.json.schema_components([event_type.type], ref_template=_DEFINITIONS + "{name}")
    by_title: dict[str, Schema] = {}
    for component in components.values():
        if by_title.setdefault(component.get("title", ""), component) is not component:
            raise ContractError(f"{event_type.name}: two of its types are named {component['title']!r}; rename one")
    for struct in _structs(inspect.type_info(event_type.type)):
        _complete(by_title[struct.cls.__name__], struct, event_type.name)
    if by_title.get("Currency", {}).get("enum") == sorted(currency.value for currency in Currency):
        components["Currency"] = CURRENCY
    if "$ref" not in root:
        raise ContractError(f"{event_type.name}: an event is a Struct, not {event_type.type.__name__}")
    body = components[root["$ref"].removeprefix(_DEFINITIONS)]
    document: Schema = {"$schema": DIALECT, "$id": event_type.schema_uri, **body}
    needed = _referred(body, components)
    if needed:
        document["$defs"] = {name: components[name] for name in sorted(needed)}
    # As JSON has it: a default may be a tuple.
    plain: Schema = msgspec.json.decode(msgspec.json.encode(document))
    return plain


def _complete(component: Schema, struct: inspect.StructType, name: str) -> None:
    """Add to a struct's schema what msgspec leaves out: its fields' docstrings, and that moments are such."""
    if struct.forbid_unknown_fields:
        raise ContractError(
            f"{name}: {struct.cls.__name__} forbids unknown fields, so that none could ever be added: leave it open"
        )
    docs = field_docs(struct.cls)
    for field in struct.fields:
        part = component["properties"][field.encode_name]
        _mark_moments(part, field.type)
        if field.name in docs:
            part["description"] = docs[field.name]


def _mark_moments(part: Schema, of: inspect.Type) -> None:
    if isinstance(of, inspect.DateTimeType):
        part["format"] = "date-time"
    elif isinstance(of, inspect.UnionType):
        texts = [choice for choice in part["anyOf"] if choice.get("type") == "string" and "format" not in choice]
        if texts and any(isinstance(choice, inspect.DateTimeType) for choice in of.types):
            texts[0]["format"] = "date-time"
    elif isinstance(of, inspect.CollectionType):
        _mark_moments(part.get("items", {}), of.item_type)
    elif isinstance(of, inspect.DictType):
        _mark_moments(part.get("additionalProperties", {}), of.value_type)


def _structs(root: inspect.Type) -> Iterator[inspect.StructType]:
    """Every struct that values of the type may hold, each once."""
    seen: set[type] = set()
    waiting = [root]
    while waiting:
        of = waiting.pop()
        if isinstance(of, inspect.StructType) and of.cls not in seen:
            seen.add(of.cls)
            waiting.extend(field.type for field in of.fields)
            yield of
        elif isinstance(of, inspect.UnionType):
            waiting.extend(of.types)
        elif isinstance(of, inspect.CollectionType):
            waiting.append(of.item_type)
        elif isinstance(of, inspect.TupleType):
            waiting.extend(of.item_types)
        elif isinstance(of, inspect.DictType):
            waiting.append(of.value_type)


def _referred(body: Schema, components: dict[str, Schema]) -> set[str]:
    """The names of the definitions that the body refers to, through others too."""
    found: set[str] = set()
    waiting: list[Any] = [body]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).removeprefix(_DEFINITIONS)
            if name and name not in found:
                found.add(name)
                waiting.append(components[name])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return found
