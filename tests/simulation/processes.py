"""The processes of the bank: started, stepped, stopped, killed, and made anew from what they left on the disk."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from tests.bank.users.support import CHEAP
from tests.simulation.chance import Chance, SimClock
from tests.simulation.database import SimDatabase
from tests.simulation.faults import CrashedError, Faults, Life
from tests.simulation.log import SimLog
from tests.simulation.mail import MailServer, SimMailer
from tests.simulation.trace import Trace

from streambank.bank.notifications import models as notifications_models
from streambank.bank.notifications.service import NotificationsService
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.payments import models as payments_models
from streambank.bank.payments.service import PaymentsService
from streambank.bank.payments.settings import PaymentsSettings, Screening
from streambank.bank.personalization import models as personalization_models
from streambank.bank.personalization.service import PersonalizationService
from streambank.bank.transactions import models as transactions_models
from streambank.bank.transactions.service import TransactionsService
from streambank.bank.users import models as users_models
from streambank.bank.users.service import UsersService
from streambank.bank.users.settings import UsersSettings
from streambank.bank.views import models as views_models
from streambank.bank.views.service import ViewsService
from streambank.log import StorageFullError
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Migrations
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError
from streambank.service.outbox import OutboxRelay
from streambank.streams import StreamRunner, StreamsConfig, Topology

MAIL_SETTINGS = NotificationsSettings(sender="alerts@streambank.example")
RESTART_MS_MAX = 30_000
"""Some processes are back before their sessions are over, some after."""

FRAILTIES = (0.3, 1.0, 1.0, 3.0)
"""Where one process fails often and the others seldom, the others get far enough to suffer from it."""

S = TypeVar("S", bound="Service")


class Machine:
    """What processes share: the time, the log, the disk, and the mail server outside."""

    def __init__(self, chance: Chance, folder: Path) -> None:
        self.chance = chance
        self.folder = folder
        self.clock = SimClock()
        self.trace = Trace()
        self.faults = Faults(chance.of("faults"), self.trace, self.clock)
        self.mail = MailServer()
        self.screening: Screening = chance.of("screening").choice(("limits", "topic"))
        self.log = self.new_log(0)
        self.on_durable: Callable[[], None] = lambda: None
        self.on_pause: Callable[[str], None] = lambda _: None

    def new_log(self, number: int) -> EmbeddedLog:
        """A log in memory, empty."""
        return EmbeddedLog.open(
            None,
            clock=self.clock.wall,
            monotonic_ms=self.clock.sessions,
            random_bytes=self.chance.of(f"log {number}").randbytes,
            background_cleaning=False,
        )


class Process:
    """A process. ``life`` is None while it does not run."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self.life: Life | None = None
        self.busy_until_ms = 0
        self._lives = 0
        self._frailty = machine.chance.of(f"{name} frailty").choice(FRAILTIES)
        self._log: SimLog | None = None

    @property
    def is_up(self) -> bool:
        return self.life is not None

    def start(self) -> None:
        """Begin a new life. It may end at once."""
        machine = self.machine
        self._lives += 1
        life = self.life = Life(self.name, machine.faults, self._frailty, lambda who: machine.on_pause(who))
        self._log = SimLog(machine.log, life, lambda: machine.on_durable())
        random = machine.chance.of(f"{self.name} {self._lives}")
        machine.trace.add(machine.clock.monotonic(), self.name, "start")
        self.guarded(lambda: self.make(life, random))

    def step(self) -> int:
        """One round of its work; how much was done."""
        done = self.guarded(self.work)
        return done or 0

    def guarded(self, work: Callable[[], Any]) -> Any:
        """What ``work`` returns; None if the process, or what it was at, did not survive it."""
        try:
            return work()
        except CrashedError:
            self.end(noticed=self.machine.faults.random.random() < 0.5)
        except (DatabaseBusyError, DatabaseUnavailableError):
            self.on_outage()
        except StorageFullError:
            # Nothing handles it: the process ends and is started again.
            self.end(noticed=True)
        return None

    def on_outage(self) -> None:
        """Its database failed it: what its workers do then (see :mod:`streambank.service.workers`)."""
        self.stop()

    def stop(self) -> None:
        """End as one does who is asked to."""
        if self.life is not None:
            self.machine.trace.add(self.machine.clock.monotonic(), self.name, "stop")
            self.guarded(self.leave)
        self.end(noticed=True)

    def end(self, *, noticed: bool) -> None:
        """Nothing of it is left but what it wrote."""
        life, log = self.life, self._log
        if life is None or log is None:
            return
        life.alive = False
        self.forget()
        log.end(noticed=noticed)
        self.life = self._log = None
        wait_ms = self.machine.faults.random.randrange(RESTART_MS_MAX)
        self.busy_until_ms = self.machine.clock.monotonic() + wait_ms

    def make(self, life: Life, random: Random) -> None:
        """Make all objects from what is on the disk."""
        raise NotImplementedError

    def work(self) -> int:
        raise NotImplementedError

    def leave(self) -> None:
        raise NotImplementedError

    def forget(self) -> None:
        """Release what the operating system would."""

    @property
    def log(self) -> SimLog:
        assert self._log is not None
        return self._log


class TopologyProcess(Process):
    """A topology, as :class:`streambank.cli.roles.TopologyRole` runs it."""

    def __init__(self, machine: Machine, name: str, number: int, build: Callable[[], Topology]) -> None:
        super().__init__(machine, f"{name}-{number}")
        self._application = name
        self._build = build
        self._runner: StreamRunner | None = None

    def make(self, life: Life, random: Random) -> None:
        config = StreamsConfig(application_id=self._application, on_error="dead-letter", storage_retry_s=0.001)
        clock = self.machine.clock
        self._runner = StreamRunner(self._build(), self.log, config, monotonic_ms=clock.monotonic, clock=clock.wall)

    def work(self) -> int:
        assert self._runner is not None
        return self._runner.step(0.0)

    def leave(self) -> None:
        if self._runner is not None:
            self._runner.close()

    def forget(self) -> None:
        self._runner = None


class Service(Protocol):
    """What every service has."""

    relay: OutboxRelay

    def step(self) -> int: ...

    def close(self) -> None: ...


class ServiceProcess(Process, Generic[S]):
    """A service with its database.

    ``publishes_first``: what it did is in the log before it says so (``http.write(..., in_order=True)``).
    """

    publishes_first = False

    def __init__(self, machine: Machine, name: str, number: int, histories: tuple[Migrations, ...]) -> None:
        super().__init__(machine, f"{name}-{number}")
        self.service_name = name
        self._where = machine.folder / f"{name}.db"
        self._histories = histories
        self.database: SimDatabase | None = None
        self.service: S | None = None

    def make(self, life: Life, random: Random) -> None:
        # Migrated once: that takes longer than all else that a start does.
        database = SimDatabase.open(self._where, *self._histories, create=not self._where.exists())
        assert isinstance(database, SimDatabase)
        self.database = database
        database.life = life
        self.service = self.new_service(database, life, random)

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> S:
        raise NotImplementedError

    def work(self) -> int:
        assert self.service is not None
        return self.service.step()

    def on_outage(self) -> None:
        if self.service is None:
            # It was not made yet: the process does not start.
            self.end(noticed=True)
        else:
            self.guarded_close()

    def guarded_close(self) -> None:
        """Its workers end, and begin again with the next step."""
        assert self.service is not None
        try:
            self.service.close()
        except (CrashedError, StorageFullError):
            self.end(noticed=True)

    def leave(self) -> None:
        if self.service is not None:
            self.service.close()

    def forget(self) -> None:
        if self.database is not None:
            self.database.close()
        self.database = self.service = None


class Users(ServiceProcess[UsersService]):
    """The users service."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(machine, "users", number, users_models.DATABASE)

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> UsersService:
        settings = UsersSettings(password_parameters=CHEAP)
        clock = self.machine.clock.wall
        return UsersService(self.log, database, settings, clock=clock, random_bytes=random.randbytes)


class Transactions(ServiceProcess[TransactionsService]):
    """The transactions service."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(machine, "transactions", number, transactions_models.DATABASE)

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> TransactionsService:
        clock = self.machine.clock.wall
        return TransactionsService(self.log, database, clock=clock, random_bytes=random.randbytes)


class Payments(ServiceProcess[PaymentsService]):
    """The payments service."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(machine, "payments", number, payments_models.DATABASE)

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> PaymentsService:
        clock = self.machine.clock.wall
        settings = PaymentsSettings(screening=self.machine.screening)
        return PaymentsService(self.log, database, settings, clock=clock, random_bytes=random.randbytes)


class Personalization(ServiceProcess[PersonalizationService]):
    """The personalization service."""

    publishes_first = True

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(machine, "personalization", number, personalization_models.DATABASE)

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> PersonalizationService:
        clock = self.machine.clock.wall
        return PersonalizationService(self.log, database, clock=clock, random_bytes=random.randbytes)


class Views(ServiceProcess[ViewsService]):
    """The views service."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(machine, "views", number, views_models.DATABASE)

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> ViewsService:
        clock = self.machine.clock.wall
        return ViewsService(self.log, database, clock=clock, random_bytes=random.randbytes)


class Notifications(ServiceProcess[NotificationsService]):
    """The notifications service and its connection to the mail server."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(machine, "notifications", number, notifications_models.DATABASE)
        self._mailer: SimMailer | None = None

    def new_service(self, database: SimDatabase, life: Life, random: Random) -> NotificationsService:
        self._mailer = mailer = SimMailer(self.machine.mail, life, self.machine.clock.sessions)
        database.on_commit = mailer.recorded
        return NotificationsService(
            self.log,
            database,
            mailer,
            MAIL_SETTINGS,
            clock=self.machine.clock.wall,
            random=random.random,
            random_bytes=random.randbytes,
        )

    def guarded_close(self) -> None:
        self._lose_mail()
        super().guarded_close()

    def forget(self) -> None:
        self._lose_mail()
        self._mailer = None
        super().forget()

    def _lose_mail(self) -> None:
        if self._mailer is not None:
            self._mailer.lost()
