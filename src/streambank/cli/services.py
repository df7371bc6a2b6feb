"""The services that answer over HTTP: each with its database, and one server for all that run in this process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from fastapi import APIRouter, FastAPI
from sqlalchemy import select

from streambank.bank.access import LogKeys
from streambank.bank.notifications import endpoints as notifications_endpoints
from streambank.bank.notifications import models as notifications_models
from streambank.bank.notifications import service as notifications
from streambank.bank.notifications.mailer import SmtpMailer
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.payments import endpoints as payments_endpoints
from streambank.bank.payments import models as payments_models
from streambank.bank.payments import service as payments
from streambank.bank.payments.settings import PaymentsSettings
from streambank.bank.personalization import endpoints as personalization_endpoints
from streambank.bank.personalization import models as personalization_models
from streambank.bank.personalization import service as personalization
from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.bank.transactions import endpoints as transactions_endpoints
from streambank.bank.transactions import models as transactions_models
from streambank.bank.transactions import service as transactions
from streambank.bank.users import endpoints as users_endpoints
from streambank.bank.users import models as users_models
from streambank.bank.users import service as users
from streambank.bank.users.settings import UsersSettings
from streambank.bank.views import endpoints as views_endpoints
from streambank.bank.views import models as views_models
from streambank.bank.views import service as views
from streambank.cli.databases import service_database
from streambank.cli.folder import DataFolder
from streambank.cli.roles import FunctionRole
from streambank.clock import Clock, system_clock
from streambank.errors import check
from streambank.log import EventLog
from streambank.service.database import Database, Migrations
from streambank.service.group_commit import GroupCommit
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import ANONYMOUS_POLICY, RateLimits, RatePolicy
from streambank.service.http.server import HttpServer, open_port
from streambank.service.http.tokens import TokenVerifier
from streambank.service.outbox import outbox_length
from streambank.streams import Topic

if TYPE_CHECKING:
    from streambank.cli.supervisor import Role

HOST = "127.0.0.1"

UNPUBLISHED_MAX = 10_000
"""Events that wait in an outbox: more, and the service is not ready, since others see what happens seconds later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesSettings:
    """What differs between installations.

    Attributes:
        users: how the users service is set up.
        payments: how the payments service is; by default the topology ``screening`` looks at each transfer.
        mail: how e-mails are sent, where the API answers at that address; only the notifications service needs it.
        anonymous: how many requests each address may make where nobody is logged in.
    """

    users: UsersSettings = field(default_factory=UsersSettings)
    payments: PaymentsSettings = field(default_factory=lambda: PaymentsSettings(screening="topic"))
    mail: Callable[[str], NotificationsSettings] | None = None
    anonymous: RatePolicy = ANONYMOUS_POLICY


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a service is made: the log, its own database, and the address of the API."""

    log: EventLog
    database: Database
    url: str
    settings: ServicesSettings
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKind:
    """What has to be known of a service to run it.

    ``receives`` are the topics that its projections read; ``through`` the topologies, in the order of their work, that
    make some of them of other services' events. What ``make`` makes has ``run(stop, grace_s=...)`` and ``close()``.
    """

    histories: tuple[Migrations, ...]
    make: Callable[[Installation], Any]
    router: Callable[[Any, ServiceHttp], APIRouter]
    receives: Sequence[Topic[str, Any]] = ()
    through: tuple[str, ...] = ()


Made: TypeAlias = Mapping[str, tuple[Any, Database]]
"""Services by name, each with its database."""


def _users(at: Installation) -> users.UsersService:
    return users.UsersService(at.log, at.database, at.settings.users, clock=at.clock)


def _transactions(at: Installation) -> transactions.TransactionsService:
    return transactions.TransactionsService(at.log, at.database, clock=at.clock)


def _personalization(at: Installation) -> personalization.PersonalizationService:
    return personalization.PersonalizationService(at.log, at.database, clock=at.clock)


def _payments(at: Installation) -> payments.PaymentsService:
    return payments.PaymentsService(at.log, at.database, settings=at.settings.payments, clock=at.clock)


def _views(at: Installation) -> views.ViewsService:
    return views.ViewsService(at.log, at.database, clock=at.clock)


def _notifications(at: Installation) -> notifications.NotificationsService:
    check(at.settings.mail is not None, "whoever sends e-mails knows where to")
    mail = at.settings.mail(at.url)  # type: ignore[misc]
    return notifications.NotificationsService(at.log, at.database, SmtpMailer(mail), mail, clock=at.clock)


SERVICES = {
    users.NAME: ServiceKind(histories=users_models.DATABASE, make=_users, router=users_endpoints.router),
    transactions.NAME: ServiceKind(
        histories=transactions_models.DATABASE,
        make=_transactions,
        router=transactions_endpoints.router,
        receives=transactions.RECEIVES,
    ),
    personalization.NAME: ServiceKind(
        histories=personalization_models.DATABASE,
        make=_personalization,
        router=personalization_endpoints.router,
        receives=personalization.RECEIVES,
        through=("goals",),
    ),
    payments.NAME: ServiceKind(
        histories=payments_models.DATABASE,
        make=_payments,
        router=payments_endpoints.router,
        receives=payments.RECEIVES,
    ),
    views.NAME: ServiceKind(
        histories=views_models.DATABASE,
        make=_views,
        router=views_endpoints.router,
        receives=views.RECEIVES,
        through=("balances", "figures"),
    ),
    notifications.GROUP: ServiceKind(
        histories=notifications_models.DATABASE,
        make=_notifications,
        router=notifications_endpoints.router,
        receives=notifications.RECEIVES,
    ),
}
"""By name."""


class Services:
    """Those of them that run in this process, and their server. The ``stack`` closes everything."""

    def __init__(
        self,
        names: Sequence[str],
        log: EventLog,
        folder: DataFolder,
        database_url: str | None,
        stack: ExitStack,
        *,
        port: int,
        grace_s: float,
        settings: ServicesSettings,
        clock: Clock = system_clock,
    ) -> None:
        """Open their databases and the port.

        Raises:
            StreambankError: the port is taken, or a database cannot be used.
        """
        self.roles: list[Role] = []
        # First: what is in e-mails has to say where they are answered.
        listening = open_port("the API", HOST, port, "name another with --api-port")
        stack.callback(listening.close)
        self.url = f"http://{HOST}:{listening.getsockname()[1]}"
        made: dict[str, tuple[Any, Database]] = {}
        for name in names:
            database = Database.open(service_database(folder, database_url, name), *SERVICES[name].histories)
            stack.callback(database.close)
            service = SERVICES[name].make(Installation(log, database, self.url, settings, clock))
            stack.callback(service.close)
            made[name] = service, database
            self.roles.append(FunctionRole(name, partial(service.run, grace_s=grace_s)))
        limits = RateLimits(clock, anonymous=settings.anonymous)
        app = application(log, made, stack, limits=limits, clock=clock)
        self.server = HttpServer(app, name="the API", host=HOST, listening=listening)
        # Closed before the databases: what is being answered still needs them.
        stack.callback(self.server.close)
        self.server.start()
        self.roles.append(FunctionRole("http", self.server.run))
        # What was made until here stays. Without this the garbage collector looks through all of it now and then, and
        # no request is answered for a tenth of a second.
        gc.collect()
        gc.freeze()


def application(
    log: EventLog,
    made: Made,
    stack: ExitStack,
    *,
    limits: RateLimits,
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
) -> FastAPI:
    """What answers for these services. ``sleep`` is called by who waits until a service has come to a position."""
    keys = LogKeys(log)
    answering = []
    for name, (service, database) in made.items():
        kind = SERVICES[name]
        commits = GroupCommit(database)
        stack.callback(commits.close)
        topics = [topic.name for topic in kind.receives]
        positions = Positions(log, database, service=name, topics=topics, through=kind.through, sleep=sleep)
        stack.callback(positions.close)
        http = ServiceHttp(
            name=name,
            database=database,
            commits=commits,
            clock=clock,
            verifier=TokenVerifier(keys.find, clock),
            limits=limits,
            positions=positions,
            token_path=TOKEN_PATH,
            scopes=SCOPES,
        )
        checks = {"database": partial(_database_answers, database), "outbox": partial(_outbox_is_published, database)}
        answering.append(HttpService(name, kind.router(service, http), checks))
    return create_app(answering, clock)


def _database_answers(database: Database) -> str | None:
    with database.read() as connection:
        connection.execute(select(1))
    return None


def _outbox_is_published(database: Database) -> str | None:
    waiting = outbox_length(database)
    return f"{waiting} events wait to be published" if waiting > UNPUBLISHED_MAX else None
