"""The service is killed at random moments, in real processes, on real databases, with a real mail server."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from sqlalchemy import select
from tests.bank.notifications.support import (
    emails_sent,
    notification,
    profile,
    publish,
    publish_key,
    publish_requests,
    read,
    request,
    sealed_request,
    write,
)
from tests.postgres import Databases

from streambank.bank.events import ALERT_NOTIFICATION, EMAIL_SENT, MAIL_REQUESTED, USER_KEY, USER_PROFILE
from streambank.bank.mailbox import MailboxServer, MailboxStore
from streambank.bank.notifications import repository
from streambank.bank.notifications.models import DATABASE, EMAIL, State
from streambank.log import TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database, database_url

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[3]
SECRET = "a secret of the test"
LIVES, ALERTS, USERS = 16, 80, 5
REQUEST_LIVES, REQUESTS = 8, 40
DIGEST_LIVES, DIGEST_ALERTS = 12, 72
HOUR_IN_A_SECOND = 3_600
DEADLINE_S = 60


class Lives:
    """Starts a service, and kills it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("live\n")
        self._process.stdin.flush()
        return int(self._line())

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self._line() == "dead"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def lives_in(folder: Path, port: int, where: str, *, speed: int = 1, emails_max: int = 1_000) -> Iterator[Lives]:
    command = [sys.executable, str(CHILD), str(folder), str(port), SECRET, where, str(speed), str(emails_max)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env
    ) as process:
        yield Lives(process)
        assert process.stdin is not None
        process.stdin.close()


def sent_count(log: EmbeddedLog) -> int:
    return sum(log.watermarks(TopicPartition(EMAIL_SENT.name, p)).high for p in range(EMAIL_SENT.partitions))


def wait_for_emails(log: EmbeddedLog, count: int, most_s: float) -> None:
    deadline = time.monotonic() + most_s
    while sent_count(log) < count and time.monotonic() < deadline:
        time.sleep(0.002)


def wait_for(received: MailboxStore, count: int, most_s: float) -> None:
    deadline = time.monotonic() + most_s
    while received.count() < count and time.monotonic() < deadline:
        time.sleep(0.002)


def repository_counts(database: Database) -> dict[State, int]:
    with database.read() as connection:
        return repository.counts(connection)


def mails_by(path: Path, header: str) -> dict[str, list[bytes]]:
    store = MailboxStore.open(path)
    found: dict[str, list[bytes]] = defaultdict(list)
    for summary in reversed(store.messages(limit=1_000)):
        stored = store.get(summary.id)
        assert stored is not None
        found[str(message_from_bytes(stored.raw)[header])].append(stored.raw)
    store.close()
    return found


def test_killed_at_random_moments(tmp_path: Path, any_database: Databases) -> None:
    chance = random.Random(20261124)
    where = database_url(any_database("notifications")).render_as_string(hide_password=False)
    wanted = [f"alert-{n}" for n in range(ALERTS)]
    with (
        EmbeddedLog.open(tmp_path / "log") as log,
        MailboxServer(tmp_path / "mailbox.db", secret=SECRET) as mailbox,
        lives_in(tmp_path, mailbox.smtp_port, where) as lives,
    ):
        log.create_topics([ALERT_NOTIFICATION.config, EMAIL_SENT.config])
        published = 0
        for life in range(LIVES):
            pid = lives.start()
            until = ALERTS * (life + 1) // LIVES
            publish(log, [notification(n, f"user-{n % USERS}") for n in range(published, until)])
            published = until
            # A quarter of the services are killed while they start, the others some e-mails later; all in mid-flight.
            wait_for_emails(log, sent_count(log) + chance.choice([0, 1, 2, 4]), most_s=1.0)
            time.sleep(chance.uniform(0.0, 0.04))
            lives.kill(pid)
        before_last_life = sent_count(log)
        pid = lives.start()
        wait_for_emails(log, ALERTS, DEADLINE_S)
        lives.kill(pid)
        events = emails_sent(log)
        dead = read(log, "notifications.dlq")

    database = Database.open(where, *DATABASE)
    with database.read() as connection:
        rows = connection.execute(select(EMAIL.c.cause_id, EMAIL.c.state)).all()
        suspected = repository.suspected_repeats(connection)
    database.close()
    mails = mails_by(tmp_path / "mailbox.db", "X-Streambank-Alert-Id")

    assert sorted((row.cause_id, row.state) for row in rows) == sorted((alert, "sent") for alert in wanted)
    assert sorted(event.alert_id for event in events) == sorted(wanted)
    assert sorted(mails) == sorted(wanted)
    # A repeat is the same message to the byte, and each was suspected of being one.
    assert all(len(set(copies)) == 1 for copies in mails.values())
    repeats = sum(len(copies) - 1 for copies in mails.values())
    assert repeats <= suspected <= LIVES
    assert dead == []
    for user in range(USERS):
        assert [a for a in mails if int(a[6:]) % USERS == user] == [f"alert-{n}" for n in range(user, ALERTS, USERS)]
    # The kills did hit working services.
    assert before_last_life > 0
    assert suspected > 0


def test_emails_that_are_asked_for_survive_kills_too(tmp_path: Path, any_database: Databases) -> None:
    chance = random.Random(20261129)
    where = database_url(any_database("notifications")).render_as_string(hide_password=False)
    wanted = [f"event-{n}" for n in range(REQUESTS)]
    with (
        EmbeddedLog.open(tmp_path / "log") as log,
        MailboxServer(tmp_path / "mailbox.db", secret=SECRET) as mailbox,
        closing(MailboxStore.open(tmp_path / "mailbox.db")) as received,
        lives_in(tmp_path, mailbox.smtp_port, where) as lives,
    ):
        log.create_topics([MAIL_REQUESTED.config, USER_KEY.config])
        publish_key(log, "user-0")
        for life in range(REQUEST_LIVES):
            pid = lives.start()
            until = REQUESTS * (life + 1) // REQUEST_LIVES
            asked_for = [request(n, "user-0", expires_at=None) for n in range(REQUESTS * life // REQUEST_LIVES, until)]
            publish_requests(log, [sealed_request(item) for item in asked_for])
            wait_for(received, received.count() + chance.choice([0, 1, 2]), most_s=1.0)
            time.sleep(chance.uniform(0.0, 0.02))
            lives.kill(pid)
        pid = lives.start()
        wait_for(received, REQUESTS, DEADLINE_S)
        with closing(Database.open(where, *DATABASE)) as database:
            deadline = time.monotonic() + DEADLINE_S
            while repository_counts(database)[State.SENT] < REQUESTS and time.monotonic() < deadline:
                time.sleep(0.01)
            lives.kill(pid)
            with database.read() as connection:
                rows = connection.execute(select(EMAIL.c.cause_id, EMAIL.c.state)).all()
                suspected = repository.suspected_repeats(connection)
        dead = read(log, "notifications.dlq")
        events = emails_sent(log)

    mails = mails_by(tmp_path / "mailbox.db", "X-Streambank-Event-Id")
    assert sorted((row.cause_id, row.state) for row in rows) == sorted((event, "sent") for event in wanted)
    assert sorted(mails) == sorted(wanted)
    assert all(len(set(copies)) == 1 for copies in mails.values())
    repeats = sum(len(copies) - 1 for copies in mails.values())
    assert repeats <= suspected <= REQUEST_LIVES
    assert (dead, events) == ([], [])


def test_of_digests_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path, any_database: Databases) -> None:
    """An hour takes a second: of each user's alerts the first three go at once, and the rest by the hour."""
    chance = random.Random(20261130)
    where = database_url(any_database("notifications")).render_as_string(hide_password=False)
    names = [f"Account<{n}>" for n in range(DIGEST_ALERTS)]
    with (
        EmbeddedLog.open(tmp_path / "log") as log,
        MailboxServer(tmp_path / "mailbox.db", secret=SECRET) as mailbox,
        lives_in(tmp_path, mailbox.smtp_port, where, speed=HOUR_IN_A_SECOND, emails_max=3) as lives,
    ):
        log.create_topics([ALERT_NOTIFICATION.config, EMAIL_SENT.config, USER_KEY.config, USER_PROFILE.config])
        for user in ("user-0", "user-1"):
            publish_key(log, user)
            write(log, profile(user))
        published = 0
        for life in range(DIGEST_LIVES):
            pid = lives.start()
            until = DIGEST_ALERTS * (life + 1) // DIGEST_LIVES
            alerts = [notification(n, f"user-{n % 2}", account_name=names[n]) for n in range(published, until)]
            published = until
            write(log, *alerts)
            wait_for_emails(log, sent_count(log) + chance.choice([0, 1, 4]), most_s=1.2)
            time.sleep(chance.uniform(0.0, 0.02))
            lives.kill(pid)
        pid = lives.start()
        wait_for_emails(log, DIGEST_ALERTS, DEADLINE_S)
        lives.kill(pid)
        events = emails_sent(log)
        dead = read(log, "notifications.dlq")

    with closing(Database.open(where, *DATABASE)) as database:
        assert repository_counts(database)[State.SENT] == len({event.message_id for event in events})
        with database.read() as connection:
            suspected = repository.suspected_repeats(connection)
    mails = mails_by(tmp_path / "mailbox.db", "Message-ID")
    assert sorted(event.alert_id for event in events) == sorted(f"alert-{n}" for n in range(DIGEST_ALERTS))
    assert set(mails) == {event.message_id for event in events}
    assert all(len(set(copies)) == 1 for copies in mails.values())
    assert sum(len(copies) - 1 for copies in mails.values()) <= suspected <= DIGEST_LIVES
    assert dead == []
    # Each alert is told in one e-mail, and most of them are told with others.
    titles = [title for copies in mails.values() for title in TITLE.findall(text_of(copies[0]))]
    assert sorted(titles) == sorted(names)
    assert len(mails) < DIGEST_ALERTS * 3 // 4


TITLE = re.compile(r"^(Account<\d+>) ••1234 fell below", re.MULTILINE)


def text_of(raw: bytes) -> str:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
