"""What goes at once, what is gathered, and that of what is gathered nothing is lost and nothing comes twice."""

import threading
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.bank.notifications.conftest import Bench
from tests.bank.notifications.support import (
    KEY,
    NOON_MS,
    emails_sent,
    goal_mark,
    notification,
    profile,
    publish_key,
    read,
    request,
    settle,
    transfer,
    write,
)

from streambank.bank.events import Digest, MailKind, QuietHours, TransferState
from streambank.bank.notifications import inbox, planning, telling
from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.inbox import DIGEST_NOTICES_MAX
from streambank.bank.notifications.inboxes import view
from streambank.bank.notifications.mailer import (
    HandoverUnknownError,
    RecipientRefusedError,
    ServerUnavailableError,
)
from streambank.bank.notifications.models import EMAIL, NOTICE
from streambank.bank.notifications.recipients import REFUSALS_MAX
from streambank.bank.notifications.unsealing import opener

HOUR = 3_600_000
# The clocks in Prague show noon.
QUIET_NOW = QuietHours(from_minute=11 * 60, to_minute=14 * 60)


def text(content: bytes) -> str:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def states(bench: Bench) -> list[str]:
    with bench.database.read() as connection:
        return list(connection.scalars(select(EMAIL.c.state).order_by(EMAIL.c.id)))


def inbox_size(bench: Bench) -> int:
    with bench.database.read() as connection:
        return len(connection.execute(select(NOTICE)).all())


def test_each_kind_of_notice_goes_at_once_to_the_address_in_the_profile(bench: Bench) -> None:
    bench.know("user-1", "user-2")
    bench.happen(goal_mark(), transfer(), notification())
    assert sorted(zip(bench.mailer.recipients, bench.subjects(), strict=True)) == [
        ("user-1", "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"),
        ("user-1", "Eating out: 80 % of the budget is spent"),
        ("user-1", "You paid 25.00 EUR to Petr Dvořák"),
        ("user-2", "You received 25.00 EUR from Jana Nováková"),
    ]
    assert inbox_size(bench) == 4
    # Of alerts only there is an event.
    assert [event.alert_id for event in emails_sent(bench.log)] == ["alert-1"]


def test_the_same_events_again_are_ignored(bench: Bench) -> None:
    bench.know("user-1", "user-2")
    events = (goal_mark(), transfer(), notification(), transfer(2, TransferState.REJECTED))
    bench.happen(*events, *events)
    bench.restart()
    bench.happen(*events)
    assert len(bench.mailer.sent) == inbox_size(bench) == 5


def test_what_is_not_about_an_alert_waits_for_profile_and_key(bench: Bench) -> None:
    bench.happen(transfer())
    assert bench.mailer.sent == []
    publish_key(bench.log, "user-1")
    settle(bench.service)
    assert bench.mailer.sent == []
    bench.happen(profile("user-1"))
    assert bench.mailer.recipients == ["user-1"]
    for _ in range(60):
        bench.pass_ms(15_000)
    # Of user-2 nothing ever came: that is a dead letter, and the inbox has it still.
    assert states(bench).count("dead") == 1
    [dead] = read(bench.log, "notifications.dlq")
    assert b"profile" in (dict(dead.headers)["__streams.errors.message"] or b"")
    assert inbox_size(bench) == 2


def test_quiet_hours_gather_what_is_not_critical(bench: Bench) -> None:
    bench.know("user-1", quiet_hours=QUIET_NOW)
    bench.happen(notification(1), goal_mark(), request(kind=MailKind.PASSWORD_CHANGED, token=None, expires_at=None))
    bench.happen(notification(2, after_minor=-1), transfer(1, TransferState.REJECTED), transfer(2))
    assert sorted(bench.subjects()) == [
        "Checking ••1234 fell below 1,000.00 CZK: now -0.01 CZK",
        "Your password was changed",
        "Your payment of 25.00 EUR to Petr Dvořák did not go out",
    ]
    bench.pass_ms(2 * HOUR - 1)
    assert len(bench.mailer.sent) == 3
    bench.pass_ms(1_001)
    assert bench.subjects()[3:] == ["Since the last e-mail: 3 notices"]
    said = text(bench.mailer.sent[3][1])
    places = [said.index(each) for each in ("Checking ••1234", "Eating out", "You paid 25.00")]
    assert places == sorted(places)
    # The alert in it went out, too.
    assert {event.alert_id for event in emails_sent(bench.log)} == {"alert-1", "alert-2"}
    bench.pass_ms(48 * HOUR)
    assert len(bench.mailer.sent) == 4
    # user-2, whose profile never comes, has theirs too.
    assert inbox_size(bench) == 7


@pytest.mark.parametrize(("digest", "days"), [(Digest.DAILY, 1), (Digest.WEEKLY, 6)])
def test_a_digest_comes_at_eight(bench: Bench, digest: Digest, days: int) -> None:
    # It is noon on a Tuesday.
    bench.know("user-1", digest=digest)
    bench.happen(*(notification(n) for n in range(3)))
    bench.pass_ms((24 * days - 4) * HOUR - 1)
    assert bench.mailer.sent == []
    bench.pass_ms(1_001)
    assert bench.subjects() == ["Since the last e-mail: 3 notices"]
    bench.happen(notification(9))
    bench.pass_ms(8 * 24 * HOUR)
    assert bench.subjects()[1:] == ["Since the last e-mail: 1 notice"]


def test_more_than_a_user_may_get_in_an_hour_comes_in_one(bench: Bench) -> None:
    bench.know("user-1", "user-2")
    bench.happen(*(notification(n) for n in range(25)))
    bench.happen(
        *(notification(n) for n in range(25, 30)), notification(90, "user-2"), notification(91, after_minor=-1)
    )
    assert bench.mailer.recipients.count("user-1") == 21
    assert bench.mailer.recipients.count("user-2") == 1
    bench.pass_ms(HOUR - 1)
    assert bench.mailer.recipients.count("user-1") == 21
    bench.pass_ms(1_001)
    assert bench.subjects()[-1] == "Since the last e-mail: 10 notices"
    assert len(emails_sent(bench.log)) == 32
    bench.happen(notification(99))
    assert bench.mailer.recipients.count("user-1") == 23


def test_one_odd_notice_takes_no_other_with_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(telling, "_goal", odd)
    bench.know("user-1", digest=Digest.DAILY, timezone="Asia/Tokyo")
    # On the last day of the calendar, when in Tokyo the next has begun.
    last = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    late = msgspec.structs.replace(notification(2), occurred_at=last)
    bench.happen(notification(1), goal_mark(), late)
    bench.pass_ms(24 * HOUR)
    assert bench.subjects() == ["Since the last e-mail: 3 notices"]
    said = text(bench.mailer.sent[0][1])
    assert said.count("Checking ••1234 fell below") == 2
    assert "9999" in said
    with bench.database.read() as connection:
        kept = inbox.page(connection, "user-1", None, 10, unread=False)
    reader = telling.Reader("en", "Asia/Tokyo", opener("user-1", "c", KEY))
    assert [bool(view(each, reader).title) for each in kept] == [True, True, True]


def test_what_waits_for_a_digest_is_not_pruned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "NOTICES_MAX", 1)
    bench.know("user-1", quiet_hours=QUIET_NOW)
    bench.happen(notification(1), notification(2, after_minor=-1), notification(3, after_minor=-1))
    with bench.database.begin() as connection:
        assert inbox.full_users(connection) == ["user-1"]
        inbox.prune_user(connection, "user-1")
    assert inbox_size(bench) == 2
    bench.pass_ms(3 * HOUR)
    assert bench.subjects()[2:] == ["Since the last e-mail: 1 notice"]


def test_a_digest_has_a_bound_and_the_rest_follows(bench: Bench) -> None:
    bench.know("user-1", digest=Digest.DAILY)
    bench.happen(*(notification(n) for n in range(DIGEST_NOTICES_MAX + 3)))
    bench.pass_ms(24 * HOUR)
    assert bench.subjects() == [
        f"Since the last e-mail: {DIGEST_NOTICES_MAX} notices",
        "Since the last e-mail: 3 notices",
    ]
    assert len({event.alert_id for event in emails_sent(bench.log)}) == DIGEST_NOTICES_MAX + 3


def test_a_repeated_digest_is_the_same_to_the_byte(bench: Bench) -> None:
    bench.know("user-1", digest=Digest.DAILY)
    bench.happen(notification(1), notification(2))
    lost = [HandoverUnknownError("no reply")]
    taken: list[bytes] = []
    send = bench.mailer.send

    def send_twice(sender: str, recipient: str, message: bytes) -> None:
        taken.append(message)
        if lost:
            raise lost.pop()
        send(sender, recipient, message)

    bench.mailer.send = send_twice  # type: ignore[method-assign]
    bench.pass_ms(24 * HOUR)
    # What comes meanwhile goes into the next one.
    bench.happen(notification(3))
    bench.pass_ms(HOUR)
    assert len(taken) == 2
    assert taken[0] == taken[1]
    assert bench.service.status().suspected_repeats == 1


def test_a_digest_waits_for_a_server_that_is_down(bench: Bench) -> None:
    bench.know("user-1", digest=Digest.DAILY)
    bench.happen(notification(1))
    bench.mailer.down = ServerUnavailableError("down")
    bench.pass_ms(30 * HOUR)
    bench.happen(notification(2))
    bench.mailer.down = None
    bench.pass_ms(HOUR)
    assert bench.subjects() == ["Since the last e-mail: 1 notice"]
    bench.pass_ms(24 * HOUR)
    assert bench.subjects()[1:] == ["Since the last e-mail: 1 notice"]


def test_who_wants_none_or_has_no_verified_address_gets_none_and_has_the_inbox(bench: Bench) -> None:
    bench.know("user-1")
    bench.know("user-2", email_verified=False)
    with bench.database.begin() as connection:
        from streambank.bank.notifications import recipients

        recipients.mute(connection, "user-1", [Category.ALERTS])
    bench.happen(notification(1), notification(2, after_minor=-1), goal_mark(), transfer())
    assert sorted(bench.subjects()) == ["Eating out: 80 % of the budget is spent", "You paid 25.00 EUR to Petr Dvořák"]
    assert inbox_size(bench) == 5


def test_what_waits_for_a_verified_address_goes_once_it_is(bench: Bench) -> None:
    bench.know("user-1", "user-2", email_verified=False)
    # There are alerts for verified addresses only, whatever is known here of them.
    bench.happen(notification(1), transfer(1))
    assert bench.subjects() == ["Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"]
    bench.happen(profile("user-1"))
    assert bench.subjects()[1:] == ["You paid 25.00 EUR to Petr Dvořák"]
    for _ in range(60):
        bench.pass_ms(15_000)
    # It is no mistake that user-2 has none.
    assert sorted(states(bench)) == ["sent", "sent", "skipped"]
    assert read(bench.log, "notifications.dlq") == []


def test_what_is_no_longer_wanted_when_it_is_due_is_not_sent(bench: Bench) -> None:
    from streambank.bank.notifications import recipients

    bench.know("user-1", digest=Digest.DAILY)
    bench.know("user-2")
    bench.mailer.down = ServerUnavailableError("down")
    bench.happen(notification(1), goal_mark(), notification(2, "user-2"))
    with bench.database.begin() as connection:
        for user in ("user-1", "user-2"):
            recipients.mute(connection, user, [Category.ALERTS])
    bench.mailer.down = None
    bench.pass_ms(24 * HOUR)
    assert bench.mailer.recipients == ["user-1"]
    assert "Checking" not in text(bench.mailer.sent[0][1])
    assert sorted(states(bench)) == ["sent", "skipped"]
    assert bench.service.status().skipped == 1


def refusal(is_about_address: bool = True) -> RecipientRefusedError:
    return RecipientRefusedError("the mail server answered 550 at RCPT", is_about_address=is_about_address)


def test_an_address_that_refuses_is_left_alone_but_for_what_is_critical(bench: Bench) -> None:
    bench.know("user-1", "user-2")
    bench.mailer.outcome = lambda recipient: refusal() if recipient.startswith("user-1") else None
    for n in range(REFUSALS_MAX):
        bench.happen(notification(n))
    bench.mailer.outcome = lambda _: None
    bench.happen(notification(10), goal_mark(), notification(11, "user-2"))
    assert bench.mailer.recipients == ["user-2"]
    # A security mail may go to another address, and says nothing of this one.
    bench.happen(request(kind=MailKind.PASSWORD_CHANGED, token=None, expires_at=None))
    bench.happen(notification(12))
    assert bench.mailer.recipients == ["user-2", "user-1"]
    # Another address has refused nothing.
    bench.happen(profile("user-1", email="other@example.org"), notification(13, email="other@example.org"))
    assert bench.mailer.recipients == ["user-2", "user-1", "other"]


@pytest.mark.parametrize(("pause_days", "is_left_alone"), [(0, True), (29, True), (30, False)])
def test_refusals_are_forgotten_after_a_while(bench: Bench, pause_days: int, is_left_alone: bool) -> None:
    bench.know("user-1")
    for n in range(REFUSALS_MAX):
        bench.mailer.outcome = lambda _: refusal()
        bench.happen(notification(n))
        # That one is taken in between says nothing.
        bench.mailer.outcome = lambda _: None
        if n < REFUSALS_MAX - 1:
            bench.happen(notification(50 + n))
            bench.clock.now_ms += pause_days * 24 * HOUR
    bench.happen(notification(99), notification(98, after_minor=-1))
    assert len(bench.mailer.sent) == REFUSALS_MAX - 1 + (1 if is_left_alone else 2)


def test_nothing_spins_while_a_digest_waits_for_the_server(bench: Bench) -> None:
    bench.know("user-1", digest=Digest.DAILY)
    bench.mailer.down = ServerUnavailableError("down")
    bench.happen(notification(1))
    bench.clock.now_ms += 24 * HOUR
    waits = []
    for _ in range(5):
        bench.service.sender.send_due()
        waits.append(bench.service.sender._idle_s())
        bench.clock.now_ms += 100
    # At first the digest is made, and to be sent.
    assert waits[0] == 0
    assert min(waits[1:]) > 0.05


def test_nothing_spins_while_a_digest_waits_for_its_turn(bench: Bench) -> None:
    bench.know("user-1", digest=Digest.DAILY)
    bench.happen(notification(1))
    bench.clock.now_ms += 24 * HOUR
    bench.service.sender._gather_at = bench.clock.now_ms + 500
    assert bench.service.sender._idle_s() == 0.5


def test_what_goes_at_once_goes_between_digests(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "GATHERED_USERS_MAX", 2)
    users = [f"user-{n}" for n in range(5)]
    bench.know(*users, digest=Digest.DAILY)
    bench.happen(*(notification(n, user) for n, user in enumerate(users)))
    bench.clock.now_ms += 24 * HOUR
    sender = bench.service.sender
    stop = threading.Event()
    stop.set()
    sender.send_due(stop)
    assert states(bench) == []
    for n, made in ((10, 2), (11, 4), (12, 5)):
        write(bench.log, notification(n, after_minor=-1))
        bench.service.projection.step(0)
        sender.send_due()
        assert states(bench).count("pending") == made - 2 * (n - 10)
        assert sender._idle_s() == 0
    settle(bench.service)
    digests = [subject.startswith("Since") for subject in bench.subjects()]
    assert digests == [False, False, True, True, False, True, True, True]


def test_a_refusal_for_a_policy_says_nothing_of_the_address(bench: Bench) -> None:
    bench.know("user-1")
    bench.mailer.outcome = lambda _: refusal(is_about_address=False)
    for n in range(2 * REFUSALS_MAX):
        bench.happen(notification(n))
    bench.mailer.outcome = lambda _: None
    bench.happen(notification(99))
    assert len(bench.mailer.sent) == 1


class _CrashError(Exception):
    pass


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["event", "hour", "crash before", "crash after", "restart", "down"]), max_size=25))
def test_whatever_happens_each_notice_is_mailed_once(steps: list[str]) -> None:
    """Events, pauses, restarts, and crashes in the midst of gathering, in any order; then all heals."""
    from sqlalchemy.engine import make_url

    bench = Bench(make_url("sqlite://"))
    bench.know("user-1", quiet_hours=QUIET_NOW, digest=Digest.NONE)
    gather, count = planning.gather, 0
    try:
        for step in steps:
            if step == "event":
                bench.happen(notification(count))
                count += 1
            elif step in ("hour", "down"):
                bench.mailer.down = ServerUnavailableError("down") if step == "down" else None
                bench.pass_ms(HOUR)
            elif step == "restart":
                bench.restart()
            else:

                def crash(connection: Any, now_ms: int, before: bool = step == "crash before") -> int:
                    if not before:
                        gather(connection, now_ms)
                    raise _CrashError

                planning.gather = crash
                try:
                    bench.pass_ms(HOUR)
                except _CrashError:
                    pass
                finally:
                    planning.gather = gather
        bench.mailer.down = None
        for _ in range(30):
            bench.pass_ms(HOUR)
        told = [event.alert_id for event in emails_sent(bench.log)]
        assert sorted(told) == sorted(f"alert-{n}" for n in range(count))
        said = "".join(text(content) for _, content in bench.mailer.sent)
        assert said.count("Checking ••1234 fell below") >= count
    finally:
        planning.gather = gather
        bench.close()


def test_a_notice_goes_by_the_user_s_own_clock(bench: Bench) -> None:
    assert NOON_MS % (24 * HOUR) == 11 * HOUR
    bench.know("user-1", timezone="Asia/Tokyo", quiet_hours=QuietHours(from_minute=20 * 60, to_minute=21 * 60))
    write(bench.log, notification(1))
    settle(bench.service)
    # It is 20:00 in Tokyo.
    assert bench.mailer.sent == []
    bench.pass_ms(HOUR + 1_000)
    assert len(bench.mailer.sent) == 1
