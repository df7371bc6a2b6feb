"""The database that the service's tests run on, in one place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.transactions.support import Bench, made


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Where the service's database is, for ``Database.open``."""
    return tmp_path / "transactions.db"


@pytest.fixture
def bench(tmp_path: Path, where: Path) -> Iterator[Bench]:
    """A service that knows Ada, Bob and Cleo."""
    with made(tmp_path, where, "ada", "bob", "cleo") as bench:
        yield bench
