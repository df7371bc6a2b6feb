"""The database that the service's tests run on, in one place: SQLite and PostgreSQL.

Tables are made once: a file of SQLite is then copied for each test, and a database of PostgreSQL serves as a template.
"""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy.engine import URL
from tests.bank.transactions.support import Bench, made
from tests.postgres import PostgresServer

from streambank.bank.transactions.models import DATABASE
from streambank.service.database import Database

NewDatabase: TypeAlias = Callable[[], Path | URL]
"""Makes a database with all tables and nothing in them, and says where it is."""


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "transactions.db"
    Database.open(path, *DATABASE).close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> Iterator[URL]:
    url = postgres.create_database()
    Database.open(url, *DATABASE).close()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_databases(empty_file: Path, tmp_path: Path) -> NewDatabase:
    numbers = count(1)

    def new() -> Path:
        return Path(shutil.copy(empty_file, tmp_path / f"transactions-{next(numbers)}.db"))

    return new


@pytest.fixture
def postgres_databases(postgres: PostgresServer, postgres_template: URL) -> Iterator[NewDatabase]:
    there: list[URL] = []

    def new() -> URL:
        name = f"{postgres_template.database}_{len(there) + 1}"
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template.database}")
        there.append(postgres_template.set(database=name))
        return there[-1]

    yield new
    for url in there:
        postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """Makes databases; each test that uses it runs on both kinds."""
    kind = "sqlite_databases" if request.param == "sqlite" else "postgres_databases"
    return request.getfixturevalue(kind)  # type: ignore[no-any-return]


@pytest.fixture
def where(new_database: NewDatabase) -> Path | URL:
    """Where the service's database is, for ``Database.open``."""
    return new_database()


@pytest.fixture
def bench(tmp_path: Path, where: Path | URL) -> Iterator[Bench]:
    """A service that knows Ada, Bob and Cleo."""
    with made(tmp_path, where, "ada", "bob", "cleo") as bench:
        yield bench
