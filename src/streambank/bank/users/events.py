"""The records that the users service publishes. Personal data leaves it sealed only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from streambank.bank.events import (
    AUTH_KEY,
    MAIL_REQUESTED,
    USER_CLICKED,
    USER_KEY,
    USER_PROFILE,
    Digest,
    MailKind,
    MailRequested,
    QuietHours,
    SigningKey,
    UserClicked,
    UserKey,
    UserProfile,
)
from streambank.bank.events.personal import new_personal_key, seal
from streambank.bank.users.people import Person
from streambank.bank.users.signing import KeyPair
from streambank.clock import to_datetime
from streambank.ids import RandomBytes
from streambank.log.partitioner import partition_for
from streambank.service.outbox import OutgoingRecord, outgoing
from streambank.streams.topic import Topic


def _nobodies(partitions: int) -> tuple[str, ...]:
    found: dict[int, str] = {}
    for number in count():
        if len(found) == partitions:
            break
        found.setdefault(partition_for(f"nobody-{number}".encode(), partitions), f"nobody-{number}")
    return tuple(found[partition] for partition in range(partitions))


NOBODIES = _nobodies(USER_KEY.config.partitions)
"""An id that is nobody's for each partition of USER_KEY. It is no UUID, so that nobody can ever have it."""


@dataclass(frozen=True, slots=True)
class Click:
    """A click on a page, at ``at_ms`` since the epoch."""

    event_id: str
    page: str
    element: str
    at_ms: int


def key_record(person: Person, event_id: str, now_ms: int) -> OutgoingRecord:
    """The key that a person's data is sealed with."""
    now = to_datetime(now_ms)
    event = UserKey(
        user_id=person.user_id, occurred_at=now, recorded_at=now, event_id=event_id, key=person.personal_key
    )
    return outgoing(USER_KEY, person.user_id, event, now_ms)


def profile_record(person: Person, event_id: str, now_ms: int) -> OutgoingRecord:
    """Who a person is now, and how to reach them."""
    now = to_datetime(now_ms)
    event = UserProfile(
        user_id=person.user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        email=_sealed(person, person.email),
        name=_sealed(person, person.name),
        locale=person.locale,
        timezone=person.timezone,
        email_verified=person.is_verified,
        quiet_hours=quiet_hours(person),
        digest=Digest(person.digest),
    )
    return outgoing(USER_PROFILE, person.user_id, event, now_ms)


def mail_record(
    person: Person,
    kind: MailKind,
    event_id: str,
    now_ms: int,
    *,
    email: str | None = None,
    token: str | None = None,
    expires_at: int | None = None,
) -> OutgoingRecord:
    """An e-mail to a person, at ``email`` where that is not the address of their profile."""
    now = to_datetime(now_ms)
    event = MailRequested(
        user_id=person.user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        kind=kind,
        email=_sealed(person, email or person.email),
        name=_sealed(person, person.name),
        locale=person.locale,
        timezone=person.timezone,
        token=_sealed(person, token) if token is not None else None,
        expires_at=to_datetime(expires_at) if expires_at is not None else None,
    )
    return outgoing(MAIL_REQUESTED, person.user_id, event, now_ms)


def erasure_records(user_id: str, now_ms: int) -> list[OutgoingRecord]:
    """A person is gone: tombstones of the profile and, last, of the key that all else was sealed with."""
    return [tombstone(USER_PROFILE, user_id, now_ms), tombstone(USER_KEY, user_id, now_ms)]


def nobodys_key_records(event_ids: Sequence[str], random_bytes: RandomBytes, now_ms: int) -> list[OutgoingRecord]:
    """A key of nobody for each partition of USER_KEY: always the same few ids, so that they take no room.

    Kafka closes a segment, and only then compacts it, when something is appended. In a partition where nobody signs up
    the keys of those who were erased would stay for ever.
    """
    now = to_datetime(now_ms)
    return [
        outgoing(
            USER_KEY,
            nobody,
            UserKey(
                user_id=nobody,
                occurred_at=now,
                recorded_at=now,
                event_id=event_id,
                key=new_personal_key(random_bytes),
            ),
            now_ms,
        )
        for nobody, event_id in zip(NOBODIES, event_ids, strict=True)
    ]


def click_records(user_id: str, session_id: str, clicks: Sequence[Click], now_ms: int) -> list[OutgoingRecord]:
    """What somebody did on a page."""
    return [
        outgoing(
            USER_CLICKED,
            user_id,
            UserClicked(
                user_id=user_id,
                occurred_at=to_datetime(click.at_ms),
                recorded_at=to_datetime(now_ms),
                event_id=click.event_id,
                session_id=session_id,
                page=click.page,
                element=click.element,
            ),
            click.at_ms,
        )
        for click in clicks
    ]


def signing_key_record(key: KeyPair, event_id: str, now_ms: int) -> OutgoingRecord:
    """The public half of a key, for whoever checks tokens."""
    now = to_datetime(now_ms)
    event = SigningKey(event_id=event_id, kid=key.kid, jwk=key.public_jwk(), occurred_at=now, recorded_at=now)
    return outgoing(AUTH_KEY, key.kid, event, now_ms)


def signing_key_tombstone(kid: str, now_ms: int) -> OutgoingRecord:
    """No token of that key is good any longer."""
    return tombstone(AUTH_KEY, kid, now_ms)


def tombstone(topic: Topic[str, Any], key: str, now_ms: int) -> OutgoingRecord:
    """The record that says that there is no value for ``key`` any more."""
    return OutgoingRecord(topic.name, topic.key.serialize(key), None, None, now_ms)


def quiet_hours(person: Person) -> QuietHours | None:
    """When the person is not to be disturbed."""
    if person.quiet_from_minute is None or person.quiet_to_minute is None:
        return None
    return QuietHours(from_minute=person.quiet_from_minute, to_minute=person.quiet_to_minute)


def _sealed(person: Person, text: str) -> str:
    return seal(person.personal_key, person.user_id, text)
