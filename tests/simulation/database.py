"""A service's database as one process has it: the file outlives the process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from tests.simulation.faults import Life

from streambank.service.database import Database
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError


class SimDatabase(Database):
    """See :class:`streambank.service.database.Database`. Without a life it is just that."""

    life: Life | None = None
    on_commit: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        life = self.life
        if life is None:
            with super().begin() as connection:
                yield connection
            return
        faults, name = life.faults, life.name
        life.point("database: begin")
        if faults.strikes(faults.rates.database_busy, name, "database busy"):
            raise DatabaseBusyError("held by another for too long, says the simulator")
        life.in_database += 1
        try:
            with super().begin() as connection:
                yield connection
                life.point("database: before commit")
        finally:
            life.in_database -= 1
        if faults.strikes(faults.rates.commit_unknown, name, "commit unknown"):
            raise DatabaseUnavailableError("the connection broke in the commit, says the simulator")
        self.on_commit()
        life.point("database: after commit")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self.life is None:
            with super().read() as connection:
                yield connection
            return
        self.life.point("database: read")
        self.life.in_database += 1
        try:
            with super().read() as connection:
                yield connection
        finally:
            self.life.in_database -= 1
