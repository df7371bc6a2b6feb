"""What the service's use cases share."""

from dataclasses import dataclass

from iso4217 import Currency

from streambank.bank.events import MoneyError, parse_currency
from streambank.clock import Clock
from streambank.ids import RandomBytes, uuid7
from streambank.service.http.problems import Problem, unprocessable
from streambank.service.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Context:
    """Where events go to, and the sources of time and chance."""

    outbox: Outbox
    clock: Clock
    random_bytes: RandomBytes

    def new_id(self) -> str:
        """An id for something new."""
        return uuid7(self.clock(), self.random_bytes)


def currency_of(code: str, pointer: str = "/currency") -> Currency:
    """The currency of a request. Raises a problem that names the field."""
    try:
        return parse_currency(code)
    except MoneyError as error:
        raise unprocessable(pointer, str(error)) from None


def unknown_account(pointer: str) -> Problem:
    """The problem of an account that is not the caller's, or not there."""
    return unprocessable(pointer, "you have no such account", "unknown-account")
