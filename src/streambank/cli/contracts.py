"""The bank's contract: every event type of its topics, and who sends and who receives each."""

from __future__ import annotations

from streambank.bank import contract
from streambank.bank.contract import EventType, Participant
from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_THRESHOLDS,
    ALERT_NOTIFICATION,
    AUTH_KEY,
    GOAL_PROGRESS,
    MAIL_REQUESTED,
    TOPICS,
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    TRANSFER_SCREENED,
    USER_KEY,
    USER_LIMITS,
    USER_PROFILE,
)
from streambank.cli.platform import NOTIFICATIONS, TOPOLOGIES

SERVICE_RECEIVES = {
    "users": (AUTH_KEY,),
    "personalization": (AUTH_KEY, USER_KEY, USER_PROFILE, ACCOUNT, ACCOUNT_THRESHOLDS, GOAL_PROGRESS),
    "transactions": (AUTH_KEY, USER_KEY, TRANSFER_INSTRUCTED),
    "payments": (AUTH_KEY, USER_KEY, USER_PROFILE, USER_LIMITS, ACCOUNT, TRANSFER_SCREENED, TRANSFER_OUTCOME),
    NOTIFICATIONS: (USER_KEY, MAIL_REQUESTED, ALERT_NOTIFICATION),
}
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
