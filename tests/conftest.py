"""What the tests of every part share: a PostgreSQL server, and databases of both kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL
from tests.postgres import Databases, PostgresServer, postgres_or_skip

from streambank.service.postgres import with_schema


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this process."""
    with postgres_or_skip() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[URL]:
    """A new database on the server, gone after the test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Databases:
    """Names databases of either kind: files of SQLite, or schemas of a PostgreSQL database."""
    if request.param == "sqlite":
        return lambda name: tmp_path / f"{name}.db"
    url: URL = request.getfixturevalue("postgres_url")
    return lambda name: with_schema(url, name)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the program does."""
    return "asyncio"
