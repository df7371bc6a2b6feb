"""The world that the tests of the whole API play in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.support import World, world_of
from tests.postgres import Databases

from streambank.bank import transactions, users
from streambank.service.database import Database


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases with all tables and nothing in them: making them takes longer than copying."""
    folder = tmp_path_factory.mktemp("empty")
    Database.open(folder / "users.db", *users.DATABASE).close()
    Database.open(folder / "transactions.db", *transactions.DATABASE).close()
    return folder


@pytest.fixture
def world(tmp_path: Path, empty_files: Path) -> Iterator[World]:
    """On SQLite."""
    shutil.copytree(empty_files, tmp_path / "databases")
    with world_of(lambda name: tmp_path / "databases" / f"{name}.db") as world:
        yield world


@pytest.fixture
def any_world(any_database: Databases) -> Iterator[World]:
    """On SQLite, and on PostgreSQL."""
    with world_of(any_database) as world:
        yield world
