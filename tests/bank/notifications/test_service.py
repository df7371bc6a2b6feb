import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.bank.notifications.conftest import Bench
from tests.bank.notifications.support import (
    NOON_MS,
    SETTINGS,
    FakeMailer,
    ScriptedServer,
    emails_sent,
    notification,
    publish,
    read,
    settle,
)
from tests.postgres import Databases

from streambank.bank.events import ALERT_NOTIFICATION
from streambank.bank.notifications.mailer import (
    HandoverUnknownError,
    MailConfigurationError,
    RecipientDeferredError,
    RecipientRefusedError,
    ServerUnavailableError,
    SmtpMailer,
)
from streambank.bank.notifications.models import DATABASE, EMAIL
from streambank.bank.notifications.service import GROUP, NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.errors import WrongLogError


def test_an_alert_becomes_one_email_and_one_event(bench: Bench) -> None:
    bench.clock.now_ms += 40
    bench.publish_and_settle((1, "jana"))
    assert bench.mailer.recipients == ["jana"]
    (event,) = emails_sent(bench.log)
    assert (event.alert_id, event.message_id, event.attempt) == ("alert-1", "<alert-1@streambank.example>", 1)
    assert (event.sent_at - event.recorded_at).total_seconds() == 0.04
    (record,) = read(bench.log, "email.sent")
    assert record.key == b"alert-1"
    assert dict(record.headers)["ce_type"] == b"bank.email.sent.v1"


def test_the_same_alert_again_is_ignored(bench: Bench) -> None:
    bench.publish_and_settle((1, "jana"), (1, "jana"))
    bench.publish_and_settle((1, "jana"))
    bench.restart()
    bench.publish_and_settle((1, "jana"))
    assert bench.mailer.recipients == ["jana"]
    assert len(emails_sent(bench.log)) == 1


def test_characters_that_a_database_cannot_store_stop_nothing(bench: Bench) -> None:
    odd = [notification(1, "jana", alert_id="alert\x00"), notification(2, "ja\x00na", email="jana@example.org")]
    publish(bench.log, odd)
    settle(bench.service)
    publish(bench.log, odd)
    settle(bench.service)
    assert bench.mailer.recipients == ["jana", "jana"]
    assert sorted(event.user_id for event in emails_sent(bench.log)) == ["ja\x00na", "jana"]


def test_what_an_email_said_is_deleted_once_it_is_sent(bench: Bench) -> None:
    bench.publish_and_settle((1, "jana"))
    with bench.database.read() as connection:
        row = connection.execute(select(EMAIL)).one()
    assert (row.record_key, row.record_value, row.record_headers, row.state) == (None, None, None, "sent")


def test_a_server_that_is_down_loses_and_reorders_nothing(bench: Bench) -> None:
    bench.mailer.down = ServerUnavailableError("down")
    bench.publish_and_settle(*((n, f"user-{n % 3}") for n in range(9)))
    for _ in range(30):
        bench.pass_ms(3_600_000)
    assert bench.service.status().pending == 9
    with bench.database.read() as connection:
        assert set(connection.scalars(select(EMAIL.c.attempts))) == {0}
    bench.mailer.down = None
    bench.pass_ms(60_000)
    for first in range(3):
        assert [a for a in bench.alerts() if int(a[6:]) % 3 == first] == [f"alert-{n}" for n in range(first, 9, 3)]
    assert bench.service.status().sent == 9


def test_a_server_that_is_down_is_asked_less_and_less_often(bench: Bench) -> None:
    bench.mailer.down = ServerUnavailableError("down")
    bench.publish_and_settle((1, "jana"))
    for _ in range(300):
        bench.pass_ms(2_000)
    # Half a second doubling up to a minute, less a quarter on average: some twenty attempts in ten minutes.
    assert 12 <= bench.mailer.connects <= 24


def test_a_wrong_password_is_reported_and_tried_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.mailer.down = MailConfigurationError("the mail server answered 535: check user and password")
    bench.publish_and_settle((1, "jana"))
    assert "check user and password" in capsys.readouterr().out
    bench.mailer.down = None
    bench.pass_ms(60_000)
    assert bench.mailer.recipients == ["jana"]


def test_a_refused_recipient_is_a_dead_letter_and_blocks_nobody(bench: Bench) -> None:
    refusal = RecipientRefusedError("the mail server answered 550 at RCPT", "no <bad@example.org>")
    bench.mailer.outcome = lambda recipient: refusal if recipient.startswith("bad") else None
    bench.publish_and_settle((1, "bad"), (2, "jana"), (3, "bad"), (4, "petr"))
    assert sorted(bench.mailer.recipients) == ["jana", "petr"]
    dead = read(bench.log, "notifications.dlq")
    assert [ALERT_NOTIFICATION.value.deserialize(r.value or b"") for r in dead] == [
        notification(1, "bad"),
        notification(3, "bad"),
    ]
    original = [r for r in read(bench.log, "alert.notification") if r.key == b"bad"]
    assert [(r.key, r.value, r.timestamp) for r in dead] == [(r.key, r.value, r.timestamp) for r in original]
    headers = dict(dead[0].headers)
    assert headers["__streams.errors.exception"] == b"RecipientRefusedError"
    assert headers["__streams.errors.message"] == (
        b"the mail server answered 550 at RCPT; the server said: no <bad@example.org>"
    )
    assert headers["__streams.errors.offset"] == str(original[0].offset).encode()
    assert bench.service.status().dead == 2
    assert len(emails_sent(bench.log)) == 2


@pytest.mark.parametrize("email", ["nobody", "a@x.org\r\nBcc: thief@evil.example"])
def test_a_malformed_address_is_a_dead_letter(bench: Bench, email: str) -> None:
    publish(bench.log, [notification(1, email=email), notification(2)])
    settle(bench.service)
    assert bench.alerts() == ["alert-2"]
    (dead,) = read(bench.log, "notifications.dlq")
    assert dict(dead.headers)["__streams.errors.exception"] == b"AddressError"


def test_a_deferred_recipient_waits_in_order_and_blocks_nobody(bench: Bench) -> None:
    deferred: RecipientDeferredError | None = RecipientDeferredError("greylisted")
    bench.mailer.outcome = lambda recipient: deferred if recipient.startswith("slow") else None
    bench.publish_and_settle((1, "slow"), (2, "slow"), (3, "jana"))
    assert bench.alerts() == ["alert-3"]
    deferred = None
    bench.pass_ms(1_000)
    assert bench.alerts() == ["alert-3"]
    bench.pass_ms(15_000)
    assert bench.alerts() == ["alert-3", "alert-1", "alert-2"]
    assert [e.attempt for e in sorted(emails_sent(bench.log), key=lambda e: e.alert_id)] == [2, 1, 1]


def test_a_recipient_that_is_deferred_for_too_long_is_given_up(bench: Bench) -> None:
    bench.restart(replace(SETTINGS, give_up_after_ms=2 * 3_600_000))
    bench.mailer.outcome = lambda _: RecipientDeferredError("mailbox full")
    bench.publish_and_settle((1, "full"))
    while bench.service.status().pending:
        bench.pass_ms(300_000)
    assert 115 * 60_000 <= bench.clock.now_ms - NOON_MS <= 120 * 60_000
    with bench.database.read() as connection:
        # The longest wait is five minutes, and so is each step of the clock here.
        assert connection.scalar(select(EMAIL.c.attempts)) in range(23, 26)
    assert len(read(bench.log, "notifications.dlq")) == 1


def test_an_email_the_server_cannot_bear_blocks_nobody(bench: Bench) -> None:
    bench.mailer.outcome = lambda recipient: (
        ServerUnavailableError("connection lost at DATA") if recipient.startswith("bomb") else None
    )
    bench.publish_and_settle((1, "bomb"), (2, "jana"), (3, "petr"))
    for _ in range(20):
        bench.pass_ms(1_000)
    assert sorted(bench.mailer.recipients) == ["jana", "petr"]


def test_an_unknown_outcome_is_repeated_with_the_same_message_and_counted(bench: Bench) -> None:
    lost: HandoverUnknownError | None = HandoverUnknownError("no reply")
    bench.mailer.outcome = lambda _: lost
    bench.publish_and_settle((1, "jana"))
    assert bench.service.status().suspected_repeats == 1
    lost = None
    bench.pass_ms(60_000)
    assert bench.mailer.recipients == ["jana"]
    assert [e.attempt for e in emails_sent(bench.log)] == [2]
    assert bench.service.sender.suspected_repeat_count == 1


def test_what_a_dead_process_was_sending_is_sent_again_and_counted(bench: Bench) -> None:
    bench.mailer.outcome = lambda _: KeyboardInterrupt()
    publish(bench.log, [notification(1), notification(2)])
    with pytest.raises(KeyboardInterrupt):
        settle(bench.service)
    assert bench.service.status().sending == 1
    bench.mailer.outcome = lambda _: None
    bench.restart()
    settle(bench.service)
    assert bench.alerts() == ["alert-1", "alert-2"]
    assert bench.service.status().suspected_repeats == 1
    assert sorted(e.alert_id for e in emails_sent(bench.log)) == ["alert-1", "alert-2"]


def test_a_living_sender_keeps_its_email_when_its_partition_moves(bench: Bench) -> None:
    mailer = FakeMailer()
    other: list[NotificationsService] = []
    moved: list[str] = []

    def rebalance_while_sending(recipient: str) -> None:
        # A second process joins while this one waits for the server's 250 to an e-mail of the last partition, and gets
        # that partition: the later half goes to the later member.
        user = recipient.partition("@")[0]
        last = {r.key for r in read(bench.log, "alert.notification") if r.partition == 3}
        if not other and user.encode() in last:
            moved.append(user)
            other.append(NotificationsService(bench.log, bench.database, mailer, SETTINGS, clock=bench.clock))
            for _ in range(5):
                other[0].step()
                bench.service.projection.step(0)

    bench.mailer.outcome = rebalance_while_sending
    bench.publish_and_settle(*((n, f"user-{n}") for n in range(24)))
    for _ in range(5):
        other[0].step()
        bench.service.step()
    assert moved[0] in bench.mailer.recipients
    assert mailer.sent
    assert sorted(bench.mailer.recipients + mailer.recipients) == sorted(f"user-{n}" for n in range(24))
    assert bench.service.status().suspected_repeats == 0
    assert len(emails_sent(bench.log)) == 24
    other[0].close()


def test_two_services_on_one_database_send_each_alert_once(bench: Bench) -> None:
    chance, second_mailer = random.Random(3), FakeMailer()
    second = NotificationsService(bench.log, bench.database, second_mailer, SETTINGS, clock=bench.clock)
    for n in range(30):
        publish(bench.log, [notification(n, f"user-{n % 7}")])
        chance.choice([bench.service, second]).step()
        bench.clock.now_ms += 500
    for _ in range(8):
        bench.service.step()
        second.step()
        bench.clock.now_ms += 2_000
    assert len(bench.mailer.sent) + len(second_mailer.sent) == 30
    assert bench.mailer.sent
    assert second_mailer.sent
    assert sorted(e.alert_id for e in emails_sent(bench.log)) == sorted(f"alert-{n}" for n in range(30))
    second.close()


def test_the_database_of_another_log_is_refused(bench: Bench) -> None:
    with EmbeddedLog.open(None) as other, pytest.raises(WrongLogError, match="belongs to the log"):
        NotificationsService(other, bench.database, bench.mailer, SETTINGS)


def test_nothing_personal_is_logged(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.mailer.outcome = lambda recipient: (
        RecipientRefusedError("the mail server answered 550 at RCPT", f"no {recipient}") if "bad" in recipient else None
    )
    producer = bench.log.producer()
    with producer.transaction() as transaction:
        transaction.append("alert.notification", b'{"email":"secret@example.org"}', timestamp=1, key=b"k")
    publish(bench.log, [notification(1, "bad"), notification(2, email="broken address"), notification(3)])
    settle(bench.service)
    shown = capsys.readouterr().out
    assert shown.count("dead letters") == 3
    for personal in ("bad@", "user-1", "secret", "broken", "Tesco", "812", "Jana", "Checking"):
        assert personal not in shown


@pytest.mark.alone
def test_a_running_service_sends_at_once_and_stops_at_once(tmp_path: Path, any_database: Databases) -> None:
    server = ScriptedServer({})
    settings = NotificationsSettings(sender="a@x.org", port=server.port)
    with EmbeddedLog.open(tmp_path / "log") as log:
        database = Database.open(any_database("notifications"), *DATABASE)
        log.create_topics([ALERT_NOTIFICATION.config])
        service = NotificationsService(log, database, SmtpMailer(settings), settings)
        stop = threading.Event()
        thread = threading.Thread(target=service.run, args=(stop,))
        thread.start()
        while not any(g.group == GROUP and g.members for g in log.groups()):
            time.sleep(0.01)
        published = time.monotonic()
        publish(log, [notification(1)])
        while not emails_sent(log):
            time.sleep(0.005)
        assert time.monotonic() - published < 2
        stopped = time.monotonic()
        stop.set()
        thread.join(5)
        assert time.monotonic() - stopped < 0.5
        database.close()
    server.close()


@pytest.mark.alone
def test_a_service_whose_server_hangs_stops_at_once(tmp_path: Path, any_database: Databases) -> None:
    server = ScriptedServer({".": [""]})
    settings = NotificationsSettings(sender="a@x.org", port=server.port)
    with EmbeddedLog.open(tmp_path / "log") as log:
        database = Database.open(any_database("notifications"), *DATABASE)
        log.create_topics([ALERT_NOTIFICATION.config])
        publish(log, [notification(1)])
        service = NotificationsService(log, database, SmtpMailer(settings), settings)
        stop = threading.Event()
        thread = threading.Thread(target=service.run, args=(stop,))
        thread.start()
        while "." not in server.received:
            time.sleep(0.01)
        stopped = time.monotonic()
        stop.set()
        thread.join(5)
        assert time.monotonic() - stopped < 0.5
        # The outcome is unknown, and that is on record.
        assert service.status().suspected_repeats == 1
        assert service.status().pending == 1
        database.close()
    server.close()
