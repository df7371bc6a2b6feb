"""Who is logged in: for each server a refresh token, or an API key, in a file that only its owner may read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from streambank.bank.client import ApiKey, Ask, NotLoggedInError, RefreshToken
from streambank.cli.errors import CommandError
from streambank.cli.filelock import lock

if TYPE_CHECKING:
    from streambank.bank.users.schemas import TokenAnswer


class Login(msgspec.Struct, frozen=True, omit_defaults=True):
    """How somebody is logged in at a server: ``token`` is a refresh token, or the secret of the API key ``key_id``."""

    token: str
    email: str | None = None
    key_id: str | None = None

    def __repr__(self) -> str:
        return f"Login(email={self.email!r}, key_id={self.key_id!r})"


class CredentialsFile:
    """The log-ins by the server's address. Commands that run at once take turns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, server: str) -> Login | None:
        """How somebody is logged in there, if anybody is. Raises CommandError where the file cannot be used."""
        return self._read().get(server)

    def put(self, server: str, login: Login) -> None:
        """Remember a log-in. Raises CommandError."""
        with self.locked():
            self._write({**self._read(), server: login})

    def remove(self, server: str) -> None:
        """Forget a log-in. Raises CommandError."""
        with self.locked():
            left = self._read()
            if left.pop(server, None) is not None:
                self._write(left)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the file meanwhile."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CommandError(f"cannot keep who is logged in in {self._path.parent}: {error.strerror}") from None
        try:
            lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def replace(self, server: str, login: Login) -> None:
        """As :meth:`put`, for who has locked the file."""
        self._write({**self._read(), server: login})

    def _read(self) -> dict[str, Login]:
        try:
            if os.name == "posix" and self._path.stat().st_mode & 0o077:
                raise CommandError(f"{self._path} holds tokens but others may read it: run chmod 600 on it")
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Login])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise CommandError(f"cannot read {self._path}: {error.strerror}") from None
        except msgspec.MsgspecError:
            raise CommandError(f"{self._path} is damaged: delete it, and log in again") from None

    def _write(self, logins: dict[str, Login]) -> None:
        # Written under another name and moved: a token that is good once must not be lost half written.
        made = self._path.with_suffix(".new")
        try:
            with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(logins)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(made, self._path)
        except OSError as error:
            raise CommandError(f"cannot keep who is logged in in {self._path}: {error.strerror}") from None


class StoredCredentials:
    """What is in the file for one server, as the client wants it; the next refresh token is stored at once."""

    def __init__(self, file: CredentialsFile, server: str) -> None:
        self._file = file
        self._server = server

    def get_token(self, ask: Ask) -> TokenAnswer:
        """Get an access token; others wait, since a refresh token that is used twice ends the log-in."""
        with self._file.locked():
            login = self._file.find(self._server)
            if login is None:
                raise NotLoggedInError(f"nobody is logged in at {self._server}")
            if login.key_id is not None:
                return ApiKey(login.key_id, login.token).get_token(ask)
            going_on = RefreshToken(login.token)
            answer = going_on.get_token(ask)
            self._file.replace(self._server, msgspec.structs.replace(login, token=going_on.token))
            return answer
