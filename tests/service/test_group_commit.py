"""Works that share a commit: each has its own result, and one that fails harms no other."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError
from tests.postgres import Databases
from tests.service.support import ROWS, open_database, rows

from streambank.log.embedded import EmbeddedLog
from streambank.service import group_commit
from streambank.service.database import Database
from streambank.service.errors import DatabaseUnavailableError, OverloadedError
from streambank.service.group_commit import GroupCommit


@pytest.fixture
def database(any_database: Databases) -> Iterator[Database]:
    with EmbeddedLog.open(None) as log, closing(open_database(any_database("service"), log)) as database:
        yield database


@pytest.fixture
def commits(database: Database) -> Iterator[GroupCommit]:
    commits = GroupCommit(database)
    yield commits
    commits.close()


def add(n: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(insert(ROWS).values(n=n))
        return n * 10

    return work


class Gate:
    """Holds the committing thread, so that what is submitted meanwhile waits and goes together."""

    def __init__(self, commits: GroupCommit) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        self._first = commits.submit(self._hold)
        assert self._entered.wait(10)

    def _hold(self, _: Connection) -> None:
        self._entered.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()
        self._first.result(10)


def test_each_gets_its_result_once_it_is_stored(database: Database, commits: GroupCommit) -> None:
    future = commits.submit(add(7))
    assert future.result(10) == 70
    assert rows(database) == [7]


def test_what_waits_goes_into_one_commit(database: Database, commits: GroupCommit) -> None:
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1

    gate = Gate(commits)
    futures = [commits.submit(add(n)) for n in range(50)]
    database.after_commit(counted)
    gate.open()
    assert [future.result(10) for future in futures] == [n * 10 for n in range(50)]
    assert rows(database) == list(range(50))
    assert count == 2  # the gate's and the others'


def test_one_that_raises_leaves_nothing_and_harms_no_other(database: Database, commits: GroupCommit) -> None:
    def half(connection: Connection) -> None:
        connection.execute(insert(ROWS).values(n=99))
        raise ValueError("half done")

    gate = Gate(commits)
    before, failing, after = commits.submit(add(1)), commits.submit(half), commits.submit(add(2))
    gate.open()
    with pytest.raises(ValueError, match="half done"):
        failing.result(10)
    assert (before.result(10), after.result(10)) == (10, 20)
    assert rows(database) == [1, 2]


class Adding:
    """Adds numbers together, but for 13, which it refuses, and 500, which it fails on."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, connection: Connection, numbers: Sequence[int]) -> list[int | Exception]:
        self.calls.append(list(numbers))
        taken = [n for n in numbers if n != 13]
        if taken:
            connection.execute(insert(ROWS), [{"n": n} for n in taken])
        if 500 in numbers:
            raise RuntimeError("500 of all numbers")
        return [ValueError("13") if n == 13 else n * 10 for n in numbers]


def test_pieces_of_a_kind_are_done_together(database: Database, commits: GroupCommit) -> None:
    adding, other = Adding(), Adding()
    gate = Gate(commits)
    futures = [commits.submit_together(adding if n % 2 else other, n) for n in range(10)]
    alone = commits.submit(add(99))
    gate.open()
    assert [future.result(10) for future in futures] == [n * 10 for n in range(10)]
    assert alone.result(10) == 990
    assert (adding.calls, other.calls) == ([[1, 3, 5, 7, 9]], [[0, 2, 4, 6, 8]])
    assert sorted(rows(database)) == [*range(10), 99]


def test_a_piece_that_cannot_be_done_keeps_no_other_from_it(database: Database, commits: GroupCommit) -> None:
    adding = Adding()
    gate = Gate(commits)
    futures = [commits.submit_together(adding, n) for n in (1, 13, 2)]
    gate.open()
    with pytest.raises(ValueError, match="13"):
        futures[1].result(10)
    assert (futures[0].result(10), futures[2].result(10)) == (10, 20)
    assert adding.calls == [[1, 13, 2]]
    assert rows(database) == [1, 2]


def test_where_a_kind_fails_each_piece_is_done_by_itself(database: Database, commits: GroupCommit) -> None:
    adding = Adding()
    gate = Gate(commits)
    futures = [commits.submit_together(adding, n) for n in (1, 500, 13, 2)]
    alone = commits.submit(add(3))
    gate.open()
    for future, error in ((futures[1], RuntimeError), (futures[2], ValueError)):
        with pytest.raises(error):
            future.result(10)
    assert (futures[0].result(10), futures[3].result(10), alone.result(10)) == (10, 20, 30)
    assert adding.calls == [[1, 500, 13, 2], [1], [500], [13], [2]]
    assert sorted(rows(database)) == [1, 2, 3]


def test_where_the_database_ends_the_transaction_only_who_did_it_fails(
    database: Database, commits: GroupCommit
) -> None:
    def as_a_full_disk(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("SELECT * FROM nowhere")

    gate = Gate(commits)
    before = commits.submit(add(1))
    failing = commits.submit(as_a_full_disk)
    after = commits.submit(add(2))
    gate.open()
    with pytest.raises(DBAPIError):
        failing.result(10)
    assert (before.result(10), after.result(10)) == (10, 20)
    assert rows(database) == [1, 2]


def test_a_commit_that_fails_is_told(database: Database, commits: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def full() -> Iterator[Connection]:
        with database.read() as connection:
            yield connection
            raise OSError("disk full")

    monkeypatch.setattr(database, "begin", full)
    with pytest.raises(OSError, match="disk full"):
        commits.submit(lambda connection: 1).result(10)
    monkeypatch.undo()
    assert commits.submit(add(3)).result(10) == 30


def test_what_may_have_been_stored_is_not_done_again(
    database: Database, commits: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, broken = database.begin, threading.Event()

    @contextmanager
    def breaks_after_the_commit() -> Iterator[Connection]:
        with begin() as connection:
            yield connection
        if broken.is_set():
            raise DatabaseUnavailableError("the connection broke")

    monkeypatch.setattr(database, "begin", breaks_after_the_commit)
    gate = Gate(commits)
    futures = [commits.submit(add(n)) for n in (1, 2)]
    broken.set()
    with pytest.raises(DatabaseUnavailableError):
        gate.open()
    for future in futures:
        with pytest.raises(DatabaseUnavailableError):
            future.result(10)
    assert rows(database) == [1, 2]


def test_a_work_that_was_cancelled_is_not_done(database: Database, commits: GroupCommit) -> None:
    gate = Gate(commits)
    future = commits.submit(add(1))
    assert future.cancel()
    gate.open()
    commits.close()
    assert rows(database) == []


async def test_who_awaits_gets_what_came_of_it(database: Database, commits: GroupCommit) -> None:
    def failing(_: Connection) -> int:
        raise ValueError("not this one")

    gate = Gate(commits)
    works = [asyncio.ensure_future(commits.run(work)) for work in (add(1), failing, add(2), add(3))]
    await asyncio.sleep(0)
    works[2].cancel()  # Its work has not begun.
    await asyncio.sleep(0)
    gate.open()
    one, failed, cancelled, two = await asyncio.gather(*works, return_exceptions=True)
    assert (one, two, rows(database)) == (10, 30, [1, 3])
    assert isinstance(failed, ValueError)
    assert isinstance(cancelled, asyncio.CancelledError)


async def test_who_goes_away_while_it_is_done_harms_nobody(database: Database, commits: GroupCommit) -> None:
    entered, opened = threading.Event(), threading.Event()

    def held(connection: Connection) -> int:
        entered.set()
        assert opened.wait(10)
        return add(1)(connection)

    work = asyncio.ensure_future(commits.run(held))
    await asyncio.to_thread(entered.wait, 10)
    work.cancel()
    await asyncio.wait([work])
    opened.set()
    assert await commits.run(add(2)) == 20
    assert (work.cancelled(), rows(database)) == (True, [1, 2])


def test_a_loop_that_is_closed_meanwhile_harms_nobody(database: Database, commits: GroupCommit) -> None:
    gate = Gate(commits)
    loop = asyncio.new_event_loop()
    work = loop.create_task(commits.run(add(1)))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gate.open()
    assert commits.submit(add(2)).result(10) == 20
    assert (work.done(), rows(database)) == (False, [1, 2])


def test_too_many_are_refused(commits: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(commits)
    futures = [commits.submit(add(n)) for n in range(group_commit.QUEUE_WORKS_MAX)]
    with pytest.raises(OverloadedError, match="try again"):
        commits.submit(add(0))
    gate.open()
    assert len([future.result(10) for future in futures]) == group_commit.QUEUE_WORKS_MAX


def test_closing_commits_what_waits_and_refuses_more(database: Database, commits: GroupCommit) -> None:
    gate = Gate(commits)
    future = commits.submit(add(1))
    closing = threading.Thread(target=commits.close)
    closing.start()
    gate.open()
    closing.join(10)
    assert future.result(0) == 10
    assert rows(database) == [1]
    with pytest.raises(OverloadedError, match="stopping"):
        commits.submit(add(2))
    commits.close()
