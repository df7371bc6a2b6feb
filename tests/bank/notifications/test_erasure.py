"""What is sealed is opened as an e-mail is formed, waits for its key, and is gone once its user is erased."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace
from sqlalchemy import select
from tests.bank.notifications.conftest import Bench
from tests.bank.notifications.support import (
    KEY,
    NOON,
    NOON_MS,
    SETTINGS,
    TOKEN,
    emails_sent,
    goal_mark,
    make_service,
    notification,
    profile,
    publish,
    publish_key,
    publish_requests,
    read,
    request,
    sealed_alert,
    sealed_request,
    settle,
    transfer,
)
from tests.postgres import Databases

from streambank.bank.events import ALERT_NOTIFICATION, MAIL_REQUESTED, USER_KEY, Digest, MailKind
from streambank.bank.events.personal import is_sealed, seal, unseal
from streambank.bank.notifications import recipients
from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.mailer import RecipientDeferredError, RecipientRefusedError, ServerUnavailableError
from streambank.bank.notifications.models import DELIVERY, EMAIL, NOTICE, RECIPIENT, WEBHOOK, State
from streambank.bank.notifications.models import USER_KEY as KEYS
from streambank.bank.notifications.schemas import NewWebhook, WebhookMade
from streambank.bank.notifications.sender import KEY_WAIT_MOST_MS
from streambank.service.http.caller import Caller

OTHER_KEY = bytes(reversed(KEY))
LAST_HOUR = NOON.replace(year=9999, month=12, day=31, hour=23)
"""In time zones east of Greenwich there is no such moment."""

PERSONAL = ("user-1@example.org", "Jana", "Tesco", "Checking", TOKEN)


def caller(user_id: str) -> Caller:
    return Caller(user_id, frozenset(), "test", "t", 0)


def states(bench: Bench) -> dict[str, str]:
    with bench.database.read() as connection:
        return {row.cause_id: row.state for row in connection.execute(select(EMAIL))}


def text_of(content: bytes) -> str:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def files_of(bench: Bench) -> bytes:
    """The bytes of the database's files, the write-ahead log among them, with the database still open."""
    assert isinstance(bench.where, Path)
    return b"".join(path.read_bytes() for path in sorted(bench.where.parent.glob("n.db*")))


def test_sealed_events_become_readable_e_mails(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    publish(bench.log, [sealed_alert(notification(1, remittance="Bread"))])
    publish_requests(bench.log, [sealed_request(request(2))])
    settle(bench.service)
    by_subject = dict(zip(bench.subjects(), bench.mailer.sent, strict=True))
    assert len(by_subject) == 2
    recipient, alert = by_subject["Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"]
    assert recipient == "user-1@example.org"
    for wanted in ("Jana Nováková", "Tesco", "Bread"):
        assert wanted in text_of(alert)
    recipient, asked_for = by_subject["Confirm your e-mail address"]
    assert recipient == "user-1@example.org"
    assert f"#token={TOKEN}" in text_of(asked_for)
    assert not any(b"sealed:" in content for _, content in bench.mailer.sent)
    # Of what was asked for, the sent-log tells, and no event.
    assert [event.alert_id for event in emails_sent(bench.log)] == ["alert-1"]
    assert states(bench) == {"alert-1": "sent", "event-2": "sent"}


def test_the_same_request_again_is_ignored(bench: Bench) -> None:
    publish_requests(bench.log, [request(1), request(1)])
    settle(bench.service)
    publish_requests(bench.log, [request(1)])
    settle(bench.service)
    bench.restart()
    settle(bench.service)
    assert len(bench.mailer.sent) == 1


def test_what_is_sealed_waits_for_its_key_and_then_goes_at_once(bench: Bench) -> None:
    publish_requests(bench.log, [sealed_request(request(1))])
    publish(bench.log, [sealed_alert(notification(2)), notification(3, "user-2")])
    settle(bench.service)
    assert bench.mailer.recipients == ["user-2"]
    for _ in range(20):
        bench.pass_ms(15_000)
    assert bench.mailer.recipients == ["user-2"]
    publish_key(bench.log, "user-1")
    settle(bench.service)
    assert bench.mailer.recipients == ["user-2", "user-1", "user-1"]
    # To wait for a key is no attempt.
    assert [event.attempt for event in emails_sent(bench.log)] == [1, 1]


def test_a_key_that_never_comes_makes_a_dead_letter_after_ten_minutes(bench: Bench) -> None:
    publish_requests(bench.log, [sealed_request(request(1, expires_at=None))])
    settle(bench.service)
    while bench.service.status().pending:
        bench.pass_ms(15_000)
    assert 0 <= bench.clock.now_ms - NOON_MS - KEY_WAIT_MOST_MS <= 45_000
    (dead,) = read(bench.log, "notifications.dlq")
    headers = dict(dead.headers)
    assert headers["__streams.errors.exception"] == b"KeyMissingError"
    assert headers["__streams.errors.message"] == b"the key of the user's personal data has not come yet"
    assert bench.mailer.sent == []


def test_an_address_sealed_with_another_key_is_a_dead_letter_and_a_name_is_left_out(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    odd_name = sealed_alert(notification(2))
    entry = odd_name.alert.entry
    odd_name = replace(
        odd_name,
        name=seal(OTHER_KEY, "user-1", "Jana"),
        alert=replace(odd_name.alert, entry=replace(entry, counterparty="sealed:1:%%%")),
    )
    publish(bench.log, [sealed_alert(notification(1), OTHER_KEY), odd_name])
    settle(bench.service)
    assert bench.alerts() == ["alert-2"]
    text = text_of(bench.mailer.sent[0][1])
    assert text.startswith("Hello,")
    assert "Counterparty" not in text
    (dead,) = read(bench.log, "notifications.dlq")
    assert dict(dead.headers)["__streams.errors.exception"] == b"UnformableError"
    assert b"address cannot be read" in (dict(dead.headers)["__streams.errors.message"] or b"")


@pytest.mark.parametrize(
    ("asked_for", "reason"),
    [
        (request(1, expires_at=NOON), b"expired"),
        (request(1, token=None), b"no token"),
        (request(1, token="x\r\nBcc: y@z.org"), b"token"),
        (request(1, email="x@y.org\r\nBcc: y@z.org"), b"malformed"),
    ],
    ids=["expired", "no token", "malformed token", "malformed address"],
)
def test_a_request_that_cannot_be_sent_is_a_dead_letter_and_blocks_nobody(
    bench: Bench, asked_for: object, reason: bytes
) -> None:
    publish_requests(bench.log, [asked_for, request(2)])  # type: ignore[list-item]
    settle(bench.service)
    assert states(bench) == {"event-1": "dead", "event-2": "sent"}
    (dead,) = read(bench.log, "notifications.dlq")
    assert MAIL_REQUESTED.value.deserialize(dead.value or b"") == asked_for
    assert reason in (dict(dead.headers)["__streams.errors.message"] or b"")


def test_a_moment_beyond_the_calendar_is_told_in_utc(bench: Bench) -> None:
    publish_requests(bench.log, [request(1, expires_at=LAST_HOUR, timezone="Asia/Tokyo")])
    settle(bench.service)
    assert states(bench) == {"event-1": "sent"}
    assert "9999" in text_of(bench.mailer.sent[0][1])


def test_what_expires_while_the_server_is_down_is_not_sent_late(bench: Bench) -> None:
    bench.mailer.down = ServerUnavailableError("down")
    publish_requests(bench.log, [request(1)])
    settle(bench.service)
    bench.pass_ms(3_600_000)
    bench.mailer.down = None
    bench.pass_ms(60_000)
    assert bench.mailer.sent == []
    assert states(bench) == {"event-1": "dead"}


def test_what_is_asked_for_passes_alerts_and_waits_for_none_of_its_user(bench: Bench) -> None:
    bench.mailer.outcome = lambda recipient: (
        RecipientDeferredError("mailbox full") if recipient == "old@x.org" else None
    )
    publish(bench.log, [notification(1, email="old@x.org"), notification(2), notification(3, "user-2")])
    publish_requests(bench.log, [request(4, kind=MailKind.EMAIL_CHANGED, email="old@x.org"), request(5)])
    settle(bench.service)
    # The alert behind the one that is put off waits; the verification of the new address does not.
    assert bench.subjects() == [
        "Confirm your e-mail address",
        "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK",
    ]
    assert bench.mailer.recipients == ["user-1", "user-2"]


def test_nothing_of_an_erased_user_is_sent_any_more(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    bench.mailer.down = ServerUnavailableError("down")
    publish(bench.log, [sealed_alert(notification(1)), notification(2, "user-2")])
    publish_requests(bench.log, [sealed_request(request(3)), request(4)])
    settle(bench.service)
    publish_key(bench.log, "user-1", None)
    settle(bench.service)
    assert bench.service.status().erased == 3
    bench.mailer.down = None
    bench.pass_ms(60_000)
    publish(bench.log, [notification(5), sealed_alert(notification(6))])
    # Whatever order it comes in: a key after its tombstone changes nothing.
    publish_key(bench.log, "user-1")
    publish_requests(bench.log, [request(7)])
    settle(bench.service)
    assert bench.mailer.recipients == ["user-2"]
    assert {cause for cause, state in states(bench).items() if state == State.ERASED} == {
        *("alert-1", "event-3", "event-4", "alert-5", "alert-6", "event-7"),
    }
    assert read(bench.log, "notifications.dlq") == []
    with bench.database.read() as connection:
        (key,) = connection.execute(select(KEYS)).all()
        kept = connection.execute(select(EMAIL).where(EMAIL.c.state == State.ERASED)).mappings().all()
    assert (key.user_id, key.key) == ("user-1", None)
    assert {(row["record_key"], row["record_value"], row["record_headers"]) for row in kept} == {(None, None, None)}


def test_a_key_and_its_tombstone_in_one_batch_erase(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    publish_key(bench.log, "user-1", None)
    publish_key(bench.log, "user-2", None)
    settle(bench.service)
    with bench.database.read() as connection:
        assert {(row.user_id, row.key) for row in connection.execute(select(KEYS))} == {
            ("user-1", None),
            ("user-2", None),
        }


@pytest.mark.parametrize("user", ["\x00", "a\x00b", "", "ž" * 300])
def test_odd_user_ids_stop_nothing(bench: Bench, user: str) -> None:
    for key in (KEY, None, None, KEY):
        publish_key(bench.log, user, key)
        settle(bench.service)
    publish(bench.log, [notification(1, user), notification(2)])
    settle(bench.service)
    assert states(bench) == {"alert-1": "erased", "alert-2": "sent"}


def test_erased_while_the_server_takes_the_e_mail(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    settle(bench.service)

    def erase_meanwhile(_: str) -> None:
        publish_key(bench.log, "user-1", None)
        while bench.service.projection.step(0):
            pass

    bench.mailer.outcome = erase_meanwhile
    publish(bench.log, [sealed_alert(notification(1))])
    settle(bench.service)
    assert states(bench) == {"alert-1": "erased"}
    assert emails_sent(bench.log) == []


def test_erasure_leaves_no_trace_in_the_database_files(file_bench: Bench) -> None:
    publish_key(file_bench.log, "user-1")
    publish_key(file_bench.log, "user-2", OTHER_KEY)
    unsealed = [notification(n, remittance="Bread " * 9) for n in range(1, 9)]
    sealed = [sealed_alert(notification(n)) for n in range(9, 20)]
    asked_for = [sealed_request(request(n)) for n in range(20, 30)] + [request(30), request(31, name="Jana N.")]
    # Some are sent, some refused, and some still wait as their user is erased.
    publish(file_bench.log, [*unsealed[:4], *sealed[:4]])
    publish_requests(file_bench.log, asked_for[:4])
    settle(file_bench.service)
    file_bench.mailer.outcome = lambda recipient: RecipientRefusedError("550 at RCPT", f"no {recipient}")
    publish(file_bench.log, sealed[4:6])
    settle(file_bench.service)
    file_bench.mailer.outcome = lambda _: RecipientDeferredError("greylisted")
    publish(file_bench.log, [*unsealed[4:], *sealed[6:], sealed_alert(notification(40, "user-2"), OTHER_KEY)])
    publish_requests(file_bench.log, asked_for[4:])
    settle(file_bench.service)
    traces = [text.encode() for text in PERSONAL] + [KEY, b"Bread"]
    traces += [seal(KEY, "user-1", text).encode() for text in ("user-1@example.org", "Jana Nováková", "Tesco", TOKEN)]
    before = files_of(file_bench)
    assert [trace for trace in traces if trace not in before] == []

    publish_key(file_bench.log, "user-1", None)
    settle(file_bench.service)
    after = files_of(file_bench)
    assert [trace for trace in traces if trace in after] == []
    assert OTHER_KEY in after
    assert seal(OTHER_KEY, "user-2", "user-2@example.org").encode() in after
    assert b"alert-1" in after


def test_traces_left_by_a_process_that_was_killed_go_at_the_next_start(
    file_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_key(file_bench.log, "user-1")
    settle(file_bench.service)
    monkeypatch.setattr(file_bench.database, "scrub", lambda: False)
    publish_key(file_bench.log, "user-1", None)
    settle(file_bench.service)
    assert KEY in files_of(file_bench)
    monkeypatch.undo()
    file_bench.restart()
    assert KEY not in files_of(file_bench)


def test_what_a_server_says_of_an_address_is_sealed_in_the_dead_letter(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    reply = "no such user <user-1@example.org>, " + "ž" * 2_000
    bench.mailer.outcome = lambda _: RecipientRefusedError("the mail server answered 550 at RCPT", reply)
    publish(bench.log, [sealed_alert(notification(1))])
    settle(bench.service)
    (dead,) = read(bench.log, "notifications.dlq")
    message = (dict(dead.headers)["__streams.errors.message"] or b"").decode()
    assert "user-1@" not in message
    said = message.partition("the server said: ")[2]
    assert is_sealed(said)
    opened = unseal(KEY, "user-1", said)
    assert opened is not None
    assert opened.startswith("no such user <user-1@example.org>, žž")


def test_a_new_database_of_an_old_group_still_knows_all_keys(bench: Bench, any_database: Databases) -> None:
    publish_key(bench.log, "user-1")
    publish_key(bench.log, "user-2", None)
    publish(bench.log, [notification(1)])
    settle(bench.service)
    bench.service.close()
    bench.database.close()
    bench.service, bench.database = make_service(bench.log, any_database("another"), bench.mailer, bench.clock)
    publish(bench.log, [sealed_alert(notification(2)), notification(3, "user-2")])
    settle(bench.service)
    # The alert of before is not sent again; the keys of before are there.
    assert bench.alerts() == ["alert-1", "alert-2"]


def test_no_token_and_nothing_personal_is_logged(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    with structlog.testing.capture_logs() as logs:
        bench.mailer.outcome = lambda recipient: (
            RecipientRefusedError("the mail server answered 550 at RCPT", f"no {recipient}")
            if recipient.startswith("bad")
            else None
        )
        publish_requests(
            bench.log,
            [
                sealed_request(request(1)),
                sealed_request(request(2), OTHER_KEY),
                request(3, email="bad@example.org"),
                request(4, email="broken address"),
                request(5, token=f"{TOKEN} broken"),
                request(6, expires_at=NOON),
                request(7, expires_at=LAST_HOUR, timezone="Asia/Tokyo"),
            ],
        )
        producer = bench.log.producer()
        with producer.transaction() as transaction:
            raw = MAIL_REQUESTED.value.serialize(request(8)).replace(b'"verify-email"', b'"no such kind"')
            transaction.append(MAIL_REQUESTED.name, raw, timestamp=1, key=b"user-1")
            transaction.append(USER_KEY.name, b'{"key":"not base64 ' + TOKEN.encode() + b'"}', timestamp=1, key=b"k")
        publish_key(bench.log, "user-2", None)
        settle(bench.service)
    assert len(bench.mailer.sent) == 2
    assert sum("dead letters" in line["event"] for line in logs) == 7
    shown = repr(logs)
    for personal in (*PERSONAL, "bad@", "broken", "Nov\\xe1kov", "sealed:", KEY.hex()):
        assert personal not in shown
    reasons = [dict(dead.headers)["__streams.errors.message"] or b"" for dead in read(bench.log, "notifications.dlq")]
    assert not any(TOKEN.encode() in reason for reason in reasons)
    with bench.database.read() as connection:
        assert not any(TOKEN in (error or "") for error in connection.scalars(select(EMAIL.c.last_error)))


def test_what_a_dead_process_was_sending_on_request_is_sent_again_and_counted(bench: Bench) -> None:
    publish_key(bench.log, "user-1")
    sent = bench.mailer.sent

    def die_after_the_250(recipient: str) -> BaseException:
        sent.append((recipient, b""))
        return KeyboardInterrupt()

    bench.mailer.outcome = die_after_the_250
    publish_requests(bench.log, [sealed_request(request(1))])
    with pytest.raises(KeyboardInterrupt):
        settle(bench.service)
    assert states(bench) == {"event-1": "sending"}
    bench.mailer.outcome = lambda _: None
    bench.restart(SETTINGS)
    settle(bench.service)
    assert bench.mailer.recipients == ["user-1", "user-1"]
    assert states(bench) == {"event-1": "sent"}
    assert bench.service.status().suspected_repeats == 1
    assert read(bench.log, ALERT_NOTIFICATION.name) == []


def test_inbox_profile_webhooks_and_what_waits_for_a_digest_go_with_their_user(file_bench: Bench) -> None:
    file_bench.know("user-1", digest=Digest.DAILY)
    file_bench.know("user-2", digest=Digest.DAILY)
    hooks = {user: f"https://hooks.example.org/of-{user}" for user in ("user-1", "user-2")}
    for user, url in hooks.items():
        with file_bench.database.begin() as connection:
            made = file_bench.service.webhooks.add(connection, caller(user), NewWebhook(url=url))
            assert isinstance(made.body, WebhookMade)
            recipients.mute(connection, user, [Category.GOALS])
    # What webhooks wait for is not sent: they lead nowhere here.
    file_bench.service.webhook_sender.send_due = lambda: 0  # type: ignore[method-assign]
    file_bench.happen(goal_mark(), transfer(), sealed_alert(notification(1)), sealed_alert(notification(2, "user-2")))
    traces = [hooks["user-1"].encode(), *(seal(KEY, "user-1", text).encode() for text in ("Eating out", "Pizza"))]
    assert [trace for trace in traces if trace not in files_of(file_bench)] == []

    publish_key(file_bench.log, "user-1", None)
    settle(file_bench.service)
    left = files_of(file_bench)
    assert [trace for trace in traces if trace in left] == []
    assert hooks["user-2"].encode() in left
    assert seal(KEY, "user-2", "Pizza").encode() in left
    with file_bench.database.read() as connection:
        for table in (NOTICE, RECIPIENT, WEBHOOK):
            assert set(connection.scalars(select(table.c.user_id))) == {"user-2"}, table.name
        hooks_left = set(connection.scalars(select(WEBHOOK.c.webhook_id)))
        assert set(connection.scalars(select(DELIVERY.c.webhook_id))) == hooks_left
    # What comes after it is not kept, whatever it is.
    file_bench.happen(profile("user-1"), transfer(2), sealed_alert(notification(3)))
    file_bench.pass_ms(2 * 86_400_000)
    assert file_bench.mailer.recipients == ["user-2"]
    with file_bench.database.read() as connection:
        assert set(connection.scalars(select(NOTICE.c.user_id))) == {"user-2"}
        assert set(connection.scalars(select(RECIPIENT.c.user_id))) == {"user-2"}
