"""What a program shows to get access tokens: a refresh token, an API key, or once a password.

Access tokens are good for some minutes and are kept in memory only. No credential is part of a repr.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from streambank.bank.users.schemas import TokenAnswer

PROGRAM = "streambank-cli"
"""The program as which people log in here: one of the bank's own, which may take passwords."""

Ask: TypeAlias = Callable[[Mapping[str, str]], TokenAnswer]
"""Sends a form to the token endpoint. Raises ApiError, NotLoggedInError or UnreachableError."""


class Credentials(Protocol):
    """Gets access tokens. May be called by several threads, one at a time."""

    def get_token(self, ask: Ask) -> TokenAnswer:
        """An access token. What else is in the answer, such as the next refresh token, is kept before this returns."""


@dataclass(slots=True)
class RefreshToken:
    """A refresh token. It is good once: :attr:`token` is always the latest, and older ones are worth nothing."""

    token: str = field(repr=False)

    def get_token(self, ask: Ask) -> TokenAnswer:
        """Trade the refresh token for an access token and the next refresh token."""
        answer = ask({"grant_type": "refresh_token", "client_id": PROGRAM, "refresh_token": self.token})
        self.token = answer.refresh_token or self.token
        return answer


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A personal API key."""

    key_id: str
    secret: str = field(repr=False)

    def get_token(self, ask: Ask) -> TokenAnswer:
        """Show the key."""
        return ask({"grant_type": "client_credentials", "client_id": self.key_id, "client_secret": self.secret})


@dataclass(slots=True)
class Password:
    """An address and its password, which is shown once; :attr:`refresh_token` takes its place."""

    email: str
    password: str | None = field(repr=False)
    scope: str | None = None
    refresh_token: str | None = field(default=None, repr=False)

    def get_token(self, ask: Ask) -> TokenAnswer:
        """Log in; after that, go on with the refresh token that came of it."""
        if self.refresh_token is not None:
            going_on = RefreshToken(self.refresh_token)
            answer = going_on.get_token(ask)
            self.refresh_token = going_on.token
            return answer
        form = {
            "grant_type": "password",
            "client_id": PROGRAM,
            "username": self.email,
            "password": self.password or "",
            **({"scope": self.scope} if self.scope is not None else {}),
        }
        answer = ask(form)
        self.refresh_token = answer.refresh_token
        # Nothing needs it any more, and what is not there cannot leak.
        self.password = None
        return answer
