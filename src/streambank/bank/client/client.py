"""The API as Python objects."""

import os
import time
from types import TracebackType
from typing import Self

import httpx

from streambank.bank.client.accounts import Accounts
from streambank.bank.client.budgets import Budgets
from streambank.bank.client.categories import Categories
from streambank.bank.client.connection import ApiConnection, Patience, Sleep
from streambank.bank.client.credentials import Credentials
from streambank.bank.client.goals import Goals
from streambank.bank.client.imports import Imports
from streambank.bank.client.limits import Limits
from streambank.bank.client.payments import Payments
from streambank.bank.client.rules import Rules
from streambank.bank.client.thresholds import Thresholds
from streambank.bank.client.transactions import Transactions
from streambank.bank.client.users import Users
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes

DEFAULT_URL = "http://127.0.0.1:8080"


class Client:
    """The services of one bank, for one user. A context manager; may be shared by threads.

    Access tokens, Idempotency-Keys, ETags, retries and pages are its own business. What changes something that has
    versions takes it as it was read, and is refused where somebody else was faster. Methods raise
    :class:`~streambank.bank.client.errors.ApiError` where the server refuses,
    :class:`~streambank.bank.client.errors.NotLoggedInError`, and
    :class:`~streambank.bank.client.errors.UnreachableError`.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        credentials: Credentials | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
        sleep: Sleep = time.sleep,
        patience: Patience | None = None,
    ) -> None:
        """Nothing is sent before the first call. Without ``credentials`` only signing up and the like can be done.

        Raises:
            ClientError: ``base_url`` is no address of a server.
        """
        self._connection = ApiConnection(
            base_url,
            credentials,
            transport=transport,
            clock=clock,
            random_bytes=random_bytes,
            sleep=sleep,
            patience=patience,
        )
        self._make_parts(fresh=False)

    def _make_parts(self, *, fresh: bool) -> None:
        connection = self._connection
        self.users = Users(connection, fresh=fresh)
        self.accounts = Accounts(connection, fresh=fresh)
        self.transactions = Transactions(connection, fresh=fresh)
        self.categories = Categories(connection, fresh=fresh)
        self.rules = Rules(connection, fresh=fresh)
        self.imports = Imports(connection, fresh=fresh)
        self.thresholds = Thresholds(connection, fresh=fresh)
        self.budgets = Budgets(connection, fresh=fresh)
        self.goals = Goals(connection, fresh=fresh)
        self.limits = Limits(connection, fresh=fresh)
        self.payments = Payments(connection, fresh=fresh)

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._connection.base_url

    @property
    def fresh(self) -> Self:
        """This client, but each read waits until its service has seen what this client wrote to other services.

        Connections and tokens are the same ones.
        """
        fresh = object.__new__(type(self))
        fresh._connection = self._connection
        fresh._make_parts(fresh=True)
        return fresh

    def log_in(self) -> str:
        """Get an access token now, to see whether the credentials are good; what it may be used for, as in OAuth."""
        self._connection.tokens.get()
        return self._connection.tokens.scope

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
