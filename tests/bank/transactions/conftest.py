"""The database that the service's tests run on, in one place."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.transactions.support import Bench, made

from streambank.bank.transactions.models import DATABASE
from streambank.service.database import Database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and nothing in them: to migrate one for each test would take longer than the tests."""
    path = tmp_path_factory.mktemp("empty") / "transactions.db"
    Database.open(path, *DATABASE).close()
    return path


@pytest.fixture
def where(tmp_path: Path, empty_database: Path) -> Path:
    """Where the service's database is, for ``Database.open``."""
    path = tmp_path / "transactions.db"
    shutil.copy(empty_database, path)
    return path


@pytest.fixture
def bench(tmp_path: Path, where: Path) -> Iterator[Bench]:
    """A service that knows Ada, Bob and Cleo."""
    with made(tmp_path, where, "ada", "bob", "cleo") as bench:
        yield bench
