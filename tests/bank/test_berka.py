"""The main job on a real bank's data: every balance, every alert, every e-mail."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.bank import berka

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    ALERT_NOTIFICATION,
    ALERT_RAISED,
    BALANCE_CHANGED,
    EMAIL_SENT,
    USER_PROFILE,
)
from streambank.bank.mailbox import MailboxServer
from streambank.bank.notifications.mailer import SmtpMailer
from streambank.bank.notifications.models import DATABASE
from streambank.bank.notifications.service import NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database


@pytest.fixture(scope="module")
def log() -> Iterator[EventLog]:
    """The bank's entries, processed, with every level of the tables below on every account."""
    with_levels = {level: (0, berka.margin_minor(level)) for level in berka.CROSSINGS}
    log = EmbeddedLog.open(None)
    berka.prepare(log, with_levels)
    berka.replay(log)
    berka.process(log)
    yield log
    log.close()


def test_every_balance_is_the_banks_own_after_every_row(log: EventLog) -> None:
    claims = {entry.entry_id: entry.balance_after_minor for entry in berka.read(log, BALANCE_CHANGED)}
    balances = {balance.entry.entry_id: balance for balance in berka.read(log, ACCOUNT_BALANCE)}
    rows = {entry_id: claim for entry_id, claim in claims.items() if claim is not None}
    assert len(rows) == 46_997
    assert len({balance.scope_id for balance in balances.values()}) == 1_229
    assert balances.keys() == claims.keys()
    wrong = [entry_id for entry_id, claim in rows.items() if balances[entry_id].after_minor != claim]
    assert wrong == []


def test_rounding_differences_are_entries_of_their_own(log: EventLog) -> None:
    adjustments = [entry for entry in berka.read(log, BALANCE_CHANGED) if entry.kind == "ADJUSTMENT"]
    assert len(adjustments) == 2_031
    assert {abs(entry.signed_minor) for entry in adjustments} == {10}


@pytest.mark.parametrize(
    ("level", "with_margin", "alerts"),
    [
        *((level, False, alerts) for level, alerts in berka.CROSSINGS.items()),
        *((level, True, alerts) for level, alerts in berka.CROSSINGS_WITH_MARGIN.items()),
    ],
)
def test_alerts_by_level(log: EventLog, level: int, with_margin: bool, alerts: int) -> None:
    margin = berka.margin_minor(level) if with_margin else 0
    found = [
        alert
        for alert in berka.read(log, ALERT_RAISED)
        if alert.threshold.level_minor == level * 100 and alert.threshold.rearm_margin_minor == margin
    ]
    assert len(found) == alerts
    assert all(alert.before_minor >= level * 100 > alert.after_minor for alert in found)


def test_every_alert_is_one_notification_to_its_owner(log: EventLog) -> None:
    emails = {profile.user_id: profile.email for profile in berka.read(log, USER_PROFILE)}
    alerts = {alert.alert_id: alert.user_id for alert in berka.read(log, ALERT_RAISED)}
    notifications = berka.read(log, ALERT_NOTIFICATION)
    assert Counter(one.alert_id for one in notifications) == Counter(alerts.keys())
    assert all(one.email == emails[alerts[one.alert_id]] for one in notifications)


def test_every_alert_is_one_mail_in_the_mailbox(log: EventLog, tmp_path: Path) -> None:
    with (
        MailboxServer(tmp_path / "mailbox.db", secret="secret") as mailbox,
        closing(Database.open(tmp_path / "notifications.db", *DATABASE)) as database,
    ):
        settings = NotificationsSettings(
            sender="alerts@streambank.example",
            port=mailbox.smtp_port,
            user="streambank",
            password="secret",
            # Months go by in a minute: what would come in one mail then is to come by itself.
            emails_per_hour_max=1_000_000,
        )
        with (
            closing(SmtpMailer(settings)) as mailer,
            closing(NotificationsService(log, database, mailer, settings)) as service,
        ):
            while service.step():
                pass
            assert service.status().suspected_repeats == 0
    notifications = {one.alert_id: one.email for one in berka.read(log, ALERT_NOTIFICATION)}
    assert Counter(sent.alert_id for sent in berka.read(log, EMAIL_SENT)) == Counter(notifications.keys())
    assert berka.mails(tmp_path / "mailbox.db") == Counter((alert, email) for alert, email in notifications.items())
