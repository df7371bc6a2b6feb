"""What the notifications service does by itself: what is too old is deleted."""

import threading

from streambank.bank.notifications import deliveries, inbox
from streambank.clock import Clock
from streambank.service.database import Database

INTERVAL_S = 3_600.0
"""Nothing here is urgent: what is a year old may be an hour older."""

FIRST_S = 60.0
"""Not at once: a service that starts has better things to do."""


class Housekeeping:
    """A worker of the service."""

    name = "notifications-housekeeping"

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._wake = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Keep house until ``stop`` is set and :meth:`interrupt` was called."""
        wait_s = FIRST_S
        while not stop.is_set():
            if not self._wake.wait(wait_s):
                self.step()
            wait_s = INTERVAL_S

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now. May be called from any thread."""
        self._wake.set()

    def step(self) -> None:
        """Delete what is too old, and what there is too much of; each part in transactions of its own."""
        for prune in (inbox.prune, deliveries.prune):
            deleted = 1
            while deleted:
                with self._database.begin() as connection:
                    deleted = prune(connection, self._clock())
        with self._database.read() as connection:
            full = inbox.full_users(connection)
        for user_id in full:
            with self._database.begin() as connection:
                inbox.prune_user(connection, user_id)
