"""What a person may ask of the service about their own data: all of it, and none of it. Nothing here commits.

Erasure deletes the rows and publishes that the person and their key are gone. What else it takes, until nobody can
read anything of theirs, is in docs/decisions/0009-users.md.
"""

import structlog
from sqlalchemy import Connection

from streambank.bank.addresses import address_key
from streambank.bank.users import repository
from streambank.bank.users.authentication import Authenticator, Proven
from streambank.bank.users.context import Context
from streambank.bank.users.events import Click, click_records, erasure_records
from streambank.bank.users.people import Person, delete_person
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import Clicks, Export
from streambank.bank.users.throttle import ACCOUNT_LOG_INS, MAILS, subject
from streambank.bank.users.tokens import DAY_MS, SESSION_IDLE_MS
from streambank.bank.users.views import (
    api_key_view,
    preferences_view,
    profile_view,
    program_view,
    security_event_view,
    session_view,
)
from streambank.clock import to_datetime, to_millis
from streambank.service.http.answers import Answer, accepted, check_version, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.problems import unprocessable

logger = structlog.get_logger(__name__)

EXPORT_ITEMS_MAX = 100_000
"""Of each kind: beyond what the service lets anybody have, and still an answer that a browser can hold."""

CLICK_AGE_MS_MAX = DAY_MS
"""A page sends its clicks within seconds, or when the machine is awake again."""

CLICK_AHEAD_MS_MAX = 60_000
"""Clocks of browsers differ from ours by that much at most, if anybody set them."""


class Privacy:
    """What people do with what is known of them."""

    def __init__(self, context: Context, authenticator: Authenticator) -> None:
        self._context = context
        self._authenticator = authenticator
        # At the start too: the process that erased somebody may not have lived to scrub.
        self._is_to_scrub = True

    def export(self, connection: Connection, caller: Caller) -> Answer:
        """200: everything that the users service knows of the caller, without secrets."""
        now = self._context.clock()
        person = self._context.person(connection, caller.user_id)
        everything = PageOf(EXPORT_ITEMS_MAX)
        sessions = repository.sessions(connection, person.user_id, now, SESSION_IDLE_MS, everything)
        body = Export(
            exported_at=to_datetime(now),
            profile=profile_view(person),
            preferences=preferences_view(person),
            password_changed_at=to_datetime(person.password_changed_at),
            sessions=[session_view(row) for row in sessions],
            programs=[program_view(row) for row in repository.grants(connection, person.user_id, now)],
            api_keys=[api_key_view(row) for row in repository.api_keys(connection, person.user_id, everything)],
            security_history=[
                security_event_view(row) for row in repository.security_events(connection, person.user_id, everything)
            ],
        )
        answer = ok(body)
        return Answer(
            answer.status, body, headers={"Content-Disposition": 'attachment; filename="streambank-users.json"'}
        )

    def erase(self, connection: Connection, proven: Proven, expected_version: int | None) -> Answer:
        """204: the person is gone."""
        person = self._authenticator.still(connection, proven)
        check_version(person.version, expected_version)
        self.forget(connection, person)
        return no_content()

    def forget(self, connection: Connection, person: Person) -> None:
        """Delete all that the service holds of a person, and publish that they and their key are gone."""
        account = address_key(person.email)
        for policy in (ACCOUNT_LOG_INS, MAILS):
            repository.store_attempts(connection, subject(policy, account), None)
        delete_person(connection, person.user_id)
        self._context.publish(connection, erasure_records(person.user_id, self._context.clock()))
        self._is_to_scrub = True

    def scrub(self) -> None:
        """Take what was erased out of the database's files, if anything was. Not within a transaction."""
        if self._is_to_scrub:
            # Before, not after: whoever is erased meanwhile is scrubbed the next time.
            self._is_to_scrub = False
            if not self._context.database.scrub():
                self._is_to_scrub = True
                logger.warning("what was erased is still in the write-ahead log: somebody reads it; done later")

    def take_clicks(self, connection: Connection, caller: Caller, body: Clicks) -> Answer:
        """202: the clicks are published. Raises Problem 422 where one is too old, or still to come."""
        now = self._context.clock()
        self._context.person(connection, caller.user_id)
        clicks = []
        for index, click in enumerate(body.clicks):
            at = to_millis(click.occurred_at) if click.occurred_at is not None else now
            if not now - CLICK_AGE_MS_MAX <= at <= now + CLICK_AHEAD_MS_MAX:
                raise unprocessable(f"/clicks/{index}/occurred_at", "within the last day, and not in the future")
            clicks.append(Click(self._context.new_id(), click.page, click.element, min(at, now)))
        session_id = caller.client_id.removeprefix("session:")
        self._context.publish(connection, click_records(caller.user_id, session_id, clicks, now))
        return accepted()
