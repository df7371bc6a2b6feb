"""The notifications service: alerts and requests for e-mails in, e-mails and EMAIL_SENT out.

Three steps, each of which leaves off in its own transaction, so that a crash anywhere is only a pause:
:class:`~streambank.service.projection.Projection` puts ALERT_NOTIFICATION and MAIL_REQUESTED into the sent-log,
:class:`~streambank.bank.notifications.sender.Sender` hands the e-mails over, and
:class:`~streambank.service.outbox.OutboxRelay` publishes EMAIL_SENT and the dead letters.

USER_KEY has what personal data is sealed with. Its tombstone erases: the key, what was to be sent, and, once that is
stored, every trace of them in the database's files.
"""

import os
import random as random_module
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from streambank.bank.events import (
    ALERT_NOTIFICATION,
    EMAIL_SENT,
    MAIL_REQUESTED,
    USER_KEY,
    AlertNotification,
    MailRequested,
    UserKey,
)
from streambank.bank.notifications import repository
from streambank.bank.notifications.mailer import Mailer
from streambank.bank.notifications.models import State
from streambank.bank.notifications.repository import Cause
from streambank.bank.notifications.sender import Sender
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog, Record
from streambank.service.backoff import RandomFraction
from streambank.service.database import Database
from streambank.service.outbox import Outbox, OutboxRelay, outbox_length
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import GRACE_S, run_workers

logger = structlog.get_logger(__name__)

GROUP = "notifications"
"""The consumer group. Dead letters go to ``notifications.dlq``."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the service stands: e-mails by state, and records that wait to be published.

    ``suspected_repeats``: e-mails that may have been handed over twice.
    """

    pending: int
    sending: int
    sent: int
    dead: int
    erased: int
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
        # A process that ended between an erasure and this may have left some.
        self._is_to_scrub = True
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
        subscriptions: list[Subscription[Any]] = [
            Subscription(USER_KEY, self._keep_keys, self._erase),
            Subscription(MAIL_REQUESTED, self._record_requests),
            Subscription(ALERT_NOTIFICATION, self._record_alerts),
        ]
        self.projection = Projection(
            log,
            database,
            outbox,
            group=GROUP,
            subscriptions=subscriptions,
            listener=self.sender,
            on_stored=self._stored,
        )
        self._scrub()

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
            erased=by_state[State.ERASED],
            suspected_repeats=repeats,
            unpublished=outbox_length(self._database),
        )

    def _live_members(self) -> list[str]:
        return [m.member_id for group in self._log.groups() if group.group == GROUP for m in group.members]

    def _record_alerts(self, connection: Connection, received: Sequence[Received[AlertNotification]]) -> None:
        causes = [Cause(item.value.alert_id, item.value.user_id, item.record) for item in received]
        repository.add(connection, causes, self._clock())

    def _record_requests(self, connection: Connection, received: Sequence[Received[MailRequested]]) -> None:
        causes = [Cause(item.value.event_id, item.value.user_id, item.record) for item in received]
        repository.add(connection, causes, self._clock())

    def _keep_keys(self, connection: Connection, received: Sequence[Received[UserKey]]) -> None:
        keys = {item.value.user_id: item.value.key for item in received}
        repository.keep_keys(connection, keys, self._clock())

    def _erase(self, connection: Connection, tombstones: Sequence[Record]) -> None:
        users = {USER_KEY.key.deserialize(record.key) for record in tombstones if record.key is not None}
        unsent = repository.erase(connection, users, self._clock())
        logger.info("users were erased", count=len(users), unsent_emails=unsent)
        self._is_to_scrub = True

    def _stored(self) -> None:
        self.sender.wake()
        self._scrub()

    def _scrub(self) -> None:
        if self._is_to_scrub:
            self._is_to_scrub = not self._database.scrub()
            if self._is_to_scrub:
                logger.warning("what was erased is still in the write-ahead log: somebody reads it; done later")
