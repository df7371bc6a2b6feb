"""The schemas say what is written: of every type, and of what really runs."""

import threading
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bank.contract.support import committed, encoded, values
from tests.cli.demo.support import running_platform
from tests.cli.support import wait_until

from streambank.bank.contract import ContractError, EventType, event_types, schema
from streambank.bank.events import TOPICS, Currency, Event
from streambank.bank.events.cloudevents import binary_mode_headers
from streambank.cli.demo.source import DemoSource
from streambank.clock import system_clock
from streambank.log import EventLog, Record, TopicPartition
from streambank.streams import LONG, STRING, JsonSerde, Topic

EVENT_TYPES = event_types(TOPICS)
WRITTEN = (
    *("user.key", "user.profile", "auth.key", "mail.requested", "account", "balance.changed"),
    *("account.thresholds", "user.goals"),
    *("account.balance", "user.balance", "alert.raised", "alert.notification", "email.sent"),
)
"""What services and topologies write of people who do the usual things."""


@cache
def committed_validator(path: str) -> jsonschema_rs.Draft202012Validator:
    return validator(committed(path))


def validator(document: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True)


def topic(of: type[Any], name: str = "thing", **changes: Any) -> Topic[str, Any]:
    headers = binary_mode_headers(type="bank.thing.v1", source="/services/things", id="event_id", subject="thing_id")
    settings: dict[str, Any] = {"name": name, "key": STRING, "value": JsonSerde(of), "headers": headers}
    return Topic(**settings | changes)


def schema_of(of: type[Any]) -> dict[str, Any]:
    (event_type,) = event_types([topic(of)])
    return schema(event_type)


def test_a_type_is_what_its_headers_say() -> None:
    found = {event_type.topic.name: event_type for event_type in EVENT_TYPES}
    assert list(found) == [topic.name for topic in TOPICS]
    balance = found["account.balance"]
    assert (balance.name, balance.source) == ("bank.account.balance.v1", "/topologies/balances/account")
    assert (balance.id, balance.key) == ("entry.entry_id", "scope_id")
    assert balance.schema_uri == "/schemas/bank.account.balance.v1.json"


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.name)
def test_the_id_is_the_address_and_every_schema_is_a_valid_open_one(event_type: EventType) -> None:
    document = schema(event_type)
    assert document["$id"] == event_type.schema_uri
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(document)
    assert '"additionalProperties": false' not in str(document)
    assert {"occurred_at", "recorded_at"} <= set(document["required"])


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_written_fits_the_committed_schema(event_type: EventType, data: st.DataObject) -> None:
    event = data.draw(values(event_type.type))
    found = committed_validator(f"schemas/{event_type.name}.json")
    found.validate(encoded(event))
    # A reader of today takes an event of tomorrow.
    later = encoded(event) | {"a_later_field": [1]}
    found.validate(later)
    assert event_type.topic.value.deserialize(msgspec.json.encode(later)) == event


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Record]]:
    """What the log holds after a month of generated people, who use the whole bank."""
    folder = tmp_path_factory.mktemp("contract")
    stop = threading.Event()
    with running_platform(folder / "bank") as bank:
        demo = DemoSource(
            bank.url, bank.log, folder, bank.find_code, system_clock, seed=7, people=6, days=25, rate=200
        )  # fmt: skip
        demo.join(stop)
        demo.load_history(stop)
        living = threading.Thread(target=demo.run, args=(stop,))
        living.start()
        wait_until(lambda: len(_read(bank.log, "email.sent")) >= 3, "alerts are mailed")
        stop.set()
        living.join()
        demo.close()
        yield [record for topic in TOPICS for record in _read(bank.log, topic.name)]


def _read(log: EventLog, name: str) -> list[Record]:
    return [record for p in range(log.topics()[name].partitions) for record in log.read(TopicPartition(name, p), 0)]


def test_what_really_runs_fits_the_schema_that_its_headers_name(records: list[Record]) -> None:
    messages = committed("asyncapi.json")["components"]["messages"]
    headers_validators = {kind: validator(message["headers"]) for kind, message in messages.items()}
    seen: set[str] = set()
    for record in records:
        headers = {name: (value or b"").decode() for name, value in record.headers}
        kind = headers["ce_type"]
        uri = headers["ce_dataschema"]
        committed_validator(uri.removeprefix("/")).validate(msgspec.json.decode(record.value or b""))
        headers_validators[kind].validate(headers)
        assert (record.key or b"").decode() == headers["ce_partitionkey"]
        seen.add(kind)
    assert seen >= {f"bank.{name}.v1" for name in WRITTEN}


class Part(msgspec.Struct, frozen=True):
    """A part."""

    at: datetime | None = None
    """When.

    In UTC.
    """
    size: int = 0


class Base(Event, frozen=True, kw_only=True):
    """What things have."""

    event_id: str
    """Its own."""


class Thing(Base, frozen=True, kw_only=True):
    """A thing."""

    thing_id: str
    parts: tuple[Part, ...] = ()
    """What it is made of."""
    seen: dict[str, datetime] = {}  # noqa: RUF012
    price_minor: Annotated[int, msgspec.Meta(ge=0)] = 0
    currency: Currency = Currency("EUR")


def test_what_a_schema_says_of_a_field() -> None:
    document = schema_of(Thing)
    fields = document["properties"]
    assert document["description"] == "A thing."
    assert fields["event_id"] == {"type": "string", "description": "Its own."}
    assert fields["occurred_at"] == {"type": "string", "format": "date-time"}
    assert fields["parts"] == {
        "type": "array",
        "items": {"$ref": "#/$defs/Part"},
        "default": [],
        "description": "What it is made of.",
    }
    assert fields["seen"]["additionalProperties"] == {"type": "string", "format": "date-time"}
    assert fields["currency"] == {"$ref": "#/$defs/Currency", "default": "EUR"}
    assert document["$defs"]["Currency"]["pattern"] == "^[A-Z]{3}$"
    assert "enum" not in document["$defs"]["Currency"]
    assert document["$defs"]["Part"]["properties"]["at"] == {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
        "default": None,
        "description": "When.\n\nIn UTC.",
    }
    assert set(document["$defs"]) == {"Part", "Currency"}


class Tree(msgspec.Struct, frozen=True):
    event_id: str
    children: "tuple[Tree, ...]" = ()


def test_a_type_that_holds_itself_keeps_its_definition() -> None:
    document = schema_of(Tree)
    assert set(document["$defs"]) == {"Tree"}
    validator(document).validate({"event_id": "a", "children": [{"event_id": "b"}]})


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int = 0


class HasClosed(Base, frozen=True, kw_only=True):
    thing_id: str
    closed: Closed | None = None


class Outer:
    class Part(msgspec.Struct, frozen=True):
        other: int = 0


class Twins(Base, frozen=True, kw_only=True):
    thing_id: str
    one: Part
    two: Outer.Part


@pytest.mark.parametrize(
    ("of", "says"),
    [(HasClosed, "Closed forbids unknown fields"), (Twins, "two of its types are named 'Part'"), (int, "not int")],
)
def test_what_no_schema_can_be_made_of(of: type[Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        schema_of(of)


@pytest.mark.parametrize(
    ("topics", "says"),
    [
        ([topic(Thing, headers=None)], "no header ce_type, ce_source"),
        ([topic(Thing, value=LONG)], "names no type"),
        ([topic(Thing), topic(Tree, "tree")], "is Thing on topic 'thing', but Tree on topic 'tree'"),
    ],
)
def test_topics_that_are_no_part_of_a_contract(topics: list[Topic[str, Any]], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        event_types(topics)


def test_two_topics_may_carry_one_type() -> None:
    assert [found.topic.name for found in event_types([topic(Thing), topic(Thing, "again")])] == ["thing", "again"]
