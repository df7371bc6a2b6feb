"""A service with its surroundings."""

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL
from tests.bank.notifications.support import (
    SETTINGS,
    FakeMailer,
    Ticker,
    make_service,
    notification,
    profile,
    publish,
    publish_key,
    settle,
    write,
)
from tests.postgres import Databases

from streambank.bank.notifications.service import NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.log.embedded import EmbeddedLog


class Bench:
    """One service on a log in memory, with a clock and a mailer to play with."""

    def __init__(self, where: Path | URL, settings: NotificationsSettings = SETTINGS) -> None:
        self.where = where
        self.clock = Ticker()
        self.mailer = FakeMailer()
        self.log = EmbeddedLog.open(None)
        self.service, self.database = make_service(self.log, where, self.mailer, self.clock, settings)

    def publish_and_settle(self, *numbers_and_users: tuple[int, str]) -> None:
        publish(self.log, [notification(n, user) for n, user in numbers_and_users])
        settle(self.service)

    def know(self, *users: str, **changes: Any) -> None:
        """Users with their keys and profiles."""
        for user in users:
            publish_key(self.log, user)
        write(self.log, *(profile(user, **changes) for user in users))
        settle(self.service)

    def happen(self, *events: Any) -> None:
        """Events come in, and what is due is done."""
        write(self.log, *events)
        settle(self.service)

    def pass_ms(self, ms: int) -> None:
        self.clock.now_ms += ms
        settle(self.service)

    def restart(self, settings: NotificationsSettings = SETTINGS) -> None:
        self.service.close()
        self.service = NotificationsService(
            self.log, self.database, self.mailer, settings, clock=self.clock, random=lambda: 0.5
        )

    def subjects(self) -> list[str]:
        return [str(message_from_bytes(content, policy=default)["Subject"]) for _, content in self.mailer.sent]

    def alerts(self) -> list[str]:
        return [str(message_from_bytes(content)["X-Streambank-Alert-Id"]) for _, content in self.mailer.sent]

    def close(self) -> None:
        self.service.close()
        self.database.close()
        self.log.close()


@pytest.fixture
def bench(any_database: Databases) -> Iterator[Bench]:
    """On a database of either kind."""
    made = Bench(any_database("notifications"))
    yield made
    made.close()


@pytest.fixture
def file_bench(tmp_path: Path) -> Iterator[Bench]:
    """On a file of SQLite."""
    made = Bench(tmp_path / "n.db")
    yield made
    made.close()
