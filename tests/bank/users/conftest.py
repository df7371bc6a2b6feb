"""The database of the tests, in one place, and the service on it.

Tables are made once: a file of SQLite is then copied for each test, and on PostgreSQL the tables are emptied after it.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect
from tests.bank.users.support import World
from tests.postgres import PostgresServer

from streambank.bank.users.models import DATABASE
from streambank.service.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The service's database, with nothing in it: each test on it runs on both kinds."""
    kind = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    return request.getfixturevalue(kind)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users.db"
    Database.open(path, *DATABASE).close()
    return path


@pytest.fixture
def sqlite_database(empty_file: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(empty_file, tmp_path / "users.db")
    database = Database.open(tmp_path / "users.db", *DATABASE, create=False)
    yield database
    database.close()


@pytest.fixture(scope="session")
def shared_postgres_database(postgres: PostgresServer) -> Iterator[Database]:
    url = postgres.create_database()
    database = Database.open(url, *DATABASE)
    yield database
    database.close()
    postgres.drop_database(url)


@pytest.fixture
def postgres_database(shared_postgres_database: Database) -> Iterator[Database]:
    yield shared_postgres_database
    with shared_postgres_database.begin() as connection:
        tables = [name for name in inspect(connection).get_table_names() if not name.endswith("_version")]
        connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)}")


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    world = World(database)
    yield world
    world.close()
