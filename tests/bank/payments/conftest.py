"""The databases of both services, with their tables made once, on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy.engine import URL
from tests.bank.payments.support import Bank, made
from tests.postgres import PostgresServer

from streambank.bank.payments.models import DATABASE as PAYMENTS_DATABASE
from streambank.bank.transactions.models import DATABASE as LEDGER_DATABASE
from streambank.service.database import Database

NewDatabases: TypeAlias = Callable[[], tuple[Path | URL, Path | URL]]
"""Makes the databases of the ledger and of payments, with all tables and nothing in them."""

_TABLES = {"ledger": LEDGER_DATABASE, "payments": PAYMENTS_DATABASE}


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    for name, tables in _TABLES.items():
        Database.open(folder / f"{name}.db", *tables).close()
    return folder


@pytest.fixture(scope="session")
def postgres_templates(postgres: PostgresServer) -> Iterator[dict[str, URL]]:
    urls = {name: postgres.create_database() for name in _TABLES}
    for name, tables in _TABLES.items():
        Database.open(urls[name], *tables).close()
    yield urls
    for url in urls.values():
        postgres.drop_database(url)


@pytest.fixture
def sqlite_databases(empty_files: Path, tmp_path: Path) -> NewDatabases:
    numbers = count(1)

    def new() -> tuple[Path, Path]:
        folder = Path(shutil.copytree(empty_files, tmp_path / f"databases-{next(numbers)}"))
        return folder / "ledger.db", folder / "payments.db"

    return new


@pytest.fixture
def postgres_databases(postgres: PostgresServer, postgres_templates: dict[str, URL]) -> Iterator[NewDatabases]:
    there: list[URL] = []

    def new() -> tuple[URL, URL]:
        made = []
        for template in postgres_templates.values():
            name = f"{template.database}_{len(there) + 1}"
            postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template.database}")
            made.append(template.set(database=name))
            there.append(made[-1])
        return made[0], made[1]

    yield new
    for url in there:
        postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_databases(request: pytest.FixtureRequest) -> NewDatabases:
    """Makes databases; each test that uses it runs on both kinds."""
    kind = "sqlite_databases" if request.param == "sqlite" else "postgres_databases"
    return request.getfixturevalue(kind)  # type: ignore[no-any-return]


@pytest.fixture
def bank(tmp_path: Path, new_databases: NewDatabases) -> Iterator[Bank]:
    """A bank that knows Ada, Bob and Cleo."""
    with made(tmp_path, *new_databases(), "ada", "bob", "cleo") as bank:
        yield bank
