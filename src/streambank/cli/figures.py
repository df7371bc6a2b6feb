"""How figures of the views are written for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from streambank.bank.events import parse_currency
from streambank.cli.errors import UsageError
from streambank.cli.formats import amount


def amount_or_missing(minor: int | None, code: str, missing: Sequence[str] = ()) -> str:
    """An amount without its currency; where there is none, of which currencies a rate is missing."""
    if minor is None:
        return f"no rate of {', '.join(missing)}" if missing else "-"
    return amount(minor, parse_currency(code))


def parse_month(text: str | None, option: str) -> date | None:
    """The first day of a month that is written like 2026-11. Raises UsageError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a month; write it like 2026-11") from None
