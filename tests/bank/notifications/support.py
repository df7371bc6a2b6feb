"""Alerts, a mail server that follows a script, and a service put together from both."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.engine import URL

from streambank.bank.events import (
    ALERT_NOTIFICATION,
    EMAIL_SENT,
    GOAL_MARKED,
    MAIL_REQUESTED,
    PAYMENT_REQUEST,
    TRANSFER_STATUS,
    USER_KEY,
    USER_PROFILE,
    AlertNotification,
    AlertRaised,
    Currency,
    Direction,
    EmailSent,
    EntrySummary,
    GoalKind,
    GoalMarked,
    MailKind,
    MailRequested,
    PaymentRequested,
    RequestState,
    Scope,
    Threshold,
    TransferChanged,
    TransferParty,
    TransferState,
    UserKey,
    UserProfile,
)
from streambank.bank.events.personal import seal
from streambank.bank.notifications.email import form_notice
from streambank.bank.notifications.mailer import Mailer, MailError
from streambank.bank.notifications.message import FormedEmail
from streambank.bank.notifications.models import DATABASE
from streambank.bank.notifications.notices import notices_of
from streambank.bank.notifications.service import NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.unsealing import addressee_of_alert
from streambank.log import EventLog, Record, TopicPartition
from streambank.service.database import Database

NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
NOON_MS = round(NOON.timestamp() * 1000)
SETTINGS = NotificationsSettings(sender="alerts@streambank.example", settings_url="https://bank.example/settings")


KEY = bytes(range(64))
TOKEN = "tok-3nGq_very.secret~0123456789"


class Ticker:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def notification(n: int = 1, user: str = "user-1", **changes: Any) -> AlertNotification:
    """The n-th alert of a user: 1,000.00 CZK is crossed by a debit of 187.60. ``changes`` go to whatever has them."""
    parts: dict[type[Any], dict[str, Any]] = {
        kind: {name: changes.pop(name) for name in list(changes) if name in kind.__struct_fields__}
        for kind in (EntrySummary, Threshold, AlertRaised, AlertNotification)
    }
    entry = EntrySummary(
        entry_id=f"e{n}", account_id="a1", signed_minor=-187_60, occurred_at=NOON, counterparty="Tesco"
    )
    threshold = Threshold(threshold_id="t1", direction=Direction.BELOW, level_minor=1_000_00)
    alert = AlertRaised(
        user_id=user,
        occurred_at=NOON,
        recorded_at=NOON,
        alert_id=f"alert-{n}",
        scope=Scope.ACCOUNT,
        scope_id="a1",
        currency=Currency("CZK"),
        threshold=msgspec.structs.replace(threshold, **parts[Threshold]),
        before_minor=1_000_00,
        after_minor=812_40,
        entry=msgspec.structs.replace(entry, **parts[EntrySummary]),
        account_name="Checking",
        account_number_last4="1234",
    )
    assert not changes, changes
    whole = AlertNotification(
        user_id=user,
        occurred_at=NOON,
        recorded_at=NOON,
        alert=msgspec.structs.replace(alert, **parts[AlertRaised]),
        email=f"{user}@example.org",
        name="Jana Nováková",
        locale="en",
        timezone="Europe/Prague",
    )
    return msgspec.structs.replace(whole, **parts[AlertNotification])


def form_email(item: AlertNotification, settings: NotificationsSettings, date_ms: int) -> FormedEmail:
    """The e-mail of an alert in which nothing is sealed."""
    [notice] = notices_of(item)
    return form_notice(notice, addressee_of_alert(item, None), settings, date_ms, None)


def request(n: int = 1, user: str = "user-1", **changes: Any) -> MailRequested:
    """The n-th e-mail that a service asks for: to verify an address, within an hour."""
    whole = MailRequested(
        user_id=user,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id=f"event-{n}",
        kind=MailKind.VERIFY_EMAIL,
        email=f"{user}@example.org",
        name="Jana Nováková",
        timezone="Europe/Prague",
        token=TOKEN,
        expires_at=NOON + timedelta(hours=1),
    )
    return msgspec.structs.replace(whole, **changes)


def sealed_alert(item: AlertNotification, key: bytes = KEY) -> AlertNotification:
    """The alert as it is after services that seal."""
    replace, alert, entry, user = msgspec.structs.replace, item.alert, item.alert.entry, item.user_id
    entry = replace(
        entry,
        counterparty=seal(key, user, entry.counterparty or ""),
        remittance=seal(key, user, entry.remittance or ""),
    )
    alert = replace(alert, account_name=seal(key, user, alert.account_name or ""), entry=entry)
    return replace(item, email=seal(key, user, item.email), name=seal(key, user, item.name), alert=alert)


def sealed_request(item: MailRequested, key: bytes = KEY) -> MailRequested:
    """The request as a service makes it."""
    user, token = item.user_id, item.token
    return msgspec.structs.replace(
        item,
        email=seal(key, user, item.email),
        name=seal(key, user, item.name),
        token=seal(key, user, token) if token is not None else None,
    )


def profile(user: str = "user-1", **changes: Any) -> UserProfile:
    """Who a user is, sealed as the users service seals it."""
    whole = UserProfile(
        user_id=user,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id=f"profile-{user}",
        email=f"{user}@example.org",
        name="Jana Nováková",
        timezone="Europe/Prague",
    )
    whole = msgspec.structs.replace(whole, **changes)
    return msgspec.structs.replace(whole, email=seal(KEY, user, whole.email), name=seal(KEY, user, whole.name))


def goal_mark(n: int = 1, user: str = "user-1", **changes: Any) -> GoalMarked:
    """The n-th mark of a user's budget: 80 % of 250.00 EUR."""
    entry = EntrySummary(entry_id=f"g{n}", account_id="a1", signed_minor=-50_00, occurred_at=NOON)
    whole = GoalMarked(
        user_id=user,
        occurred_at=NOON,
        recorded_at=NOON,
        mark_id=f"mark-{n}",
        goal_id="goal-1",
        name=seal(KEY, user, "Eating out"),
        kind=GoalKind.BUDGET,
        currency=Currency("EUR"),
        mark=80,
        target_minor=250_00,
        amount_minor=201_50,
        entry=entry,
        period_start=date(2026, 11, 1),
        period_end=date(2026, 11, 30),
    )
    return msgspec.structs.replace(whole, **changes)


def transfer(n: int = 1, state: TransferState = TransferState.POSTED, **changes: Any) -> TransferChanged:
    """The n-th transfer: 25.00 EUR from user-1 to user-2."""
    whole = TransferChanged(
        user_id="user-1",
        occurred_at=NOON,
        recorded_at=NOON,
        event_id=f"transfer-{n}-{state.value}",
        transfer_id=f"transfer-{n}",
        state=state,
        debtor=party("user-1", "Petr Dvořák", "Pizza"),
        creditor=party("user-2", "Jana Nováková", "Pizza"),
        amount_minor=25_00,
        currency=Currency("EUR"),
        reason="AM04" if state is TransferState.REJECTED else None,
    )
    return msgspec.structs.replace(whole, **changes)


def money_request(n: int = 1, state: RequestState = RequestState.OPEN, **changes: Any) -> PaymentRequested:
    """user-1 asks user-2 for 25.00 EUR."""
    whole = PaymentRequested(
        user_id="user-1",
        occurred_at=NOON,
        recorded_at=NOON,
        event_id=f"request-{n}-{state.value}",
        request_id=f"request-{n}",
        state=state,
        debtor=party("user-2", "Jana Nováková", "Cinema"),
        creditor=party("user-1", "Petr Dvořák", "Cinema"),
        amount_minor=25_00,
        currency=Currency("EUR"),
    )
    return msgspec.structs.replace(whole, **changes)


def party(user: str, other_name: str, remittance: str) -> TransferParty:
    """One side of a transfer, sealed for its user."""
    return TransferParty(user_id=user, other_name=seal(KEY, user, other_name), remittance=seal(KEY, user, remittance))


def write(log: EventLog, *events: Any) -> None:
    """Publish events, each to its topic."""
    producer = log.producer()
    with producer.transaction() as transaction:
        for event in events:
            topic, key = _PLACES[type(event)]
            topic.write(transaction, key(event), event, event.timestamp)
    producer.close()


_PLACES: dict[type[Any], tuple[Any, Callable[[Any], str]]] = {
    AlertNotification: (ALERT_NOTIFICATION, lambda event: event.user_id),
    MailRequested: (MAIL_REQUESTED, lambda event: event.user_id),
    UserProfile: (USER_PROFILE, lambda event: event.user_id),
    GoalMarked: (GOAL_MARKED, lambda event: event.user_id),
    TransferChanged: (TRANSFER_STATUS, lambda event: event.transfer_id),
    PaymentRequested: (PAYMENT_REQUEST, lambda event: event.request_id),
}


def publish_requests(log: EventLog, requests: Sequence[MailRequested]) -> None:
    producer = log.producer()
    with producer.transaction() as transaction:
        for item in requests:
            MAIL_REQUESTED.write(transaction, item.user_id, item, item.timestamp)
    producer.close()


def publish_key(log: EventLog, user: str, key: bytes | None = KEY) -> None:
    """The user's key; None: the user is erased."""
    value = UserKey(user_id=user, occurred_at=NOON, recorded_at=NOON, event_id=f"key-{user}", key=key or b"")
    producer = log.producer()
    with producer.transaction() as transaction:
        USER_KEY.write(transaction, user, value if key is not None else None, value.timestamp)
    producer.close()


def publish(log: EventLog, notifications: Sequence[AlertNotification]) -> None:
    producer = log.producer()
    with producer.transaction() as transaction:
        for item in notifications:
            ALERT_NOTIFICATION.write(transaction, item.user_id, item, item.timestamp)
    producer.close()


def read(log: EventLog, topic: str) -> list[Record]:
    return [r for p in range(log.topics()[topic].partitions) for r in log.read(TopicPartition(topic, p), 0)]


def emails_sent(log: EventLog) -> list[EmailSent]:
    return [EMAIL_SENT.value.deserialize(r.value or b"") for r in read(log, EMAIL_SENT.name)]


class FakeMailer:
    """Takes e-mails, or raises what ``outcome`` returns for the recipient."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.outcome: Callable[[str], BaseException | None] = lambda _: None
        self.down: MailError | None = None
        self.connects = 0

    def connect(self) -> None:
        self.connects += 1
        if self.down is not None:
            raise self.down

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        error = self.outcome(recipient)
        if error is not None:
            raise error
        self.sent.append((recipient, message))

    def interrupt(self) -> None: ...

    def close(self) -> None: ...

    @property
    def recipients(self) -> list[str]:
        return [recipient.partition("@")[0] for recipient, _ in self.sent]


async def local_only(host: str, _port: int) -> list[str]:
    """This machine has an address, and no other host: no test asks the network for one."""
    return [host] if host == "127.0.0.1" else []


def make_service(
    log: EventLog,
    where: Path | URL,
    mailer: Mailer,
    clock: Callable[[], int],
    settings: NotificationsSettings = SETTINGS,
) -> tuple[NotificationsService, Database]:
    database = Database.open(where, *DATABASE)
    log.create_topics([ALERT_NOTIFICATION.config, MAIL_REQUESTED.config, USER_KEY.config])
    service = NotificationsService(log, database, mailer, settings, clock=clock, random=lambda: 0.5, resolve=local_only)
    return service, database


def settle(service: NotificationsService) -> None:
    """Step until nothing is left to do. The first step may only join the group."""
    service.step()
    while service.step():
        pass


class ScriptedServer:
    """A mail server that answers by script: each command's first word leads to its next reply, or to a call.

    Replies are lines; None closes the connection, and so does the end of a script. ``received`` has every line.
    """

    def __init__(self, *connections: dict[str, list[str | None]]) -> None:
        self.received: list[str] = []
        self.connections = 0
        self._scripts = list(connections)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()
        self._thread.join(2)

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            # A client that is gone shows when the stream is closed, too.
            with suppress(OSError), connection, connection.makefile("rwb") as stream:
                self._talk(stream, {word: list(replies) for word, replies in script.items()})

    def _talk(self, stream: Any, script: dict[str, list[str | None]]) -> None:
        if not self._answer(stream, script, "greeting", "220 ready"):
            return
        for line in stream:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.received.append(text)
            word = text.partition(" ")[0].upper()
            default = {"EHLO": "250 ok", "DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 ok")
            if not self._answer(stream, script, word, default):
                return
            if word == "DATA" and self.last.startswith("354"):
                for content in stream:
                    self.received.append(content.decode("utf-8", "replace").rstrip("\r\n"))
                    if content == b".\r\n":
                        break
                if not self._answer(stream, script, ".", "250 taken"):
                    return

    def _answer(self, stream: Any, script: dict[str, list[str | None]], word: str, default: str) -> bool:
        replies = script.get(word)
        reply = default if not replies else replies.pop(0)
        if reply is None:
            return False
        self.last = reply
        if reply:
            stream.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
            stream.flush()
        return True
