"""A bank that runs once for all tests of this folder; each takes people of its own."""

from collections.abc import Iterator
from itertools import count

import pytest
from tests.bank.client.bank import Bank, running_bank

from streambank.bank.client import Client

_NUMBERS = count()


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with running_bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@pytest.fixture
def email() -> str:
    return f"ada{next(_NUMBERS)}@example.org"


@pytest.fixture
def ada(bank: Bank, email: str) -> Iterator[Client]:
    """Somebody who has signed up, answered the mail and logged in."""
    bank.sign_up(email, "Ada")
    with bank.client(email) as client:
        yield client
