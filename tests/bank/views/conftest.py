"""A service that knows Ada and Bob, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest
from tests.bank.views.support import Bench, made
from tests.postgres import Databases


@pytest.fixture
def bench(any_database: Databases) -> Iterator[Bench]:
    with made(any_database) as bench:
        bench.know("ada")
        bench.know("bob")
        yield bench
