"""The sender: hands each due e-mail to the mail server, one at a time.

1. Make sure of the server before any row is touched, so that an outage costs no attempts.
2. Mark the e-mail as being sent. The transaction that records the outcome of one e-mail also claims the next: one disk
   flush for each.
3. Hand it over.
4. After the server's 250: the row is sent and, of each alert in it, EMAIL_SENT is in the outbox, in one transaction.

A crash between 250 and 4, and only that, repeats an e-mail, with the same Message-ID. Each row belongs to the partition
of the topic that it came from, a digest to that of ALERT_NOTIFICATION which its user's alerts come from. It is sent by
whoever the consumer group gives that partition to, in that member's name. If the partition moves on meanwhile, the new
owner leaves the row to that member for as long as the group has it; once it is gone, the row is counted as a suspected
repeat and sent again.
"""

import threading
from collections.abc import Callable, Collection

import structlog
from sqlalchemy import Connection

from streambank.bank.addresses import AddressError
from streambank.bank.events import ALERT_NOTIFICATION, EMAIL_SENT, MAIL_REQUESTED, EmailSent
from streambank.bank.events.personal import seal
from streambank.bank.notifications import inbox, planning, recipients, repository
from streambank.bank.notifications.errors import KeyMissingError, NotWantedError, UnformableError
from streambank.bank.notifications.facts import AlertFacts
from streambank.bank.notifications.forming import Formed, form
from streambank.bank.notifications.inbox import DIGEST
from streambank.bank.notifications.mailer import (
    HandoverUnknownError,
    MailConfigurationError,
    Mailer,
    MailError,
    RecipientDeferredError,
    RecipientRefusedError,
)
from streambank.bank.notifications.models import State
from streambank.bank.notifications.repository import Claim, Places
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.clock import Clock, to_datetime
from streambank.errors import StreambankError
from streambank.log import TopicPartition
from streambank.service.backoff import RandomFraction
from streambank.service.database import Database
from streambank.service.dead_letters import dead_letter
from streambank.service.outbox import Outbox, outgoing

logger = structlog.get_logger(__name__)

IDLE_WAIT_S = 5.0
"""How long the sender sleeps at most where nothing is due. Alerts wake it; this is for rows that another process wrote
just before it lost their partition, and for a clock that was set."""

GATHER_INTERVAL_MS = 1_000
"""How often, at most, to look for digests that are due: they are made by the minute, not by the millisecond."""

TAKE_OVER_INTERVAL_MS = 500
"""How often, at most, to look for e-mails that a member which is gone was sending."""

OTHERS_WAIT_S = 0.5
"""How soon to look again whether a member that is sending an e-mail of a partition of ours is still there."""

KEY_WAIT_FIRST_MS = 250
KEY_WAIT_STEP_MS = 30_000
KEY_WAIT_MOST_MS = 600_000
"""How long an e-mail waits for the key that it is sealed with. The users service publishes a key before anything that
is sealed with it, but partitions are read in any order; after ten minutes it is not late but missing. So for a profile,
and for one that says that the address is verified."""

REPLY_BYTES_MAX = 500
"""How much of a server's reply goes into a dead letter: sealed it is a third longer, and has to fit there whole."""


class Sender:
    """One sender of a service. Used by one thread, apart from :meth:`interrupt` and the partitions' calls."""

    name = "notifications-sender"

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        mailer: Mailer,
        settings: NotificationsSettings,
        *,
        group: str,
        live_members: Callable[[], Collection[str]],
        clock: Clock,
        random: RandomFraction,
    ) -> None:
        self.sent_count = 0
        self.suspected_repeat_count = 0
        self.server_failures_in_a_row = 0
        self._database = database
        self._outbox = outbox
        self._mailer = mailer
        self._settings = settings
        self._group = group
        self._live_members = live_members
        self._member_id = ""
        self._clock = clock
        self._random = random
        self._places: Places = frozenset()
        self._server_due_at = 0
        self._take_over_at = 0
        self._gather_at = 0
        self._connected = False
        self._others_send = False
        self._stopping = False
        self._wake = threading.Event()

    def assigned(self, member_id: str, partitions: Collection[TopicPartition]) -> None:
        """Look after these partitions' e-mails too, as this member of the group."""
        self._member_id = member_id
        self._places |= _with_digests(partitions)
        self._take_over_at = 0
        self._wake.set()

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Leave these partitions' e-mails to their new owner."""
        self._places -= _with_digests(partitions)

    def wake(self) -> None:
        """There may be something to send. May be called from any thread."""
        self._wake.set()

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now. May be called from any thread."""
        self._stopping = True
        self._mailer.interrupt()
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Send what is due until ``stop`` is set and :meth:`interrupt` was called."""
        try:
            while not stop.is_set():
                self.send_due(stop)
                wait_s = self._idle_s()
                if wait_s > 0:
                    self._wake.wait(wait_s)
                self._wake.clear()
        finally:
            self._connected = False
            self._mailer.close()

    def send_due(self, stop: threading.Event | None = None) -> int:
        """Send all that is due now, and make some of the digests that are; how many e-mails the server took."""
        sent_before = self.sent_count
        self._send_due(stop)
        now = self._clock()
        if now >= self._gather_at and not (stop is not None and stop.is_set()):
            self._gather(now)
        return self.sent_count - sent_before

    def _send_due(self, stop: threading.Event | None) -> None:
        now = self._clock()
        if now < self._server_due_at:
            return
        if now >= self._take_over_at:
            self._take_over()
            self._take_over_at = self._clock() + TAKE_OVER_INTERVAL_MS
        # While the connection stands, the claim itself tells whether anything is due.
        if self._connected or (self._anything_due() and self._server_is_there()):
            with self._database.begin() as connection:
                claim = self._claim(connection)
            while claim is not None:
                claim = self._send(claim, stop)

    def _gather(self, now_ms: int) -> None:
        """Make some of the digests that are due; at eight there are many, and what goes at once goes in between.

        Any sender may: they are made once, and sent by whose partition it is.
        """
        with self._database.read() as connection:
            due_at = inbox.next_held_until(connection)
        if due_at is not None and due_at <= now_ms:
            with self._database.begin() as connection:
                planning.gather(connection, now_ms)
                due_at = inbox.next_held_until(connection)
        is_more = due_at is not None and due_at <= now_ms
        self._gather_at = 0 if is_more else now_ms + GATHER_INTERVAL_MS

    def _take_over(self) -> None:
        # Between two e-mails this sender itself sends nothing: a claim in its own name is from a past life too.
        places = self._places
        with self._database.read() as connection:
            claimants = repository.claimants(connection, places)
        others = claimants - {self._member_id}
        living = set(self._live_members()) if others else set()
        self._others_send = bool(others & living)
        if gone := claimants - (living - {self._member_id}):
            with self._database.begin() as connection:
                recovered = repository.recover(connection, places, gone)
            self.suspected_repeat_count += recovered
            logger.warning("e-mails may be sent twice: a process ended while it sent them", count=recovered)

    def _send(self, claim: Claim, stop: threading.Event | None) -> Claim | None:
        """Work on one e-mail; the next one, already claimed."""
        if claim.is_erased:
            with self._database.begin() as connection:
                repository.settle(connection, claim, State.ERASED, self._clock())
                return self._claim(connection, stop)
        try:
            formed = form(claim, self._settings, self._clock())
            self._mailer.send(self._settings.sender, formed.email.recipient, formed.email.content)
        except KeyMissingError as error:
            with self._database.begin() as connection:
                self._wait(connection, claim, error)
                return self._claim(connection, stop)
        except NotWantedError as error:
            with self._database.begin() as connection:
                repository.settle(connection, claim, State.SKIPPED, self._clock(), last_error=str(error))
                return self._claim(connection, stop)
        except (AddressError, UnformableError, RecipientRefusedError) as error:
            with self._database.begin() as connection:
                self._give_up(connection, claim, error)
                if isinstance(error, RecipientRefusedError) and error.is_about_address and _goes_to_profile(claim):
                    self._refused(connection, claim)
                return self._claim(connection, stop)
        except RecipientDeferredError as error:
            with self._database.begin() as connection:
                self._defer(connection, claim, error)
                return self._claim(connection, stop)
        except MailError as error:
            self._server_failed(error)
            unknown = isinstance(error, HandoverUnknownError)
            self.suspected_repeat_count += unknown
            with self._database.begin() as connection:
                # Not at once, in case that it is this e-mail which the server cannot bear: others go first then.
                due_at = self._clock() + self._settings.server_backoff.delay_ms(claim.attempt, self._random)
                repository.put_off(connection, claim, due_at, str(error), suspected_repeat=unknown)
            return None
        self.server_failures_in_a_row = 0
        with self._database.begin() as connection:
            self._record_sent(connection, claim, formed)
            following = self._claim(connection, stop)
        self.sent_count += 1
        return following

    def _record_sent(self, connection: Connection, claim: Claim, formed: Formed) -> None:
        now, message_id = self._clock(), formed.email.message_id
        if not repository.settle(connection, claim, State.SENT, now, message_id=message_id):
            reason = "another process records it, or its user was erased meanwhile"
            logger.warning("an e-mail was sent that is no longer ours", cause_id=claim.cause_id, reason=reason)
            return
        events = [
            EmailSent(
                user_id=alert.user_id,
                occurred_at=to_datetime(now),
                recorded_at=alert.recorded_at,
                alert_id=alert.alert_id,
                message_id=message_id,
                attempt=claim.attempt,
                sent_at=to_datetime(now),
            )
            for alert in (notice.facts.alert for notice in formed.notices if isinstance(notice.facts, AlertFacts))
        ]
        self._outbox.add(connection, [outgoing(EMAIL_SENT, e.alert_id, e, e.timestamp) for e in events])

    def _refused(self, connection: Connection, claim: Claim) -> None:
        if recipients.refused(connection, claim.user_id, self._clock()):
            logger.warning("an address is left alone: it refused too many e-mails", user_id=claim.user_id)

    def _give_up(self, connection: Connection, claim: Claim, error: StreambankError) -> None:
        now = self._clock()
        if repository.settle(connection, claim, State.DEAD, now, last_error=str(error)):
            message = str(error)
            if reply := getattr(error, "reply", ""):
                message += f"; the server said: {_kept_reply(claim, reply)}"
            letter = dead_letter(self._group, claim.record, exception=type(error).__name__, message=message)
            self._outbox.add(connection, [letter])
            logger.warning("an e-mail goes to the dead letters", cause_id=claim.cause_id, reason=str(error))

    def _wait(self, connection: Connection, claim: Claim, error: KeyMissingError) -> None:
        now = self._clock()
        waited_ms = now - claim.received_at
        if waited_ms >= KEY_WAIT_MOST_MS:
            if str(error) == repository.UNVERIFIED:
                repository.settle(connection, claim, State.SKIPPED, now, last_error=str(error))
            else:
                self._give_up(connection, claim, error)
            return
        # As long again as it has waited: that doubles, without a count of its own.
        wait_ms = min(max(waited_ms, KEY_WAIT_FIRST_MS), KEY_WAIT_STEP_MS)
        repository.wait(connection, claim, now + wait_ms, str(error))

    def _defer(self, connection: Connection, claim: Claim, error: RecipientDeferredError) -> None:
        now = self._clock()
        due_at = now + self._settings.recipient_backoff.delay_ms(claim.attempt, self._random)
        if due_at - claim.first_attempt_at > self._settings.give_up_after_ms:
            self._give_up(connection, claim, error)
            return
        reason = str(error)
        repository.put_off(connection, claim, due_at, reason, suspected_repeat=False)
        logger.info("an e-mail is put off", cause_id=claim.cause_id, attempt=claim.attempt, reason=reason)

    def _server_is_there(self) -> bool:
        try:
            self._mailer.connect()
        except MailError as error:
            self._server_failed(error)
            return False
        self._connected = True
        return True

    def _server_failed(self, error: MailError) -> None:
        self._connected = False
        if self._stopping:
            return
        self.server_failures_in_a_row += 1
        wait_ms = self._settings.server_backoff.delay_ms(self.server_failures_in_a_row, self._random)
        self._server_due_at = self._clock() + wait_ms
        log = logger.error if isinstance(error, MailConfigurationError) else logger.warning
        log("e-mails wait", reason=str(error), failures_in_a_row=self.server_failures_in_a_row, next_try_ms=wait_ms)

    def _claim(self, connection: Connection, stop: threading.Event | None = None) -> Claim | None:
        if stop is not None and stop.is_set():
            return None
        return repository.claim_next(connection, self._places, self._member_id, self._clock())

    def _anything_due(self) -> bool:
        with self._database.read() as connection:
            return repository.is_due(connection, self._places, self._clock())

    def _idle_s(self) -> float:
        now = self._clock()
        with self._database.read() as connection:
            due_at, held_until = repository.next_due(connection, self._places, now)
        if due_at is not None and due_at <= now:
            return max(0, self._server_due_at - now) / 1000
        # In the past where more is due: there is no wait then.
        gather_at = max(held_until, self._gather_at) if held_until is not None else None
        most_s = OTHERS_WAIT_S if self._others_send else IDLE_WAIT_S
        waits_s = [(at - now) / 1000 for at in (due_at, gather_at) if at is not None]
        return max(0, min([most_s, *waits_s]))


def _with_digests(partitions: Collection[TopicPartition]) -> Places:
    """The partitions, and of users' digests those that their alerts come from."""
    digests = (TopicPartition(DIGEST, number) for topic, number in partitions if topic == ALERT_NOTIFICATION.name)
    return frozenset(partitions).union(digests)


def _goes_to_profile(claim: Claim) -> bool:
    """Whether an e-mail goes to its user's address, which one that was asked for need not."""
    return claim.record.topic != MAIL_REQUESTED.name


def _kept_reply(claim: Claim, reply: str) -> str:
    """What a mail server said may repeat the address: it is sealed like the rest of the record, if that is."""
    if claim.key is None:
        return reply
    return seal(claim.key, claim.user_id, reply.encode()[:REPLY_BYTES_MAX].decode(errors="ignore"))
