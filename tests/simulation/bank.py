"""How people reach the bank: one of the processes that are up answers, or the answer is lost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection
from tests.simulation.faults import CrashedError
from tests.simulation.processes import Machine, Process, ServiceProcess, Transactions, Users

from streambank.bank.transactions.service import TransactionsService
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError
from streambank.service.http import idempotency
from streambank.service.http.answers import Answer
from streambank.service.http.idempotency import KeyedRequest
from streambank.service.http.problems import Problem

T = TypeVar("T")
P = TypeVar("P", bound="ServiceProcess[Any]")


class NoAnswerError(Exception):
    """Nobody is there, or the answer was lost: what was asked for may have been done."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: ``problem`` is its kind, where it is one."""

    body: Any
    problem: str | None = None


class Bank:
    """The services as people have them."""

    def __init__(self, machine: Machine, processes: list[Process]) -> None:
        self._machine = machine
        self._processes = processes
        self._random = machine.chance.of("front door")

    def users(self, work: Callable[[Users], T]) -> T:
        """Ask the users service. Raises NoAnswerError, and Problem."""
        return self._ask(Users, work)

    def write(self, kind: type[P], user_id: str, key: str, work: Callable[[Any, Connection], Answer]) -> Answered:
        """Ask a service for a change, once for each ``key``. Raises NoAnswerError."""

        def ask(process: P) -> Answered:
            service, database = process.service, process.database
            assert service is not None
            assert database is not None
            request = KeyedRequest(user_id, key, idempotency.fingerprint("POST", key, b""))
            with database.begin() as connection:
                rendered, _ = idempotency.once(
                    connection, request, self._machine.clock.wall(), lambda c: work(service, c)
                )
            return Answered(msgspec.json.decode(rendered.body))

        return self._answered(kind, ask)

    def read(self, work: Callable[[TransactionsService, Connection], Answer]) -> Answered:
        """Ask the transactions service for what is there. Raises NoAnswerError."""

        def ask(process: Transactions) -> Answered:
            assert process.service is not None
            assert process.database is not None
            with process.database.read() as connection:
                rendered = work(process.service, connection).render()
            return Answered(msgspec.json.decode(rendered.body))

        return self._answered(Transactions, ask)

    def _answered(self, kind: type[P], ask: Callable[[P], Answered]) -> Answered:
        try:
            return self._ask(kind, ask)
        except Problem as problem:
            return Answered(None, problem.slug)

    def _ask(self, kind: type[P], work: Callable[[P], T]) -> T:
        up = [process for process in self._processes if isinstance(process, kind) and process.is_up]
        if not up:
            raise NoAnswerError
        process = self._random.choice(up)
        try:
            return work(process)
        except CrashedError:
            process.end(noticed=self._random.random() < 0.5)
            raise NoAnswerError from None
        except (DatabaseBusyError, DatabaseUnavailableError):
            raise NoAnswerError from None
