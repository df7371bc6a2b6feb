"""All services of the bank together, on a log and databases of a test's own. No e-mail and no question leaves them."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from fastapi import FastAPI
from tests.bank.notifications.support import FakeMailer, local_only
from tests.bank.users.support import CHEAP
from tests.postgres import Databases

from streambank.bank.notifications import service as notifications
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.payments.settings import PaymentsSettings
from streambank.bank.users.settings import UsersSettings
from streambank.cli.services import SERVICES, Installation, ServicesSettings, application
from streambank.clock import Clock
from streambank.log import EventLog
from streambank.service.database import Database
from streambank.service.http.rate_limits import RateLimits, RatePolicy

OFTEN = RatePolicy("test", 10_000_000, 1)

SETTINGS = ServicesSettings(users=UsersSettings(password_parameters=CHEAP), payments=PaymentsSettings())
MAIL = NotificationsSettings(sender="alerts@streambank.example")


def all_services(
    log: EventLog, databases: Databases, stack: ExitStack, *, clock: Clock
) -> dict[str, tuple[Any, Database]]:
    """Every service with its database, by name."""
    made: dict[str, tuple[Any, Database]] = {}
    for name, kind in SERVICES.items():
        database = Database.open(databases(name), *kind.histories)
        stack.callback(database.close)
        if name == notifications.GROUP:
            service: Any = notifications.NotificationsService(
                log, database, FakeMailer(), MAIL, clock=clock, resolve=local_only
            )
        else:
            service = kind.make(Installation(log, database, "http://127.0.0.1", SETTINGS, clock))
        stack.callback(service.close)
        made[name] = service, database
    return made


def answering(
    log: EventLog,
    made: dict[str, tuple[Any, Database]],
    stack: ExitStack,
    *,
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
) -> FastAPI:
    """What answers for them, as often as one likes. ``sleep`` is called by a request that waits for a service."""
    limits = RateLimits(clock, caller=OFTEN, anonymous=OFTEN)
    return application(log, made, stack, limits=limits, clock=clock, sleep=sleep)
