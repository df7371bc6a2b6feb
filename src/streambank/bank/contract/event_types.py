"""The event types, read off the topics that carry them: what their records' headers say is what is documented."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streambank.bank.contract.errors import ContractError
from streambank.log import decode_headers
from streambank.streams import Topic


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event on one topic.

    ``name`` is its ``ce_type``, with its version; ``source`` and ``schema_uri`` are the other headers that are the same
    for all its events. ``id`` and ``key`` are the paths of the fields that ``ce_id``, and ``ce_subject`` with the
    record's key, are taken from.
    """

    name: str
    topic: Topic[Any, Any]
    type: type
    source: str
    schema_uri: str
    id: str
    key: str


class _Path:
    """Stands for an event where its headers are made: each attribute is known by its path."""

    def __init__(self, path: str = "") -> None:
        self._path = path

    def __getattr__(self, name: str) -> "_Path":
        return _Path(f"{self._path}.{name}" if self._path else name)

    def encode(self) -> bytes:
        return self._path.encode()


def event_types(topics: Iterable[Topic[Any, Any]]) -> tuple[EventType, ...]:
    """The event type of each topic, in the topics' order.

    Raises:
        ContractError: a topic's records have no CloudEvents headers or no type, or two types have one name.
    """
    found: dict[str, EventType] = {}
    result = []
    for topic in topics:
        event_type = _event_type(topic)
        other = found.setdefault(event_type.name, event_type)
        if other.type is not event_type.type:
            raise ContractError(
                f"event type {event_type.name!r} is {other.type.__name__} on topic {other.topic.name!r}, but"
                f" {event_type.type.__name__} on topic {topic.name!r}: give one of them another name"
            )
        result.append(event_type)
    return tuple(result)


def _event_type(topic: Topic[Any, Any]) -> EventType:
    of = getattr(topic.value, "type", None)
    if not isinstance(of, type):
        raise ContractError(f"topic {topic.name!r}: its values' serde names no type; use JsonSerde(TYPE)")
    encoded = topic.headers(_Path(), 0) if topic.headers is not None else None
    headers = {name: (value or b"").decode() for name, value in decode_headers(encoded)}
    missing = [name for name in ("ce_type", "ce_source", "ce_dataschema", "ce_id", "ce_subject") if name not in headers]
    if missing:
        raise ContractError(
            f"topic {topic.name!r}: its records have no header {', '.join(missing)}; use binary_mode_headers(...)"
        )
    return EventType(
        name=headers["ce_type"],
        topic=topic,
        type=of,
        source=headers["ce_source"],
        schema_uri=headers["ce_dataschema"],
        id=headers["ce_id"],
        key=headers["ce_subject"],
    )
