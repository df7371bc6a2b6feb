import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, insert
from tests.postgres import Databases
from tests.service.support import OUTBOX_ID, ROWS, CrashError, add_row, open_database, rows

from streambank.bank.mailbox.models import DATABASE as MAILBOX
from streambank.bank.mailbox.models import METADATA as MAILBOX_TABLES
from streambank.bank.notifications.models import DATABASE as NOTIFICATIONS
from streambank.bank.notifications.models import METADATA as NOTIFICATIONS_TABLES
from streambank.log.embedded import EmbeddedLog
from streambank.service import sqlite
from streambank.service.database import KIT_MIGRATIONS, Database, Migrations
from streambank.service.errors import DatabaseMissingError, DatabaseVersionError, WrongLogError
from streambank.service.tables import KIT


@pytest.mark.parametrize(
    ("histories", "tables"),
    [
        ((KIT_MIGRATIONS,), (KIT,)),
        (NOTIFICATIONS, (KIT, NOTIFICATIONS_TABLES)),
        ((MAILBOX,), (MAILBOX_TABLES,)),
    ],
)
def test_migrations_make_what_the_models_say(
    any_database: Databases, histories: tuple[Migrations, ...], tables: tuple[MetaData, ...]
) -> None:
    database = Database.open(any_database("a"), *histories)
    merged = MetaData()
    for metadata in tables:
        for table in metadata.tables.values():
            table.to_metadata(merged)
    versions = {history.version_table for history in histories}

    def is_ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return not (kind == "table" and name in versions)

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours, "compare_type": True})
        assert compare_metadata(context, merged) == []
    database.close()


def test_opening_twice_keeps_the_rows(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        add_row(database, 7)
        database.close()
        again = open_database(any_database("a"), log)
        assert rows(again) == [7]
        again.close()


def test_settings_of_sqlite_and_of_the_file(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "folder" / "a.db", KIT_MIGRATIONS)
    with database.read() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    database.close()
    assert found == ["wal", 2, 1, 1]
    assert stat.S_IMODE((tmp_path / "folder" / "a.db").stat().st_mode) == 0o600


def test_what_was_deleted_is_in_no_file_after_a_scrub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SCRUB_WAIT_MS", 10)
    database = Database.open(tmp_path / "a.db", KIT_MIGRATIONS)

    def has_it() -> bool:
        return any(b"a secret of somebody" in path.read_bytes() for path in tmp_path.iterdir())

    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE secret (text TEXT)")
        connection.exec_driver_sql("INSERT INTO secret VALUES ('a secret of somebody')")
    assert database.scrub()
    assert has_it()
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM secret")
    assert has_it()
    with database.read() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM secret").scalar() == 0
        with database.begin() as connection:
            connection.exec_driver_sql("INSERT INTO secret VALUES ('nothing')")
        # Who reads an older state needs the write-ahead log.
        assert not database.scrub()
    assert database.scrub()
    assert not has_it()
    database.close()


def test_a_newer_database_is_refused(any_database: Databases) -> None:
    database = Database.open(any_database("a"), KIT_MIGRATIONS)
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE service_version SET version_num = '9999'")
    database.close()
    with pytest.raises(DatabaseVersionError, match="newer streambank"):
        Database.open(any_database("a"), KIT_MIGRATIONS)


def test_looking_needs_an_existing_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError):
        Database.open(tmp_path / "a.db", KIT_MIGRATIONS, create=False)
    assert not (tmp_path / "a.db").exists()


def test_a_block_that_raises_leaves_nothing(any_database: Databases) -> None:
    calls: list[int] = []
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        database.after_commit(lambda: calls.append(1))
        with pytest.raises(CrashError):  # noqa: PT012, SIM117 - the block is what is tested
            with database.begin() as connection:
                connection.execute(insert(ROWS).values(n=1))
                raise CrashError
        assert (rows(database), calls) == ([], [])
        add_row(database, 2)
        assert (rows(database), calls) == ([2], [1])
        database.close()


def test_readers_do_not_wait_for_a_writer(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        with database.begin() as connection:
            connection.execute(insert(ROWS).values(n=1))
            assert rows(database) == []
        assert rows(database) == [1]
        database.close()


def test_a_read_is_one_snapshot(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        with database.read() as connection:
            before = connection.exec_driver_sql("SELECT count(*) FROM rows").scalar_one()
            add_row(database, 1)
            assert (before, connection.exec_driver_sql("SELECT count(*) FROM rows").scalar_one()) == (0, 0)
        assert rows(database) == [1]
        database.close()


def test_writers_of_two_processes_take_turns(any_database: Databases) -> None:
    # Two objects on one file stand for two processes: they share no lock but the file's.
    with EmbeddedLog.open(None) as log:
        databases = [open_database(any_database("a"), log) for _ in range(2)]

        def work(database: Database) -> None:
            for _ in range(20):
                with database.begin() as connection:
                    n = connection.exec_driver_sql("SELECT count(*) FROM rows").scalar_one()
                    connection.execute(insert(ROWS).values(n=n))

        threads = [threading.Thread(target=work, args=(database,)) for database in databases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rows(databases[0]) == list(range(40))
        for database in databases:
            database.close()


def test_a_database_belongs_to_one_log(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log, EmbeddedLog.open(None) as other:
        database = open_database(any_database("a"), log)
        assert database.bind_log(log.log_id, "another") == OUTBOX_ID
        with pytest.raises(WrongLogError, match=other.log_id):
            database.bind_log(other.log_id, "another")
        database.close()
