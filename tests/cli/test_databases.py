"""Where the services' databases are, and the whole bank with them on PostgreSQL."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url
from tests.cli.support import ANY_PORTS, alerts_become_emails, streambank, up

from streambank.bank.notifications.models import DATABASE
from streambank.cli.databases import service_database
from streambank.cli.errors import UsageError
from streambank.cli.folder import DataFolder
from streambank.service.database import Database
from streambank.service.errors import DatabaseUrlError
from streambank.service.outbox import outbox_length
from streambank.service.postgres import with_schema

FOLDER = DataFolder(Path("/data"))


def test_without_a_url_each_service_has_a_file() -> None:
    assert service_database(FOLDER, None, "users") == Path("/data/users.db")
    # A variable that is set to nothing is one that is not set.
    assert service_database(FOLDER, "", "users") == Path("/data/users.db")


def test_with_a_url_each_service_has_a_schema() -> None:
    found = service_database(FOLDER, "postgresql://me:p%40ss@db:5433/bank?sslmode=require", "users")
    assert found == make_url("postgresql://me:p%40ss@db:5433/bank?sslmode=require&schema=users")


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("sqlite:////data/a.db", UsageError, "--data"),
        ("postgresql://db/bank?schema=mine", UsageError, "one of its own"),
        ("oracle://db/bank", DatabaseUrlError, "use postgresql://"),
    ],
)
def test_what_cannot_hold_all_services_is_refused(url: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        service_database(FOLDER, url, "users")


def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    done = streambank(
        *("up", *ANY_PORTS),
        data=tmp_path / "data",
        env={"STREAMBANK_DATABASE": "postgresql://me:hush@127.0.0.1:1/bank"},
    )
    assert done.returncode == 1
    assert "postgresql://me:***@127.0.0.1:1/bank?schema=users cannot be reached" in done.stderr
    assert "See that its server runs" in done.stderr
    assert "hush" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_bank_runs_and_moves_on_postgresql(tmp_path: Path, postgres_url: URL) -> None:
    data, url = tmp_path / "data", postgres_url.set(password="hush").render_as_string(hide_password=False)
    with up(data, "--database", url) as process:
        alerts_become_emails(tmp_path, process)
        process.stop()
        assert "hush" not in process.stdout + process.stderr
    assert not (data / "notifications.db").exists()

    env = {"STREAMBANK_DATABASE": url}
    moved = streambank("migrate", f"embedded:{tmp_path / 'other'}", data=data, env=env)
    assert moved.returncode == 0, moved.stderr
    assert "and 6 databases moved" in moved.stderr
    wrong = streambank("up", *ANY_PORTS, data=data, env=env)
    assert wrong.returncode == 1
    assert "belongs to the log" in wrong.stderr
    with up(data, "--database", url, "--log", f"embedded:{tmp_path / 'other'}") as process:
        process.stop()
    where = with_schema(postgres_url, "notifications")
    with closing(Database.open(where, *DATABASE, create=False)) as database, database.read() as connection:
        states = connection.exec_driver_sql("SELECT state, attempts FROM email").all()
        assert [tuple(row) for row in states] == [("sent", 1)] * 2
        assert outbox_length(database) == 0
