"""Write transactions that share one commit: those that arrive while the disk is busy go into the next one together.

1. Wait for a piece of work, and take what else has arrived, up to ``BATCH_WORKS_MAX``.
2. Begin one database transaction, and run each piece in it; pieces of a kind that can be done together, together.
3. Commit: one disk flush for all. Only then does each caller get its result.
4. Where a piece raises, all of it is rolled back and run again with a savepoint around each piece, so that one that
   raises leaves nothing and harms no other. Most requests succeed, and savepoints cost a tenth of the time.
5. Where the database itself fails, each piece is run again in a transaction of its own; but where it cannot be reached
   any more nobody knows what it has stored, and every caller is told so.

A durable commit takes as long for one row as for a hundred. With many clients at once the rate is that of the work
itself; a client alone waits for nobody.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from streambank.errors import check
from streambank.service.database import Database
from streambank.service.errors import DatabaseBusyError, DatabaseUnavailableError, OverloadedError

logger = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")

Together: TypeAlias = Callable[[Connection, Sequence[T]], Sequence[R | Exception]]
"""Does many pieces of one kind at once, in fewer statements than one by one; their results, in order. A piece that
cannot be done has its error as its result, and has left nothing. What it raises counts for all."""

BATCH_WORKS_MAX = 100
"""Works that share a commit. More would make the first of them wait longer than they save the last."""

QUEUE_WORKS_MAX = 2_000
"""Works that may wait: some seconds' worth. Beyond that an answer comes too late to be of use, so it is refused."""


@dataclass(frozen=True, slots=True)
class _Job(Generic[T, R]):
    together: Together[T, R]
    item: T
    future: "Future[R] | asyncio.Future[R]"

    def begin(self) -> bool:
        """Whether its caller is still there."""
        future = self.future
        return not future.cancelled() if isinstance(future, asyncio.Future) else future.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """Commits the works of many threads or tasks from one thread of its own. Whoever made it closes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Its bound is kept as works are put in: a queue that keeps it itself costs each of them two locks.
        self._queue: queue.SimpleQueue[_Job[Any, Any] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Run ``work`` within a write transaction; the future has its result once that is durable.

        What ``work`` raises comes through the future, and nothing that it did stays. It must be quick, since others
        wait behind it, and do nothing but use the connection: it may be rolled back and run again.

        Raises:
            OverloadedError: too many wait already, or this is closed.
        """
        return self.submit_together(_one_by_one, work)

    def submit_together(self, together: Together[T, R], item: T) -> "Future[R]":
        """:meth:`submit` for a piece that is done together with all others of its kind that wait."""
        future: Future[R] = Future()
        self._put(_Job(together, item, future))
        return future

    async def run(self, work: Callable[[Connection], T]) -> T:
        """:meth:`submit`, awaited."""
        return await self.run_together(_one_by_one, work)

    async def run_together(self, together: Together[T, R], item: T) -> R:
        """:meth:`submit_together`, awaited."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._put(_Job(together, item, future))
        return await future

    def _put(self, job: _Job[Any, Any]) -> None:
        if self._closed:
            raise OverloadedError("the service is stopping: send the request again")
        if self._queue.qsize() >= QUEUE_WORKS_MAX:
            raise OverloadedError(f"{QUEUE_WORKS_MAX} changes wait to be stored already: try again in a while")
        self._queue.put(job)

    def close(self) -> None:
        """Commit what waits, and end the thread. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        stopping = False
        while not stopping:
            jobs = [self._queue.get()]
            while len(jobs) < BATCH_WORKS_MAX:
                try:
                    jobs.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            stopping = None in jobs
            # A caller that went away before its work began gets nothing done.
            self._commit([job for job in jobs if job is not None and job.begin()])

    def _commit(self, jobs: Sequence[_Job[Any, Any]]) -> None:
        if not jobs:
            return
        failure: Exception | None = None
        for attempt in (_all_of, _each_by_itself) if len(jobs) > 1 else (_all_of,):
            try:
                with self._database.begin() as connection:
                    outcomes = attempt(connection, jobs)
            except (DatabaseBusyError, DatabaseUnavailableError) as error:
                # It may have been stored: done again here it could be done twice.
                _settle(jobs, [_Outcome(error=error)] * len(jobs))
                return
            except Exception as error:
                failure = error
            else:
                _settle(jobs, outcomes)
                return
        if len(jobs) == 1:
            _settle(jobs, [_Outcome(error=failure)])
            return
        logger.warning("a group of changes could not be stored", count=len(jobs), error=type(failure).__name__)
        for job in jobs:
            self._commit([job])


def _settle(jobs: Sequence[_Job[Any, Any]], outcomes: Sequence[_Outcome]) -> None:
    # One call for all who wait in an event loop: each call wakes it, and it and this thread then wait for each other.
    awaited: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        if isinstance(job.future, asyncio.Future):
            awaited.setdefault(job.future.get_loop(), []).append((job.future, outcome))
        else:
            _tell(job.future, outcome)
    for loop, told in awaited.items():
        # Where it is closed nobody waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell_all, told)


def _tell_all(told: Sequence[tuple["asyncio.Future[Any]", _Outcome]]) -> None:
    for future, outcome in told:
        if not future.cancelled():
            _tell(future, outcome)


def _tell(future: "Future[Any] | asyncio.Future[Any]", outcome: _Outcome) -> None:
    if outcome.error is None:
        future.set_result(outcome.result)
    else:
        future.set_exception(outcome.error)


def _one_by_one(connection: Connection, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
    return [work(connection) for work in works]


def _all_of(connection: Connection, jobs: Sequence[_Job[Any, Any]]) -> list[_Outcome]:
    kinds: dict[Together[Any, Any], list[int]] = {}
    for index, job in enumerate(jobs):
        kinds.setdefault(job.together, []).append(index)
    outcomes: dict[int, _Outcome] = {}
    for together, indexes in kinds.items():
        results = together(connection, [jobs[index].item for index in indexes])
        check(len(results) == len(indexes), "a result for each piece")
        outcomes.update(zip(indexes, map(_outcome, results), strict=True))
    return [outcomes[index] for index in range(len(jobs))]


def _each_by_itself(connection: Connection, jobs: Sequence[_Job[Any, Any]]) -> list[_Outcome]:
    return [_attempt(connection, job) for job in jobs]


def _outcome(result: Any) -> _Outcome:
    return _Outcome(error=result) if isinstance(result, Exception) else _Outcome(result)


def _attempt(connection: Connection, job: _Job[Any, Any]) -> _Outcome:
    try:
        with connection.begin_nested():
            [result] = job.together(connection, [job.item])
        return _outcome(result)
    except (IntegrityError, DataError) as error:
        return _Outcome(error=error)
    except DBAPIError:
        # The database may have ended the whole transaction, as SQLite does when the disk is full: what others did in it
        # is gone, and what comes next would be outside of it.
        raise
    except Exception as error:
        return _Outcome(error=error)
