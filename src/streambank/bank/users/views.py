"""What people are shown of what the service stores."""

from typing import Any

from sqlalchemy import Row

from streambank.bank.events import Digest
from streambank.bank.users.events import quiet_hours
from streambank.bank.users.people import Person
from streambank.bank.users.schemas import (
    ApiKeyView,
    Preferences,
    Profile,
    ProgramView,
    QuietHoursView,
    SecurityEventView,
    SessionView,
)
from streambank.clock import to_datetime


def profile_view(person: Person) -> Profile:
    """Who somebody is."""
    return Profile(
        user_id=person.user_id,
        email=person.email,
        email_verified=person.is_verified,
        name=person.name,
        locale=person.locale,
        timezone=person.timezone,
        created_at=to_datetime(person.created_at),
        updated_at=to_datetime(person.updated_at),
    )


def preferences_view(person: Person) -> Preferences:
    """How somebody wants to be notified."""
    quiet = quiet_hours(person)
    return Preferences(
        quiet_hours=QuietHoursView(from_minute=quiet.from_minute, to_minute=quiet.to_minute) if quiet else None,
        digest=Digest(person.digest),
    )


def session_view(row: Row[Any]) -> SessionView:
    """A session of a page, without its token."""
    return SessionView(
        session_id=row.session_id,
        address=row.address,
        user_agent=row.user_agent,
        created_at=to_datetime(row.created_at),
        last_used_at=to_datetime(row.last_used_at),
        expires_at=to_datetime(row.expires_at),
    )


def program_view(row: Row[Any]) -> ProgramView:
    """A log-in of a program, without its tokens."""
    return ProgramView(
        client_id=row.client_id,
        scope=row.scope,
        created_at=to_datetime(row.created_at),
        expires_at=to_datetime(row.expires_at),
    )


def api_key_view(row: Row[Any]) -> ApiKeyView:
    """A key, without its secret."""
    return ApiKeyView(
        key_id=row.key_id,
        name=row.name,
        scope=row.scope,
        created_at=to_datetime(row.created_at),
        expires_at=to_datetime(row.expires_at),
        last_used_at=to_datetime(row.last_used_at) if row.last_used_at is not None else None,
    )


def security_event_view(row: Row[Any]) -> SecurityEventView:
    """Something that happened to somebody's credentials."""
    return SecurityEventView(
        event_id=row.event_id,
        kind=row.kind,
        occurred_at=to_datetime(row.occurred_at),
        address=row.address,
        detail=row.detail,
    )
