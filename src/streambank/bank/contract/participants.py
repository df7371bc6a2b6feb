"""Who takes part: the services and topologies, and which topics of the contract each sends to and receives from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streambank.bank.contract.event_types import EventType
from streambank.streams import Topic, Topology

SERVICES = "/services/"
"""What a service's ``ce_source`` begins with; its name follows."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A service or a topology, and the names of the topics that it sends to and receives from."""

    name: str
    kind: Literal["service", "topology"]
    sends: frozenset[str]
    receives: frozenset[str]


def topology(name: str, built: Topology) -> Participant:
    """A topology: it receives from its sources and sends to its sinks; what is internal to it stays so."""
    sinks = [topic for sub in built.sub_topologies for topic in sub.sinks]
    return Participant(
        name=name,
        kind="topology",
        sends=_names(sinks) - built.internal,
        receives=_names([*built.source_topics, *built.global_tables]) - built.internal,
    )


def services(
    event_types: Sequence[EventType], receives: Mapping[str, Iterable[Topic[Any, Any]]]
) -> tuple[Participant, ...]:
    """The services by name: each sends the events that name it as their source, and receives what ``receives`` says."""
    sends: dict[str, set[str]] = {name: set() for name in receives}
    for event_type in event_types:
        if event_type.source.startswith(SERVICES):
            name = event_type.source.removeprefix(SERVICES).partition("/")[0]
            sends.setdefault(name, set()).add(event_type.topic.name)
    return tuple(
        Participant(name=name, kind="service", sends=frozenset(topics), receives=_names(receives.get(name, ())))
        for name, topics in sorted(sends.items())
    )


def _names(topics: Iterable[Topic[Any, Any]]) -> frozenset[str]:
    return frozenset(topic.name for topic in topics)
