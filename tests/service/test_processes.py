"""Several processes on one database, which are killed; both kinds of database bear it alike."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert
from tests.postgres import Databases
from tests.service.support import NUMBERS, OUT, ROWS, Number, open_database, read, rows, write

from streambank.log.embedded import EmbeddedLog
from streambank.service.database import database_url
from streambank.service.outbox import outbox_length

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60


@contextmanager
def child(program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process; it is killed in the end, if it still lives."""
    command = [sys.executable, *(["-c", program] if "\n" in program else [program]), *arguments]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def spoken(databases: Databases, name: str) -> str:
    """Where a database is, for another process."""
    return database_url(databases(name)).render_as_string(hide_password=False)


FIRST_START = """
import sys, time
from pathlib import Path
from streambank.bank.notifications.models import DATABASE
from streambank.service.database import Database
print("ready", flush=True)
time.sleep(max(0, float(sys.argv[2]) - time.time()))
database = Database.open(sys.argv[1], *DATABASE)
print(database.bind_log("the log", f"outbox of {sys.argv[3]}"), flush=True)
"""


def test_processes_that_first_start_at_the_same_time(any_database: Databases) -> None:
    where = spoken(any_database, "a")
    at = str(time.time() + 2.0)
    with (
        child(FIRST_START, where, at, "1") as one,
        child(FIRST_START, where, at, "2") as two,
        child(FIRST_START, where, at, "3") as three,
    ):
        processes = (one, two, three)
        assert [line(process) for process in processes] == ["ready"] * 3
        outboxes = [line(process) for process in processes]
        assert [process.wait(DEADLINE_S) for process in processes] == [0, 0, 0]
    assert outboxes[0].startswith("outbox of ")
    assert len(set(outboxes)) == 1


def test_two_processes_of_a_service_killed_in_turn(any_database: Databases, tmp_path: Path) -> None:
    chance = random.Random(5)
    with EmbeddedLog.open(tmp_path / "log") as log:
        log.create_topics([NUMBERS.config, OUT.config])
        database = open_database(any_database("a"), log)
        arguments = (str(Path(__file__).with_name("child.py")), str(tmp_path / "log"), spoken(any_database, "a"))
        written = 0

        def write_some() -> None:
            nonlocal written
            for _ in range(chance.randrange(3, 9)):
                write(log, "numbers", NUMBERS.value.serialize(Number(written)), partition=written % 2)
                written += 1

        for _ in range(3):
            with child(*arguments) as victim, child(*arguments) as other:
                assert [line(victim), line(other)] == ["ready", "ready"]
                write_some()
                wait_until(lambda: len(read(log, "out")) >= written - chance.randrange(6))
                victim.kill()
                write_some()
                # Whoever is left does it all, also what the dead one had begun.
                wait_until(lambda: len(read(log, "out")) >= written and outbox_length(database) == 0)
        assert sorted(rows(database)) == list(range(written))
        published = [OUT.value.deserialize(record.value or b"").n for record in read(log, "out")]
        # In the order in which they were stored; each once.
        assert published == rows(database)
        database.close()


HOLD = """
import sys, time
from sqlalchemy import insert
from tests.service.support import ROWS
from streambank.service.database import Database
with Database.open(sys.argv[1]).begin() as connection:
    connection.execute(insert(ROWS).values(n=-1))
    print("holds", flush=True)
    time.sleep(600)
"""


def test_who_is_killed_in_a_transaction_holds_nobody_up(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        with child(HOLD, spoken(any_database, "a")) as process:
            assert line(process) == "holds"
            process.kill()
            started = time.monotonic()
            with database.begin() as connection:
                connection.execute(insert(ROWS).values(n=1))
            assert time.monotonic() - started < 5
        assert rows(database) == [1]
        database.close()
