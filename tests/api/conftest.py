"""The world that the tests of the whole API play in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.support import World, world_of
from tests.postgres import Databases, PostgresServer

from streambank.bank.payments import models as payments
from streambank.bank.transactions import models as transactions
from streambank.bank.users import models as users
from streambank.service.database import Database
from streambank.service.postgres import with_schema


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases with all tables and nothing in them: making them takes longer than copying."""
    folder = tmp_path_factory.mktemp("empty")
    Database.open(folder / "users.db", *users.DATABASE).close()
    Database.open(folder / "transactions.db", *transactions.DATABASE).close()
    Database.open(folder / "payments.db", *payments.DATABASE).close()
    return folder


@pytest.fixture
def world(tmp_path: Path, empty_files: Path) -> Iterator[World]:
    """On SQLite."""
    shutil.copytree(empty_files, tmp_path / "databases")
    with world_of(lambda name: tmp_path / "databases" / f"{name}.db") as world:
        yield world


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def any_databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Of either kind, for all tests of a module."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("databases")
        yield lambda name: folder / f"{name}.db"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.create_database()
    yield lambda name: with_schema(url, name)
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def still_world(any_databases: Databases) -> Iterator[World]:
    """On SQLite, and on PostgreSQL; for tests that leave it as it is."""
    with world_of(any_databases) as world:
        yield world


@pytest.fixture
def any_world(any_database: Databases) -> Iterator[World]:
    """On SQLite, and on PostgreSQL."""
    with world_of(any_database) as world:
        yield world
