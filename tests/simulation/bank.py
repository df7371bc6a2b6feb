"""How people reach the bank: one of the processes that are up answers, or the answer is lost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, select
from tests.simulation.faults import CrashedError
from tests.simulation.processes import Machine, Process, ServiceProcess, Users

from streambank.log import TopicPartition
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError
from streambank.service.http import idempotency
from streambank.service.http.answers import Answer
from streambank.service.http.idempotency import KeyedRequest
from streambank.service.http.problems import Problem
from streambank.service.outbox import outbox_group, outbox_topic
from streambank.service.tables import SERVICE_STATE

LOOKS_MAX = 5
"""How often somebody looks whether something is published, before they give up."""

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
                written = connection.execute(select(SERVICE_STATE.c.outbox_last_id)).scalar_one()
            if process.publishes_first:
                self._wait_published(process, written)
            return Answered(msgspec.json.decode(rendered.body) if rendered.body else None)

        return self._answered(kind, ask)

    def _wait_published(self, process: ServiceProcess[Any], written: int) -> None:
        """The process publishes meanwhile, as its worker would. Raises NoAnswerError if it does not come to that."""
        for _ in range(LOOKS_MAX):
            if process.is_up and self._published(process) >= written:
                return
            if process.is_up:
                process.guarded(lambda: process.service.relay.step())  # type: ignore[union-attr]
        raise NoAnswerError

    def _published(self, process: ServiceProcess[Any]) -> int:
        kept = self._machine.log.committed(outbox_group(process.service_name))
        position = kept.get(TopicPartition(outbox_topic(process.service_name), 0))
        return 0 if position is None else int(position.metadata.rpartition(" ")[2])

    def read(self, kind: type[P], work: Callable[[Any, Connection], Answer]) -> Answered:
        """Ask a service for what is there. Raises NoAnswerError."""

        def ask(process: P) -> Answered:
            assert process.service is not None
            assert process.database is not None
            with process.database.read() as connection:
                rendered = work(process.service, connection).render()
            return Answered(msgspec.json.decode(rendered.body))

        return self._answered(kind, ask)

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
