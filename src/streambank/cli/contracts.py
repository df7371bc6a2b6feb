"""The bank's contract: every event type of its topics, and who sends and who receives each."""

from __future__ import annotations

from streambank.bank import contract
from streambank.bank.contract import EventType, Participant
from streambank.bank.events import AUTH_KEY, TOPICS, USER_FEED
from streambank.cli.platform import TOPOLOGIES
from streambank.cli.services import SERVICES

FOLLOWED = {"views": (USER_FEED,)}
"""What services hand on to their clients, and keep nothing of."""

SERVICE_RECEIVES = {name: (AUTH_KEY, *kind.receives, *FOLLOWED.get(name, ())) for name, kind in SERVICES.items()}
"""What each service reads: who takes access tokens needs the keys that they are signed with. The rest follows from the
code: what a service sends from its events' source, and what a topology sends and receives from the topology itself."""


def event_types() -> tuple[EventType, ...]:
    """Every event type, in the order in which facts flow."""
    return contract.event_types(TOPICS)


def participants() -> tuple[Participant, ...]:
    """Every service and topology."""
    topologies = (contract.topology(name, build()) for name, build in TOPOLOGIES.items())
    return (*contract.services(event_types(), SERVICE_RECEIVES), *topologies)


def files() -> dict[str, str]:
    """The contract's files, by their paths."""
    return contract.files(event_types(), participants())
