"""The notifications service: what there is to tell users in; their inboxes, e-mails, webhooks and EMAIL_SENT out.

Each step leaves off in its own transaction, so that a crash anywhere is only a pause:
:class:`~streambank.service.projection.Projection` makes notices of what comes in, and puts their e-mails into the
sent-log; :class:`~streambank.bank.notifications.sender.Sender` gathers digests and hands e-mails over;
:class:`~streambank.bank.notifications.webhook_sender.WebhookSender` tells webhooks; and
:class:`~streambank.service.outbox.OutboxRelay` publishes EMAIL_SENT and the dead letters.

USER_PROFILE says how users are reached, USER_KEY what personal data is sealed with. The key's tombstone erases: the
key, what was to be sent, inbox and webhooks, and, once that is stored, every trace of them in the database's files.
"""

import os
import random as random_module
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection, insert, select

from streambank.bank.events import (
    EMAIL_SENT,
    USER_KEY,
    USER_PROFILE,
    MailRequested,
    UserKey,
    UserProfile,
)
from streambank.bank.notifications import deliveries, inbox, planning, recipients, repository
from streambank.bank.notifications.context import Context
from streambank.bank.notifications.housekeeping import Housekeeping
from streambank.bank.notifications.inboxes import Inboxes
from streambank.bank.notifications.mailer import Mailer
from streambank.bank.notifications.models import SECRET, State
from streambank.bank.notifications.notices import SOURCES, notices_of
from streambank.bank.notifications.planning import Arrived
from streambank.bank.notifications.preferences import Preferences
from streambank.bank.notifications.repository import Cause
from streambank.bank.notifications.sender import Sender
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.webhook_addresses import Resolve, resolve
from streambank.bank.notifications.webhook_sender import WebhookSender
from streambank.bank.notifications.webhooks import Webhooks
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog, Record
from streambank.service.backoff import RandomFraction
from streambank.service.database import Database
from streambank.service.http import idempotency
from streambank.service.outbox import Outbox, OutboxRelay, outbox_length
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.tables import plain_text
from streambank.service.workers import GRACE_S, Worker, run_workers
from streambank.streams.topic import Topic

logger = structlog.get_logger(__name__)

GROUP = "notifications"
"""The service's name, and its consumer group. Dead letters go to ``notifications.dlq``."""

RECEIVES: tuple[Topic[str, Any], ...] = (USER_KEY, USER_PROFILE, *SOURCES)

LINK_KEY_BYTES = 32


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
    skipped: int
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
        resolve: Resolve = resolve,
    ) -> None:
        """Create the topics the service uses, and tie the database to the log.

        Args:
            database: opened with :data:`streambank.bank.notifications.models.DATABASE`; the caller closes it, the log
                and, without :meth:`run`, the mailer.
            resolve: finds the addresses of webhooks' hosts.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        self._database, self._log, self._clock = database, log, clock
        # A process that ended between an erasure and this may have left some.
        self._is_to_scrub = True
        self._is_for_webhooks = False
        log.create_topics([EMAIL_SENT.config])
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        link_key = settings.link_key or _link_key(database, random_bytes)
        self._settings = settings = replace(settings, link_key=link_key)
        context = Context(settings, clock, random_bytes, link_key)
        self.inboxes = Inboxes(context)
        self.preferences = Preferences(context)
        self.webhooks = Webhooks(context)
        self.webhook_sender = WebhookSender(database, settings, clock, resolve=resolve)
        self.housekeeping = Housekeeping(database, clock)
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
        self.projection = Projection(
            log,
            database,
            outbox,
            group=GROUP,
            subscriptions=self._subscriptions(),
            listener=self.sender,
            on_stored=self._stored,
        )
        self._scrub()

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        workers: list[Worker] = [self.projection, self.sender, self.relay, self.webhook_sender, self.housekeeping]
        run_workers(stop, workers, grace_s=grace_s)

    def step(self) -> int:
        """Take what is there, send what is due and publish what came of it; how many things were done. For tests."""
        done = self.projection.step(0) + self.sender.send_due() + self.webhook_sender.send_due()
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
            skipped=by_state[State.SKIPPED],
            suspected_repeats=repeats,
            unpublished=outbox_length(self._database),
        )

    def _live_members(self) -> list[str]:
        return [m.member_id for group in self._log.groups() if group.group == GROUP for m in group.members]

    def _subscriptions(self) -> list[Subscription[Any]]:
        return [
            Subscription(USER_KEY, self._keep_keys, self._erase),
            Subscription(USER_PROFILE, self._keep_profiles, self._forget_profiles),
            *(Subscription(topic, self._record) for topic in SOURCES),
        ]

    def _record(self, connection: Connection, received: Sequence[Received[Any]]) -> None:
        now = self._clock()
        asked = [
            Cause(each.value.event_id, each.value.user_id, each.record)
            for each in received
            if isinstance(each.value, MailRequested)
        ]
        arrived = [Arrived(notice, each.record) for each in received for notice in notices_of(each.value)]
        if planning.take(connection, arrived, asked, self._settings.emails_per_hour_max, now):
            self._is_for_webhooks = True

    def _keep_profiles(self, connection: Connection, received: Sequence[Received[UserProfile]]) -> None:
        erased = repository.erased_among(connection, {item.value.user_id for item in received})
        profiles = [item.value for item in received if plain_text(item.value.user_id) not in erased]
        recipients.keep_profiles(connection, profiles)
        repository.release(connection, {profile.user_id for profile in profiles}, self._clock())

    def _forget_profiles(self, connection: Connection, tombstones: Sequence[Record]) -> None:
        recipients.forget(connection, _users(USER_PROFILE, tombstones))

    def _keep_keys(self, connection: Connection, received: Sequence[Received[UserKey]]) -> None:
        keys = {item.value.user_id: item.value.key for item in received}
        repository.keep_keys(connection, keys, self._clock())

    def _erase(self, connection: Connection, tombstones: Sequence[Record]) -> None:
        users = _users(USER_KEY, tombstones)
        unsent = repository.erase(connection, users, self._clock())
        for forget in (recipients.forget, inbox.forget, deliveries.forget_webhooks):
            forget(connection, users)
        for user_id in users:
            idempotency.forget(connection, user_id)
        logger.info("users were erased", count=len(users), unsent_emails=unsent)
        self._is_to_scrub = True

    def _stored(self) -> None:
        self.sender.wake()
        if self._is_for_webhooks:
            self._is_for_webhooks = False
            self.webhook_sender.wake()
        self._scrub()

    def _scrub(self) -> None:
        if self._is_to_scrub:
            self._is_to_scrub = not self._database.scrub()
            if self._is_to_scrub:
                logger.warning("what was erased is still in the write-ahead log: somebody reads it; done later")


def _users(topic: Topic[str, Any], tombstones: Sequence[Record]) -> set[str]:
    return {topic.key.deserialize(record.key) for record in tombstones if record.key is not None}


def _link_key(database: Database, random_bytes: RandomBytes) -> bytes:
    """What signs the links in e-mails, made once for all processes of the service."""
    with database.begin() as connection:
        key = connection.scalar(select(SECRET.c.link_key))
        if key is None:
            key = random_bytes(LINK_KEY_BYTES)
            connection.execute(insert(SECRET), {"id": 1, "link_key": key})
    return bytes(key)
