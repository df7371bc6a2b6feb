"""What the commands about alerts, budgets, goals and limits have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias, TypeVar

from cyclopts import Parameter

from streambank.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from iso4217 import Currency

    from streambank.bank.client import Client, Versioned

T = TypeVar("T")

BAR_CELLS = 10

Texts: TypeAlias = Annotated[list[str] | None, Parameter(negative="")]
Marks: TypeAlias = Annotated[list[int] | None, Parameter(name="--mark", negative="")]
CurrencyOption: TypeAlias = Annotated[
    str | None,
    Parameter(name="--currency", help="The ISO 4217 code; not needed where all your accounts are in one currency."),
]


class Named(Protocol):
    """What people call by a name."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """What it is called."""


N = TypeVar("N", bound=Named)


def bar(percent: int | None) -> str:
    """How far something is: ``█████░░░░░  52 %``; full where it is further than its end."""
    if percent is None:
        return "-"
    full = min(max(percent, 0), 100) * BAR_CELLS // 100
    return f"{'█' * full}{'░' * (BAR_CELLS - full)} {percent:>3} %"


def money_of(minor: int, code: str) -> str:
    """An amount with its currency: ``-1,234.50 EUR``."""
    from streambank.bank.events import parse_currency
    from streambank.cli.formats import money

    return money(minor, parse_currency(code))


def amount_and_currency(client: Client, text: str, currency: str | None, option: str) -> tuple[int, Currency]:
    """An amount as people write it, in minor units, and its currency: named beside it, or else that of all accounts.

    Raises:
        UsageError: it is no amount, or the currency is not clear.
        MoneyError: there is no such currency, or the amount has more decimals than it.
    """
    from streambank.bank.events import parse_currency
    from streambank.cli.api import parse_unsigned

    known = parse_currency(currency or _unit(text) or _only_currency(client))
    return parse_unsigned(text, known, option), known


def category_ids(client: Client, names: Iterable[str]) -> list[str]:
    """The ids of categories, each with those under it. Raises CommandError where there is none of a name."""
    from streambank.cli.api import find_category

    found = [find_category(client, name).value.id for name in names]
    if not found:
        return []
    parents = {one.value.id: one.value.parent_id for one in client.categories.list()}
    under = [one for one, parent in parents.items() if parent in found]
    return list(dict.fromkeys([*found, *under]))


def find_named(items: Sequence[Versioned[N]], text: str, what: str, command: str) -> Versioned[N]:
    """The one of that id or name. Raises CommandError where there is none, or more than one."""
    found = [one for one in items if one.value.id == text] or [
        one for one in items if one.value.name.casefold() == text.casefold()
    ]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} {what}s are named {text!r}: give the id" if found else f"there is no {what} {text!r}"
    raise CommandError(f"{problem}; `streambank {command} ls` shows those there are")


def _unit(text: str) -> str | None:
    from streambank.bank.imports.amounts import SYMBOLS, parse_money
    from streambank.bank.imports.errors import ValueProblem

    try:
        unit = parse_money(text, ".").unit
    except ValueProblem:
        return None
    return SYMBOLS.get(unit, unit.upper()) if unit is not None else None


def _only_currency(client: Client) -> str:
    held = {one.value.currency for one in client.accounts.list() if one.value.closed_at is None}
    if len(held) != 1:
        names = ", ".join(sorted(held)) or "none yet"
        raise UsageError(f"give --currency CODE, or write it beside the amount: you have accounts in {names}")
    return held.pop()
