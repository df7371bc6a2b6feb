"""The notifications service: alerts in, e-mails and EMAIL_SENT out.

Three steps, each of which leaves off in its own transaction, so that a crash anywhere is only a pause:
:class:`~streambank.service.projection.Projection` puts ALERT_NOTIFICATION into the sent-log,
:class:`~streambank.bank.notifications.sender.Sender` hands the e-mails over, and
:class:`~streambank.service.outbox.OutboxRelay` publishes EMAIL_SENT and the dead letters.
"""

import os
import random as random_module
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from streambank.bank.events import ALERT_NOTIFICATION, EMAIL_SENT, AlertNotification
from streambank.bank.notifications import repository
from streambank.bank.notifications.mailer import Mailer
from streambank.bank.notifications.models import State
from streambank.bank.notifications.sender import Sender
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog
from streambank.service.backoff import RandomFraction
from streambank.service.database import Database
from streambank.service.outbox import Outbox, OutboxRelay, outbox_length
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import GRACE_S, run_workers

GROUP = "notifications"
"""The consumer group. Dead letters go to ``notifications.dlq``."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the service stands. ``suspected_repeats``: e-mails that may have been handed over twice."""

    pending: int
    sending: int
    sent: int
    dead: int
    suspected_repeats: int
    unpublished: int


class NotificationsService:
    """One process's share of the service. Several may run on the same log and database; the alerts are shared out."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        mailer: Mailer,
        settings: NotificationsSettings,
        *,
        clock: Clock = system_clock,
        random: RandomFraction = random_module.random,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Create the topics the service uses, and tie the database to the log.

        Args:
            database: opened with :data:`streambank.bank.notifications.models.DATABASE`; the caller closes it, the log
                and, without :meth:`run`, the mailer.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        self._database = database
        self._log = log
        self._clock = clock
        log.create_topics([EMAIL_SENT.config])
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        outbox = Outbox()
        self.relay = OutboxRelay(log, database, service=GROUP, outbox_id=outbox_id, clock=clock)
        self.sender = Sender(
            database,
            outbox,
            mailer,
            settings,
            group=GROUP,
            live_members=self._live_members,
            clock=clock,
            random=random,
        )
        subscription = Subscription(ALERT_NOTIFICATION, self._record)
        self.projection = Projection(
            log,
            database,
            outbox,
            group=GROUP,
            subscriptions=[subscription],
            listener=self.sender,
            on_stored=self.sender.wake,
        )

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        run_workers(stop, [self.projection, self.sender, self.relay], grace_s=grace_s)

    def step(self) -> int:
        """Take what is there, send what is due and publish what came of it; how many things were done. For tests."""
        done = self.projection.step(0) + self.sender.send_due()
        while published := self.relay.step():
            done += published
        return done

    def close(self) -> None:
        """Leave the group, as :meth:`run` does at its end. For those who call :meth:`step`."""
        self.projection.close()
        self.relay.close()

    def status(self) -> Status:
        """Where the service stands now."""
        with self._database.read() as connection:
            by_state = repository.counts(connection)
            repeats = repository.suspected_repeats(connection)
        return Status(
            pending=by_state[State.PENDING],
            sending=by_state[State.SENDING],
            sent=by_state[State.SENT],
            dead=by_state[State.DEAD],
            suspected_repeats=repeats,
            unpublished=outbox_length(self._database),
        )

    def _live_members(self) -> list[str]:
        return [m.member_id for group in self._log.groups() if group.group == GROUP for m in group.members]

    def _record(self, connection: Connection, received: Sequence[Received[AlertNotification]]) -> None:
        repository.add(connection, received, self._clock())
