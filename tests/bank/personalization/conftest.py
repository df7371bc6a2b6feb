"""The service on a database of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.personalization.support import Bench, made
from tests.postgres import Databases


@pytest.fixture
def bench(tmp_path: Path, any_database: Databases) -> Iterator[Bench]:
    with made(tmp_path, any_database("personalization")) as bench:
        yield bench
