"""The users service: who a person is, what lets them in, and the facts about it that other services need.

Use cases are grouped by topic: :class:`~streambank.bank.users.accounts.Accounts`,
:class:`~streambank.bank.users.sessions.Sessions`, :class:`~streambank.bank.users.oauth.OAuth`,
:class:`~streambank.bank.users.api_keys.ApiKeys`, :class:`~streambank.bank.users.privacy.Privacy`. Each works within the
transaction of a request; rows and events commit together, and :class:`~streambank.service.outbox.OutboxRelay`
publishes the events.
"""

import os
import threading

from streambank.bank.events import AUTH_KEY, MAIL_REQUESTED, USER_CLICKED, USER_KEY, USER_PROFILE
from streambank.bank.users.accounts import Accounts
from streambank.bank.users.api_keys import ApiKeys
from streambank.bank.users.authentication import Authenticator
from streambank.bank.users.context import Context
from streambank.bank.users.housekeeping import Housekeeping
from streambank.bank.users.keys import Keys
from streambank.bank.users.oauth import OAuth
from streambank.bank.users.passwords import Passwords
from streambank.bank.users.privacy import Privacy
from streambank.bank.users.sessions import Sessions
from streambank.bank.users.settings import UsersSettings
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog
from streambank.service.database import Database
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.workers import GRACE_S, run_workers

NAME = "users"
"""The service's name: its outbox is ``users.outbox``."""

PUBLISHED = (USER_KEY, USER_PROFILE, USER_CLICKED, AUTH_KEY, MAIL_REQUESTED)


class UsersService:
    """One process's share of the service. Several may run on the same log and database."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        settings: UsersSettings | None = None,
        *,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Create the topics that the service publishes to, tie the database to the log, and see that keys can sign.

        Args:
            database: opened with :data:`streambank.bank.users.models.DATABASE`; the caller closes it and the log.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        self.settings = settings or UsersSettings()
        log.create_topics([topic.config for topic in PUBLISHED])
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        self.passwords = Passwords(
            self.settings.password_parameters, random_bytes, at_once_max=self.settings.hashes_at_once_max
        )
        context = Context(database, Outbox(), self.passwords, self.settings, clock, random_bytes)
        self.authenticator = Authenticator(context)
        self.keys = Keys(context)
        self.accounts = Accounts(context, self.authenticator)
        self.sessions = Sessions(context, self.authenticator, self.keys)
        self.oauth = OAuth(context, self.authenticator, self.keys, self.sessions)
        self.api_keys = ApiKeys(context)
        self.privacy = Privacy(context, self.authenticator)
        self.housekeeping = Housekeeping(context, self.keys, self.privacy)
        self.relay = OutboxRelay(log, database, service=NAME, outbox_id=outbox_id, clock=clock)
        with database.begin() as connection:
            self.keys.rotate(connection)

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        run_workers(stop, [self.housekeeping, self.relay], grace_s=grace_s)

    def step(self) -> int:
        """Keep house, and publish what is there; how many records. For tests."""
        self.housekeeping.step()
        published = 0
        while count := self.relay.step():
            published += count
        return published

    def close(self) -> None:
        """Release the producer and the threads that hash. Idempotent."""
        self.relay.close()
        self.passwords.close()
