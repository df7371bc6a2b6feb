"""The AsyncAPI document: valid, whole, and true of who sends and who receives."""

import json
import re
import shutil
import subprocess
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.bank.contract.support import CONTRACTS, committed
from tests.services import all_services

from streambank.bank.contract import event_types, services, topology
from streambank.bank.events import ALERT_NOTIFICATION, AUTH_KEY, BALANCE_CHANGED, TOPICS
from streambank.cli.contracts import FOLLOWED, SERVICE_RECEIVES, participants
from streambank.clock import system_clock
from streambank.log.embedded import EmbeddedLog
from streambank.streams import STRING, JsonSerde, StreamBuilder, Topic

SPECS = "@asyncapi/specs@6.11.1"
"""The package that has AsyncAPI's own JSON Schema."""

FETCH_S = 60.0


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return committed("asyncapi.json")


@pytest.fixture(scope="module")
def official(pytestconfig: pytest.Config) -> jsonschema_rs.Draft7Validator:
    """AsyncAPI's own schema, fetched once by npm; without npm or a network, there is nothing to validate with."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("asyncapi-specs-6.11.1")
    kept = folder / "3.0.0.json"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed")
        command = [npm, "pack", SPECS, "--silent", "--pack-destination", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not fetch {SPECS} in {FETCH_S} s")
        if done.returncode:
            pytest.skip(f"npm cannot fetch {SPECS}: {done.stderr.strip()}")
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            member = archive.extractfile("package/schemas/3.0.0.json")
            assert member is not None
            part = folder / "part"
            part.write_bytes(member.read())
            part.replace(kept)
    return jsonschema_rs.Draft7Validator(json.loads(kept.read_text()))


def test_it_is_valid_by_asyncapis_own_schema(official: jsonschema_rs.Draft7Validator, document: dict[str, Any]) -> None:
    official.validate(document)
    for path, broken in (("channels account address", 1), ("operations alerts.send.alert.raised action", "sends")):
        copy = json.loads(json.dumps(document))
        *way, last = re.split(r" ", path)
        at = copy
        for name in way:
            at = at[name]
        at[last] = broken
        assert not official.is_valid(copy)


def resolve(document: dict[str, Any], reference: str) -> dict[str, Any]:
    at: Any = document
    for name in reference.removeprefix("#/").split("/"):
        at = at[name]
    assert isinstance(at, dict)
    return at


def test_what_the_specification_requires_is_there_and_every_reference_leads_somewhere(
    document: dict[str, Any],
) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    for name, channel in document["channels"].items():
        assert channel["address"] == name
        (message,) = channel["messages"].values()
        payload = resolve(document, message["$ref"])["payload"]["$ref"]
        assert json.loads((CONTRACTS / payload).read_text())["$id"] == f"/{payload}"
    tags = {tag["name"] for tag in document["info"]["tags"]}
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = resolve(document, operation["channel"]["$ref"])
        (message,) = operation["messages"]
        assert resolve(document, message["$ref"]) in channel["messages"].values()
        assert {tag["name"] for tag in operation["tags"]} <= tags


def test_every_topic_is_a_channel_with_its_key_partitions_and_policy(document: dict[str, Any]) -> None:
    assert document["channels"].keys() == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        kafka = document["channels"][topic.name]["bindings"]["kafka"]
        assert kafka["partitions"] == topic.partitions
        assert kafka["topicConfiguration"]["cleanup.policy"] == topic.cleanup_policy.split(",")
        assert kafka["topicConfiguration"]["retention.ms"] == topic.retention_ms
    assert "takes its key away" in document["channels"]["account"]["description"]
    message = document["components"]["messages"]["bank.account.balance.v1"]
    assert message["bindings"]["kafka"]["key"]["description"] == "The event's `scope_id`, as UTF-8."
    assert message["headers"]["properties"]["ce_id"]["description"].startswith("The event's `entry.entry_id`")


def test_payloads_say_nothing_that_draft_07_says_differently() -> None:
    # AsyncAPI's default format is a superset of draft-07, so that the schemas are understood by its tools as they are.
    for path in (CONTRACTS / "schemas").glob("*.json"):
        found = set(re.findall(r'"(\$?\w+)":', path.read_text()))
        assert found.isdisjoint({"prefixItems", "dependentRequired", "unevaluatedProperties", "$dynamicRef", "$anchor"})


def test_every_topic_is_sent_by_the_one_that_its_events_name_as_their_source() -> None:
    senders = {topic.name: {one.name for one in participants() if topic.name in one.sends} for topic in TOPICS}
    named = {event_type.topic.name: {event_type.source.split("/")[2]} for event_type in event_types(TOPICS)}
    assert senders == named


def test_the_services_receive_what_the_table_says(tmp_path: Path) -> None:
    with ExitStack() as stack:
        log = stack.enter_context(EmbeddedLog.open(None))
        log.create_topics(topic.config for topic in TOPICS)
        made = all_services(log, lambda name: tmp_path / f"{name}.db", stack, clock=system_clock)
        for service, _ in made.values():
            service.step()
        read = {
            group.group: {at.topic for member in group.members for at in member.assignment} for group in log.groups()
        }
    for name, topics in SERVICE_RECEIVES.items():
        # The keys of access tokens are read by whoever checks them, and what is only handed on, without a group.
        beside = {AUTH_KEY, *FOLLOWED.get(name, ())}
        assert read.get(name, set()) == {topic.name for topic in topics if topic not in beside}, name


def by_key(key: str, _value: int) -> str:
    return key


def either(count: int, _other: int) -> int:
    return count


def test_a_topology_takes_part_by_what_it_reads_and_writes_and_not_by_what_is_internal() -> None:
    builder = StreamBuilder()
    other = Topic(name="other", key=STRING, value=JsonSerde(int))
    wide = Topic(name="wide", key=STRING, value=JsonSerde(int))
    out = Topic(name="out", key=STRING, value=JsonSerde(int))
    table = builder.global_table(wide)
    counted = builder.stream(other).group_by(by_key).count(name="counted").to_stream()
    counted.join(table, lambda key, _: key, either).to(out)
    found = topology("counting", builder.build())
    assert (found.name, found.kind) == ("counting", "topology")
    assert found.receives == {"other", "wide"}
    assert found.sends == {"out"}


def test_a_service_sends_what_names_it_and_receives_what_it_is_said_to() -> None:
    found = {one.name: one for one in services(event_types(TOPICS), {"audit": [BALANCE_CHANGED, ALERT_NOTIFICATION]})}
    assert {"account", "balance.changed"} <= found["transactions"].sends
    assert found["transactions"].receives == frozenset()
    assert found["audit"].receives == {"balance.changed", "alert.notification"}
    assert found["audit"].sends == frozenset()
    assert list(found) == sorted(found)
