"""The service on an embedded log, with a clock that is moved by hand, and what people do with it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest
from argon2 import Parameters, Type
from sqlalchemy import Connection

from streambank.bank.events import AUTH_KEY, MAIL_REQUESTED, USER_KEY, USER_PROFILE, MailKind, SigningKey
from streambank.bank.events.personal import unseal
from streambank.bank.users import repository
from streambank.bank.users.authentication import Proven
from streambank.bank.users.context import Client
from streambank.bank.users.people import Person, person_by_email
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import ByEmail, LoggedIn, MailedToken, NewPassword, SignUp, TokenAnswer
from streambank.bank.users.service import UsersService
from streambank.bank.users.settings import UsersSettings
from streambank.log import Record, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem
from streambank.service.http.tokens import TokenVerifier
from streambank.streams.topic import Topic

T = TypeVar("T")

START_MS = 1_780_000_000_000
PASSWORD = "green apples on a hill"
NEW_PASSWORD = "seven boats went home"
ADA = "ada@example.org"
BOB = "bob@example.org"
HERE = Client("203.0.113.7", "Browser/1")
ELSEWHERE = Client("198.51.100.9", "Other/2")

CHEAP = Parameters(type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=1, memory_cost=8, parallelism=1)
"""Hashes that take no time, for tests that are not about them."""


class Ticker:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class OrderedBytes:
    """Random bytes of a seed, but those of ids count up: things of one millisecond are in the order they were made."""

    def __init__(self, seed: int) -> None:
        self._randbytes = random.Random(seed).randbytes
        self._ids = 0

    def __call__(self, count: int) -> bytes:
        self._ids += count == 10
        return self._ids.to_bytes(10, "big") if count == 10 else self._randbytes(count)


@dataclass(frozen=True)
class Mail:
    """A mail that was asked for, as its reader sees it; texts that can no longer be read are None."""

    kind: MailKind
    email: str | None
    name: str | None
    token: str | None


class World:
    """The service and everything around it."""

    def __init__(self, database: Database, *, parameters: Parameters = CHEAP, seed: int = 7) -> None:
        self.clock = Ticker()
        self.database = database
        self.log = EmbeddedLog.open(None, clock=self.clock, background_cleaning=False)
        self.random_bytes = OrderedBytes(seed)
        self.service = UsersService(
            self.log,
            database,
            UsersSettings(password_parameters=parameters),
            clock=self.clock,
            random_bytes=self.random_bytes,
        )
        self.context = self.service.accounts._context
        self.verifier = TokenVerifier(self.service.keys.public_key, self.clock)
        self._seen_mails = 0

    def close(self) -> None:
        self.service.close()
        self.log.close()

    def do(self, work: Callable[[Connection], T]) -> T:
        with self.database.begin() as connection:
            return work(connection)

    def pass_ms(self, duration_ms: int) -> None:
        self.clock.now_ms += duration_ms

    # The log.

    def records(self, topic: Topic[str, Any]) -> list[Record]:
        self.service.step()
        partitions = self.log.topics()[topic.name].partitions
        return [r for p in range(partitions) for r in _all(self.log, TopicPartition(topic.name, p))]

    def latest(self, topic: Topic[str, T]) -> dict[str, T | None]:
        """A compacted topic as a table; None where its last word is a tombstone."""
        return {
            (record.key or b"").decode(): None if record.value is None else topic.value.deserialize(record.value)
            for record in self.records(topic)
        }

    def mails(self) -> list[Mail]:
        """The mails asked for since this was last called, in the order of the log."""
        keys = {user_id: key.key if key is not None else None for user_id, key in self.latest(USER_KEY).items()}
        records = sorted(
            self.records(MAIL_REQUESTED), key=lambda r: MAIL_REQUESTED.value.deserialize(r.value or b"").event_id
        )
        new, self._seen_mails = records[self._seen_mails :], len(records)
        mails = []
        for record in new:
            event = MAIL_REQUESTED.value.deserialize(record.value or b"")
            key = keys[event.user_id]
            opened = [unseal(key, event.user_id, text) for text in (event.email, event.name, event.token or "")]
            mails.append(Mail(event.kind, opened[0], opened[1], opened[2] or None))
        return mails

    def profile(self, user_id: str) -> Any:
        return self.latest(USER_PROFILE)[user_id]

    def published_keys(self) -> dict[str, SigningKey | None]:
        return self.latest(AUTH_KEY)

    # People.

    def sign_up(self, email: str = ADA, *, password: str = PASSWORD, **more: Any) -> Answer:
        body = SignUp(email=email, password=password, name=more.pop("name", "Ada Lovelace"), **more)
        password_hash = self.service.accounts.hash_of_new(body)
        return self.do(lambda c: self.service.accounts.sign_up(c, body, password_hash, HERE))

    def verify(self, token: str) -> Answer:
        return self.do(lambda c: self.service.accounts.verify(c, MailedToken(token=token), HERE))

    def new_user(self, email: str = ADA, *, verified: bool = True, **more: Any) -> Person:
        """Somebody who signed up and, if ``verified``, answered the mail."""
        self.sign_up(email, **more)
        mail = self.mails()[-1]
        if verified:
            assert mail.token is not None
            self.verify(mail.token)
        return self.person(email)

    def person(self, email: str = ADA) -> Person:
        person = self.do(lambda c: person_by_email(c, email))
        assert person is not None
        return person

    def proven(self, email: str = ADA, password: str = PASSWORD, client: Client = HERE) -> Proven:
        return self.service.authenticator.log_in(email, password, client)

    def log_in(self, email: str = ADA, password: str = PASSWORD, client: Client = HERE) -> tuple[LoggedIn, str]:
        """A session, and the token in its cookie."""
        proven = self.proven(email, password, client)
        answer = self.do(lambda c: self.service.sessions.log_in(c, proven, client, secure=False))
        assert isinstance(answer.body, LoggedIn)
        return answer.body, answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]

    def log_in_program(self, email: str = ADA, password: str = PASSWORD, scope: str | None = None) -> TokenAnswer:
        proven = self.proven(email, password)
        return self.token(lambda c: self.service.oauth.by_password(c, proven, "streambank-cli", scope, HERE))

    def refresh(self, token: str | None, scope: str | None = None, client_id: str = "streambank-cli") -> Answer:
        return self.do(lambda c: self.service.oauth.by_refresh_token(c, token or "", client_id, scope, HERE))

    def token(self, work: Callable[[Connection], Answer]) -> TokenAnswer:
        body = self.do(work).body
        assert isinstance(body, TokenAnswer)
        return body

    def caller(self, email: str = ADA) -> Caller:
        """Whom the access token of a new session speaks for."""
        return self.verifier.verify(self.log_in(email)[0].access_token)

    def ask_for_reset(self, email: str = ADA) -> Answer:
        return self.do(lambda c: self.service.accounts.ask_for_reset(c, ByEmail(email=email)))

    def reset_password(self, password: str = NEW_PASSWORD) -> Answer:
        """Answer the latest mail, which is one of :meth:`ask_for_reset`."""
        body = NewPassword(token=self.mails()[-1].token or "", password=password)
        password_hash = self.service.accounts.hash_for_reset(body)
        return self.do(lambda c: self.service.accounts.reset(c, body, password_hash, HERE))

    def history(self, user_id: str) -> list[str]:
        """What happened to somebody's credentials, oldest first."""
        events = self.do(lambda c: repository.security_events(c, user_id, PageOf(1_000)))
        return [event.kind for event in reversed(events)]


def refusal(call: Callable[[], object]) -> Problem:
    """The problem that the call ends with."""
    with pytest.raises(Problem) as refused:
        call()
    return refused.value


def _all(log: EmbeddedLog, partition: TopicPartition) -> list[Record]:
    records: list[Record] = []
    low, high = log.watermarks(partition)
    while low < high:
        batch = log.read(partition, low)
        if not len(batch):
            break
        records += list(batch)
        low = batch.next_offset
    return records


def raw_log_text(world: World) -> bytes:
    """Everything that was published, in one piece, to look for what must not be in it."""
    world.service.step()
    parts = []
    for name, config in world.log.topics().items():
        for number in range(config.partitions):
            for record in _all(world.log, TopicPartition(name, number)):
                parts += [
                    record.key or b"",
                    record.value or b"",
                    msgspec.json.encode([[n, (v or b"").decode()] for n, v in record.headers]),
                ]
    return b"\n".join(parts)
