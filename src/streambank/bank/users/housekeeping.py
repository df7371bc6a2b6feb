"""What the users service does by itself: keys are rotated, what has ended is deleted, what was erased is scrubbed."""

import threading

import structlog

from streambank.bank.users import repository
from streambank.bank.users.context import Context
from streambank.bank.users.events import NOBODIES, nobodys_key_records
from streambank.bank.users.keys import Keys
from streambank.bank.users.people import person_by_id
from streambank.bank.users.privacy import Privacy
from streambank.bank.users.throttle import FORGET_MS_MAX
from streambank.bank.users.tokens import DAY_MS, HOUR_MS, SESSION_IDLE_MS

logger = structlog.get_logger(__name__)

INTERVAL_S = 60.0
"""Nothing here is urgent: what has ended is refused whether its row is there or not, and keys are made hours ahead."""

HISTORY_MS = 366 * DAY_MS
"""How long the security history goes back: who finds something wrong on a yearly statement can still look."""

LISTED_MS = 30 * DAY_MS
"""How long an API key that has run out stays in the list, so that its owner sees why a program stopped."""

NEVER_VERIFIED_MS = 30 * DAY_MS
"""Whoever did not verify an address by then is forgotten: it may be the address of somebody who never signed up."""

NOBODYS_KEYS_FIRST_MS = HOUR_MS
NOBODYS_KEYS_EVERY_MS = DAY_MS
"""How often each partition of USER_KEY gets a record: a day is little beside the week that compaction may take. The
first one comes soon, since a process may not live for a day, but not at once, since most live for minutes."""

FORGOTTEN_AT_ONCE_MAX = 100
"""People forgotten in one transaction, which others wait for."""


class Housekeeping:
    """A worker of the service."""

    name = "users-housekeeping"

    def __init__(self, context: Context, keys: Keys, privacy: Privacy) -> None:
        self._context = context
        self._keys = keys
        self._privacy = privacy
        self._wake = threading.Event()
        self._nobodys_keys_due_ms = context.clock() + NOBODYS_KEYS_FIRST_MS

    def run(self, stop: threading.Event) -> None:
        """Keep house until ``stop`` is set and :meth:`interrupt` was called."""
        while not stop.is_set():
            self.step()
            self._wake.wait(INTERVAL_S)
            self._wake.clear()

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now. May be called from any thread."""
        self._wake.set()

    def step(self) -> None:
        """Do what is due, each part in a transaction of its own."""
        now = self._context.clock()
        database = self._context.database
        with database.begin() as connection:
            self._keys.rotate(connection)
        with database.begin() as connection:
            repository.delete_ended(
                connection,
                now,
                idle_ms=SESSION_IDLE_MS,
                listed_ms=LISTED_MS,
                history_ms=HISTORY_MS,
                forget_ms=FORGET_MS_MAX,
            )
        with database.begin() as connection:
            stale = repository.never_verified(connection, now - NEVER_VERIFIED_MS, FORGOTTEN_AT_ONCE_MAX)
            for user_id in stale:
                person = person_by_id(connection, user_id)
                if person is not None:
                    self._privacy.forget(connection, person)
        if now >= self._nobodys_keys_due_ms:
            self._nobodys_keys_due_ms = now + NOBODYS_KEYS_EVERY_MS
            with database.begin() as connection:
                ids = [self._context.new_id() for _ in NOBODIES]
                self._context.publish(connection, nobodys_key_records(ids, self._context.random_bytes, now))
        self._privacy.scrub()
        if stale:
            logger.info("forgot people who never verified their address", count=len(stale))
