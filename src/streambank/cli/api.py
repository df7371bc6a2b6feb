"""What the commands have in common that are thin clients of the API."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from cyclopts import Parameter

from streambank.cli.errors import CommandError, UsageError
from streambank.cli.folder import DataFolder, DataOption, data_folder

if TYPE_CHECKING:
    from iso4217 import Currency
    from pydantic import BaseModel

    from streambank.bank.client import Client, Credentials, Versioned
    from streambank.bank.transactions.schemas import AccountView, CategoryView
    from streambank.cli.credentials import CredentialsFile

    M = TypeVar("M", bound=BaseModel)

SERVER_VARIABLE = "STREAMBANK_SERVER"
DEFAULT_SERVER = "http://127.0.0.1:8080"

ServerOption: TypeAlias = Annotated[
    str,
    Parameter(name="--server", env_var=SERVER_VARIABLE, help="The bank's address."),
]


@dataclass(frozen=True, slots=True)
class Server:
    """The options that say which bank is asked, and where it is kept who is logged in."""

    server: ServerOption = DEFAULT_SERVER
    data: DataOption = None

    def folder(self) -> DataFolder:
        """The data folder."""
        return data_folder(self.data)

    @property
    def url(self) -> str:
        """The address as log-ins are kept by it."""
        return self.server.rstrip("/")

    def credentials(self) -> CredentialsFile:
        """Who is logged in."""
        from streambank.cli.credentials import CredentialsFile

        return CredentialsFile(self.folder().path / "credentials.json")


ApiOption: TypeAlias = Annotated[Server, Parameter(name="*")]
USUAL_SERVER = Server()

PasswordStdinOption: TypeAlias = Annotated[
    bool,
    Parameter(name="--password-stdin", negative="", help="Read the password from stdin, up to the end of the line."),
]


@contextlib.contextmanager
def connected(server: Server, credentials: Credentials | None = None) -> Iterator[Client]:
    """A client of the server; without ``credentials`` with those that are kept.

    What goes wrong ends as a CommandError that says what to do.
    """
    from streambank.bank.client import ApiError, Client, NotLoggedInError
    from streambank.cli.credentials import StoredCredentials

    shown = credentials if credentials is not None else StoredCredentials(server.credentials(), server.url)
    try:
        with Client(server.server, shown) as client:
            yield client
    except NotLoggedInError as error:
        raise CommandError(f"{error}. Log in with `streambank login`") from None
    except ApiError as error:
        if error.slug == "insufficient-scope":
            raise CommandError(
                f"{error}. If your e-mail address is not verified yet, do so with `streambank verify CODE`; an API key"
                " has the scopes that it was made with"
            ) from None
        raise


def ask_password(prompt: str, from_stdin: bool, *, twice: bool = False) -> str:
    """A password or another secret: from stdin if so, else typed without being shown.

    Raises:
        UsageError: nothing was given, or two different ones.
    """
    if not from_stdin and not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a password on: give it with --password-stdin")
    secret = sys.stdin.readline().rstrip("\r\n") if from_stdin else getpass.getpass(f"{prompt}: ", sys.stderr)
    if not secret:
        raise UsageError(f"{prompt.lower()}: nothing was given")
    if twice and not from_stdin and getpass.getpass(f"{prompt} again: ", sys.stderr) != secret:
        raise UsageError(f"{prompt.lower()}: the two are not the same")
    return secret


def valid(kind: type[M], /, **fields: Any) -> M:
    """The body of a request; what is None is left out.

    Raises:
        UsageError: a field is not as the API wants it. The text does not repeat it: it may be a password.
    """
    from pydantic import ValidationError

    try:
        return kind(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        told = [
            f"{'/'.join(str(part) for part in one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise UsageError("; ".join(told)) from None


def parse_day(text: str | None, option: str) -> date | None:
    """A day as ISO 8601 writes it. Raises UsageError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a day; write it like 2026-11-29") from None


def parse_signed(text: str, currency: Currency, option: str) -> int:
    """Minor units from an amount as people write it, perhaps with its currency: ``-12.50``, ``1,234.50 EUR``.

    Raises:
        UsageError: it is none, or in another currency.
        MoneyError: it has more decimals than the currency, or is beyond 64 bits.
    """
    from streambank.bank.events import to_minor
    from streambank.bank.imports.amounts import SYMBOLS, parse_money
    from streambank.bank.imports.errors import ValueProblem

    try:
        money = parse_money(text, ".")
    except ValueProblem:
        raise UsageError(f"{option}: {text!r} is not an amount; write it like 1234.50 or '-12.50 EUR'") from None
    unit = SYMBOLS.get(money.unit or "", (money.unit or currency.value).upper())
    if unit != currency.value:
        raise UsageError(f"{option}: {text!r} is in {unit}, and the account is in {currency.value}")
    return to_minor(money.value, currency)


def parse_unsigned(text: str, currency: Currency, option: str) -> int:
    """As :func:`parse_signed`, for amounts that have no sign."""
    minor = parse_signed(text, currency, option)
    if minor < 0:
        raise UsageError(f"{option}: {text} is less than 0")
    return minor


def currency_of(account: AccountView) -> Currency:
    """An account's currency."""
    from streambank.bank.events import parse_currency

    return parse_currency(account.currency)


def find_account(client: Client, text: str) -> Versioned[AccountView]:
    """The account of that id or name; where several have the name, the one that is open.

    Raises:
        CommandError: there is none, or more than one.
    """
    accounts = client.accounts.list()
    named = [a for a in accounts if a.value.name.casefold() == text.casefold()]
    found = [a for a in accounts if a.value.id == text] or [a for a in named if a.value.closed_at is None] or named
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(
            f"{len(found)} accounts are named {text!r}: give the id, as `streambank account ls` shows it"
        )
    known = ", ".join(sorted(a.value.name for a in accounts)[:20])
    raise CommandError(f"there is no account {text!r}; there are: {known or 'none; open one with `account open`'}")


def find_category(client: Client, text: str) -> Versioned[CategoryView]:
    """The category of that id, name, or ``PARENT/NAME``. Raises CommandError where there is none, or more than one."""
    categories = client.categories.list()
    names = {category.value.id: category.value.name for category in categories}
    parent, _, name = text.casefold().rpartition("/")
    found = [category for category in categories if category.value.id == text] or [
        category
        for category in categories
        if category.value.name.casefold() in (text.casefold(), name)
        and (
            category.value.name.casefold() == text.casefold()
            or names.get(category.value.parent_id or "", "").casefold() == parent
        )
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"{len(found)} categories are named {text!r}: write PARENT/NAME, or give the id")
    raise CommandError(f"there is no category {text!r}; `streambank category ls` shows those there are")
