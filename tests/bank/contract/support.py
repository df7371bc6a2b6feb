"""Random values of a type, and the committed files."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

CONTRACTS = Path(__file__).parents[3] / "contracts"

MOMENTS = st.datetimes(timezones=st.just(dt.UTC))


def committed(path: str) -> dict[str, Any]:
    """One of the committed files."""
    document: dict[str, Any] = json.loads((CONTRACTS / path).read_text())
    return document


def values(of: Any) -> st.SearchStrategy[Any]:
    """Values of a type; fields that have a default are sometimes left to it."""
    return _values(of if isinstance(of, inspect.Type) else inspect.type_info(of))


def _values(of: inspect.Type) -> st.SearchStrategy[Any]:
    match of:
        case inspect.StructType():
            return _structs(of)
        case inspect.UnionType():
            return st.one_of(*map(_values, of.types))
        case inspect.IntType():
            low = of.ge if of.ge is not None else -(2**63)
            high = of.lt - 1 if of.lt is not None else of.le if of.le is not None else 2**63 - 1
            return st.integers(low, high)
        case inspect.EnumType():
            return st.sampled_from(list(of.cls))
        case inspect.VarTupleType():
            return st.lists(_values(of.item_type), max_size=3).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_values(of.key_type), _values(of.value_type), max_size=3)
    return _SIMPLE[type(of)]


_SIMPLE: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.StrType: st.text(st.characters(codec="utf-8"), max_size=12),
    inspect.BoolType: st.booleans(),
    inspect.BytesType: st.binary(max_size=12),
    inspect.DateTimeType: MOMENTS,
    inspect.DateType: st.dates(),
    inspect.NoneType: st.none(),
}


def _structs(of: inspect.StructType) -> st.SearchStrategy[Any]:
    required = {field.name: _values(field.type) for field in of.fields if field.required}
    optional = {field.name: _values(field.type) for field in of.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: of.cls(**given))


def encoded(value: Any) -> Any:
    """What a value is in JSON."""
    return json.loads(msgspec.json.encode(value))
