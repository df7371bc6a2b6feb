"""The database of the tests, in one place, and the service on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.users.support import World

from streambank.bank.users import DATABASE
from streambank.service.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "users.db", *DATABASE)
    yield database
    database.close()


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    world = World(database)
    yield world
    world.close()
