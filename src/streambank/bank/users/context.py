"""What all use cases of the users service are given, and the steps that they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from streambank.bank.addresses import address_key
from streambank.bank.events import MailKind
from streambank.bank.users import repository
from streambank.bank.users.events import mail_record
from streambank.bank.users.passwords import Passwords
from streambank.bank.users.people import Person, person_by_id
from streambank.bank.users.settings import UsersSettings
from streambank.bank.users.throttle import MAILS, counted, subject, wait_ms
from streambank.bank.users.tokens import Prefix, new_token, token_hash
from streambank.clock import Clock
from streambank.ids import RandomBytes, uuid7
from streambank.service.database import Database
from streambank.service.http.problems import Problem
from streambank.service.outbox import Outbox, OutgoingRecord


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from."""

    address: str
    user_agent: str = ""


class SecurityKind(StrEnum):
    """What can happen to somebody's credentials."""

    SIGNED_UP = "signed-up"
    EMAIL_VERIFIED = "email-verified"
    LOGGED_IN = "logged-in"
    LOGGED_OUT = "logged-out"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    PASSWORD_RESET = "password-reset"  # noqa: S105
    EMAIL_CHANGE_ASKED = "email-change-asked"
    EMAIL_CHANGED = "email-changed"
    API_KEY_MADE = "api-key-made"
    API_KEY_REVOKED = "api-key-revoked"
    TOKEN_REVOKED = "token-revoked"  # noqa: S105
    TOKEN_REUSED = "token-reused"  # noqa: S105


class Purpose(StrEnum):
    """What a mailed token is good for."""

    VERIFY = "verify"
    CHANGE = "change"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Context:
    """Where use cases get what they need. Methods with a connection work within its transaction."""

    database: Database
    outbox: Outbox
    passwords: Passwords
    settings: UsersSettings
    clock: Clock
    random_bytes: RandomBytes

    def new_id(self) -> str:
        """An id for something that is new now."""
        return uuid7(self.clock(), self.random_bytes)

    def person(self, connection: Connection, user_id: str) -> Person:
        """Who a token speaks for.

        Raises:
            Problem: 401, they were erased since it was made.
        """
        person = person_by_id(connection, user_id)
        if person is None:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Problem(401, "invalid-token", "the account of this access token is gone", headers=headers)
        return person

    def publish(self, connection: Connection, records: Sequence[OutgoingRecord]) -> None:
        """Publish records in this order."""
        self.outbox.add(connection, records)

    def record(
        self,
        connection: Connection,
        user_id: str,
        kind: SecurityKind,
        address: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Put something on record that happened to a person's credentials. ``address``: from where."""
        row = {
            "event_id": self.new_id(),
            "user_id": user_id,
            "kind": kind,
            "occurred_at": self.clock(),
            "address": address,
            "detail": detail,
        }
        repository.add_security_event(connection, row)

    def may_mail(self, connection: Connection, email: str) -> bool:
        """Whether that address may get another mail that anybody can ask for; counts it if so."""
        now = self.clock()
        about = subject(MAILS, address_key(email))
        made = repository.attempts(connection, about)
        allowed = wait_ms(MAILS, made, now) == 0
        if allowed:
            repository.store_attempts(connection, about, counted(MAILS, made, now))
        return allowed

    def mail_token(
        self, connection: Connection, person: Person, purpose: Purpose, kind: MailKind, email: str, life_ms: int
    ) -> None:
        """Mail a token to ``email``. It is good once, and only the latest of its purpose is."""
        now = self.clock()
        token = new_token(Prefix.MAIL, self.random_bytes)
        repository.add_mail_token(
            connection,
            token_hash(token),
            user_id=person.user_id,
            purpose=purpose,
            email=email,
            expires_at=now + life_ms,
        )
        mail = mail_record(person, kind, self.new_id(), now, email=email, token=token, expires_at=now + life_ms)
        self.publish(connection, [mail])
