"""The services that answer over HTTP: each with its database, and one server for all that run in this process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from sqlalchemy import select

from streambank.bank.access import LogKeys
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
from streambank.cli.databases import service_database
from streambank.cli.folder import DataFolder
from streambank.cli.roles import FunctionRole
from streambank.clock import Clock, system_clock
from streambank.log import EventLog
from streambank.service.database import Database, Migrations
from streambank.service.group_commit import GroupCommit
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import ANONYMOUS_POLICY, RateLimits, RatePolicy
from streambank.service.http.server import HttpServer
from streambank.service.http.tokens import TokenVerifier
from streambank.service.outbox import outbox_length

if TYPE_CHECKING:
    from streambank.cli.supervisor import Role

UNPUBLISHED_MAX = 10_000
"""Events that wait in an outbox: more, and the service is not ready, since others see what happens seconds later."""


@dataclass(frozen=True, slots=True)
class ServiceKind:
    """What has to be known of a service to run it.

    ``receives`` are the topics that its projections read. ``make`` takes the log and the database; what it makes has
    ``run(stop, grace_s=...)`` and ``close()``.
    """

    title: str
    histories: tuple[Migrations, ...]
    receives: tuple[str, ...]
    make: Callable[[EventLog, Database], Any]
    router: Callable[[Any, ServiceHttp], APIRouter]


SERVICES = {
    users.NAME: ServiceKind("users", users_models.DATABASE, (), users.UsersService, users_endpoints.router),
    transactions.NAME: ServiceKind(
        "transactions",
        transactions_models.DATABASE,
        tuple(topic.name for topic in transactions.RECEIVES),
        transactions.TransactionsService,
        transactions_endpoints.router,
    ),
    personalization.NAME: ServiceKind(
        "personalization",
        personalization_models.DATABASE,
        tuple(topic.name for topic in personalization.RECEIVES),
        personalization.PersonalizationService,
        personalization_endpoints.router,
    ),
    payments.NAME: ServiceKind(
        "payments",
        payments_models.DATABASE,
        tuple(topic.name for topic in payments.RECEIVES),
        # The topology `screening` answers, in this process or in another.
        partial(payments.PaymentsService, settings=PaymentsSettings(screening="topic")),
        payments_endpoints.router,
    ),
}
"""By name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesSettings:
    """What differs between installations.

    Attributes:
        users: how the users service is set up.
        anonymous: how many requests each address may make where nobody is logged in.
    """

    users: UsersSettings = field(default_factory=UsersSettings)
    anonymous: RatePolicy = ANONYMOUS_POLICY

    def kind(self, name: str) -> ServiceKind:
        """The service of that name, set up so."""
        kind = SERVICES[name]
        if name == users.NAME:
            return replace(kind, make=partial(users.UsersService, settings=self.users))
        return kind


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
        settings: ServicesSettings | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Open their databases and the port.

        Raises:
            StreambankError: the port is taken, or a database cannot be used.
        """
        self.roles: list[Role] = []
        self._log, self._clock = log, clock
        self._keys = LogKeys(log)
        settings = settings or ServicesSettings()
        self._limits = RateLimits(clock, anonymous=settings.anonymous)
        answering = []
        for name in names:
            kind = settings.kind(name)
            database = Database.open(service_database(folder, database_url, name), *kind.histories)
            stack.callback(database.close)
            service = kind.make(log, database)
            stack.callback(service.close)
            answering.append(self._answering(name, service, database, stack))
            self.roles.append(FunctionRole(name, partial(service.run, grace_s=grace_s)))
        app, hint = create_app(answering, clock), "name another with --api-port"
        self.server = HttpServer(app, name="the API", port=port, hint=hint)
        # Closed before the databases: what is being answered still needs them.
        stack.callback(self.server.close)
        self.server.start()
        self.roles.append(FunctionRole("http", self.server.run))
        # What was made until here stays. Without this the garbage collector looks through all of it now and then, and
        # no request is answered for a tenth of a second.
        gc.collect()
        gc.freeze()

    def _answering(self, name: str, service: Any, database: Database, stack: ExitStack) -> HttpService:
        kind = SERVICES[name]
        commits = GroupCommit(database)
        stack.callback(commits.close)
        positions = Positions(self._log, database, service=name, topics=kind.receives)
        stack.callback(positions.close)
        http = ServiceHttp(
            name=name,
            database=database,
            commits=commits,
            clock=self._clock,
            verifier=TokenVerifier(self._keys.find, self._clock),
            limits=self._limits,
            positions=positions,
            token_path=TOKEN_PATH,
            scopes=SCOPES,
        )
        checks = {"database": partial(_database_answers, database), "outbox": partial(_outbox_is_published, database)}
        return HttpService(name, kind.title, kind.router(service, http), checks)


def _database_answers(database: Database) -> str | None:
    with database.read() as connection:
        connection.execute(select(1))
    return None


def _outbox_is_published(database: Database) -> str | None:
    waiting = outbox_length(database)
    return f"{waiting} events wait to be published" if waiting > UNPUBLISHED_MAX else None
