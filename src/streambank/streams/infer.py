"""Finds the serde of what a function returns in its annotations, so that typed programs need not say it twice."""

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from streambank.streams.errors import TopologyError
from streambank.streams.serde import BYTES, LONG, STRING, JsonSerde, Serde


class MissingSerde:
    """Stands where a serde is not known; building a topology that needs it raises TopologyError with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    @property
    def serialize(self) -> Callable[[Any], bytes]:
        """Raises TopologyError."""
        raise TopologyError(self.reason)

    @property
    def deserialize(self) -> Callable[[bytes], Any]:
        """Raises TopologyError."""
        raise TopologyError(self.reason)


def serde_for(of: Any) -> Serde[Any]:
    """The serde of a type: text, bytes and integers in Kafka's own forms, everything else as JSON."""
    of = _without_none(of)
    while isinstance(of, typing.NewType):
        of = of.__supertype__
    known: dict[Any, Serde[Any]] = {str: STRING, bytes: BYTES, int: LONG}
    return known[of] if of in known else JsonSerde(of)


def returned_value(function: Callable[..., Any], what: str) -> Serde[Any]:
    """The serde of a function's result."""
    return _from_annotation(function, what, lambda annotation: annotation)


def returned_item(function: Callable[..., Any], what: str) -> Serde[Any]:
    """The serde of one item of a function's iterable result."""
    return _from_annotation(function, what, _item)


def returned_pair(function: Callable[..., Any], what: str, *, iterable: bool = False) -> tuple[Serde[Any], Serde[Any]]:
    """The serdes of key and value of a function's result: a pair, or an iterable of pairs."""

    def part(index: int) -> Callable[[Any], Any]:
        def of(annotation: Any) -> Any:
            pair = _item(annotation) if iterable else annotation
            arguments = typing.get_args(pair)
            return arguments[index] if typing.get_origin(pair) is tuple and len(arguments) == 2 else None

        return of

    return _from_annotation(function, f"{what} keys", part(0)), _from_annotation(function, f"{what} values", part(1))


def forwarded(processor: Callable[..., Any], what: str) -> tuple[Serde[Any], Serde[Any]]:
    """The serdes of the keys and values that a processor forwards: its context is a ``ProcessorContext[K, V]``."""
    while isinstance(processor, functools.partial):
        processor = processor.func
    process = getattr(processor, "process", processor)
    context = _last_parameter(process)
    arguments = typing.get_args(context)
    found = arguments if len(arguments) == 2 else (None, None)
    fix = f"Annotate the context of {_name(process)} as ProcessorContext[...], or pass a serde"
    return _serde_of(found[0], f"{what} keys", fix), _serde_of(found[1], f"{what} values", fix)


def _from_annotation(function: Callable[..., Any], what: str, part: Callable[[Any], Any]) -> Serde[Any]:
    fix = f"Annotate what {_name(function)} returns, or pass a serde"
    return _serde_of(part(_return_annotation(function)), what, fix)


def _serde_of(annotation: Any, what: str, fix: str) -> Serde[Any]:
    if annotation not in (None, type(None), Any, object, typing.Self) and not isinstance(annotation, typing.TypeVar):
        with contextlib.suppress(TypeError):  # msgspec's answer to a type that JSON has no form for
            return serde_for(annotation)
    return MissingSerde(f"{what}: its type is not known, so it cannot be stored or sent. {fix}")


def _name(function: Callable[..., Any]) -> str:
    return repr(getattr(function, "__qualname__", function))


def _last_parameter(function: Callable[..., Any]) -> Any:
    """The annotation of the function's last parameter; None where it is not known."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        return None
    hints.pop("return", None)
    return [*hints.values()][-1] if hints else None


def _return_annotation(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return function
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        annotation = typing.get_type_hints(getattr(target, "__func__", target)).get("return")
    except (NameError, TypeError):
        return None
    owner = getattr(function, "__self__", None)
    if annotation is typing.Self and owner is not None:
        return owner if isinstance(owner, type) else type(owner)
    return annotation


def _item(annotation: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
    is_iterable = isinstance(origin, type) and issubclass(origin, Iterable)
    return arguments[0] if is_iterable and len(arguments) >= 1 else None


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [argument for argument in typing.get_args(annotation) if argument is not type(None)]
        if len(rest) == 1:
            return rest[0]
    return annotation
