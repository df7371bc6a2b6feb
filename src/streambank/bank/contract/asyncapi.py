"""The AsyncAPI 3.0 document: the topics as channels, and who sends to and receives from each as operations.

Payloads are references to the files of the schemas, relative to the document.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal

from streambank.bank.contract.event_types import EventType
from streambank.bank.contract.participants import Participant

VERSION = "1"
"""The document's; raised when a channel goes away. Each event type has a version of its own, in its name."""

BINDING_VERSION = "0.5.0"
"""Of AsyncAPI's Kafka binding."""

CONTENT_TYPE = "application/json"

DESCRIPTION = """\
Every event of the bank. Services and topologies know of each other only what is in here.

An event is a record of a topic: CloudEvents 1.0 in the Kafka binding's binary mode, which is the attributes in headers
and the event itself, as JSON, in the value. A reader passes over fields that it does not know; a field that is left out
has its default. Within a version of an event type only optional fields are added.\
"""

Document = dict[str, Any]


def asyncapi(event_types: Sequence[EventType], participants: Iterable[Participant]) -> Document:
    """The document."""
    everyone = sorted(participants, key=lambda one: one.name)
    operations = chain.from_iterable(_operations(event_type, everyone) for event_type in event_types)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "streambank",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": one.name, "description": f"The {one.name} {one.kind}."} for one in everyone],
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {event_type.topic.name: _channel(event_type) for event_type in event_types},
        "operations": dict(operations),
        "components": {"messages": {event_type.name: _message(event_type) for event_type in event_types}},
    }


def schema_path(event_type: EventType) -> str:
    """Where the type's schema is, relative to the document."""
    return f"schemas/{event_type.name}.json"


def _channel(event_type: EventType) -> Document:
    topic = event_type.topic
    last = " The last record of each key stays; one without a value takes its key away."
    return {
        "address": topic.name,
        "description": f"Keyed by `{event_type.key}`.{last if topic.cleanup_policy == 'compact' else ''}",
        "messages": {event_type.name: {"$ref": f"#/components/messages/{event_type.name}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": topic.cleanup_policy.split(","),
                    "retention.ms": topic.retention_ms,
                },
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _message(event_type: EventType) -> Document:
    return {
        "name": event_type.name,
        "title": event_type.type.__name__,
        "summary": _first_sentence(event_type.type.__doc__ or event_type.type.__name__),
        "contentType": CONTENT_TYPE,
        "headers": _headers(event_type),
        "payload": {"$ref": schema_path(event_type)},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The event's `{event_type.key}`, as UTF-8."},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _headers(event_type: EventType) -> Document:
    """The CloudEvents attributes, as ``bank.events.cloudevents`` writes them."""
    subject = f"The event's `{event_type.key}`; also the record's key."
    properties = {
        "content-type": {"type": "string", "const": CONTENT_TYPE},
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_type": {"type": "string", "const": event_type.name},
        "ce_source": {"type": "string", "format": "uri-reference", "const": event_type.source},
        "ce_dataschema": {"type": "string", "format": "uri-reference", "const": event_type.schema_uri},
        "ce_id": {"type": "string", "description": f"The event's `{event_type.id}`; unique with `ce_source`."},
        "ce_subject": {"type": "string", "description": subject},
        "ce_partitionkey": {"type": "string", "description": subject},
        "ce_time": {"type": "string", "format": "date-time", "description": "Event time, in UTC."},
    }
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _operations(event_type: EventType, participants: Iterable[Participant]) -> Iterable[tuple[str, Document]]:
    topic = event_type.topic.name
    for one in participants:
        if topic in one.sends:
            yield f"{one.name}.send.{topic}", _operation(event_type, one, "send")
        if topic in one.receives:
            yield f"{one.name}.receive.{topic}", _operation(event_type, one, "receive")


def _operation(event_type: EventType, participant: Participant, action: Literal["send", "receive"]) -> Document:
    topic, name = event_type.topic.name, participant.name
    operation: Document = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": f"The {name} {participant.kind} {action}s {event_type.name}.",
        "tags": [{"name": name}],
        "messages": [{"$ref": f"#/channels/{topic}/messages/{event_type.name}"}],
    }
    if action == "receive":
        group = {"type": "string", "const": name}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}}
    return operation


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."
