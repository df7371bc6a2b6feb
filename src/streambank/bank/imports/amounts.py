"""Amounts of money as people and banks write them."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from streambank.bank.imports.errors import ValueProblem

DecimalMark: TypeAlias = Literal[".", ","]

_MINUS = "-−–"
_SIGNS = r"\-−–"
_SPACES = " \u00a0\u202f\u2009"
_MONEY = re.compile(
    rf"""(?P<open>\()?
    (?P<sign1>[+{_SIGNS}])?
    (?P<unit1>[^\d\s()+{_SIGNS}.,'’]{{1,4}}\.?)?
    (?P<sign2>[+{_SIGNS}])?
    (?P<number>(?:\d[\d.,'’]*|[.,]\d+))
    (?P<dash>[{_SIGNS}]{{1,2}}(?=$|[^\d\s()+{_SIGNS}.,'’]))?
    (?P<sign3>\+)?
    (?P<unit2>[^\d\s()+{_SIGNS}.,'’]{{1,4}}\.?)?
    (?P<sign4>[+{_SIGNS}])?
    (?P<close>\))?""",
    re.VERBOSE,
)
_SPACE = re.compile(rf"[{_SPACES}\t]+")
_SPACED_GROUP = re.compile(rf"(?<=\d)[{_SPACES}](?=\d{{3}}(?!\d))")
_SPLIT_NUMBER = re.compile(rf"\d[{_SPACES}\t]+[.,]?\d")
_PLAIN = {
    ".": re.compile(r"\d*(?:\.\d*)?|\d{1,3}(?:([,'’])\d{3})(?:\1\d{3})*(?:\.\d*)?|\d{1,2}(?:,\d{2})*,\d{3}(?:\.\d*)?"),
    ",": re.compile(r"\d*(?:,\d*)?|\d{1,3}(?:([.'’])\d{3})(?:\1\d{3})*(?:,\d*)?"),
}
_GROUP_MARKS = str.maketrans("", "", "'’ ")
DIGITS_MAX = 40

SYMBOLS = {"€": "EUR", "£": "GBP", "Kč": "CZK", "KČ": "CZK", "zł": "PLN", "Ft": "HUF", "₹": "INR", "₴": "UAH"}
"""Currency symbols that mean one currency. Those that several countries use ($, kr, ¥, R$) decide nothing."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount as read: with its sign, and the currency's code or symbol that stood beside it."""

    value: Decimal
    unit: str | None


def parse_money(text: str, mark: DecimalMark) -> Money:
    """The amount in a cell whose decimal mark is ``mark``.

    Takes thousands separated by the other mark, spaces (also non-breaking) or apostrophes, a sign before or after,
    parentheses or ``DR`` for negative, a currency beside it, and the ``100,-`` of price tags.

    Raises:
        ValueProblem: empty, no number, or separators where they cannot be.
    """
    grouped = _SPACED_GROUP.sub("", text.strip())
    if _SPLIT_NUMBER.search(grouped):
        raise ValueProblem("amount", f"{text!r} has spaces where thousands do not end")
    compact = _SPACE.sub("", grouped)
    match = _MONEY.fullmatch(compact)
    if match is None or (match["open"] is None) != (match["close"] is None):
        raise ValueProblem("amount", f"{text!r} is not an amount" if compact else "is empty")
    number = match["number"]
    signs = [sign for name in ("sign1", "sign2", "sign3", "sign4") if (sign := match[name])]
    if match["dash"] and not number.endswith((",", ".")):
        signs.append(match["dash"])
    unit = match["unit1"] or match["unit2"]
    negative = any(sign[0] in _MINUS for sign in signs) or match["open"] is not None
    if unit is not None and unit.upper() in {"CR", "DR"}:
        signs.append("+")
        negative, unit = unit.upper() == "DR", None
    if len(signs) + (match["open"] is not None) > 1:
        raise ValueProblem("amount", f"{text!r} has more than one sign")
    if len(number) > DIGITS_MAX:
        raise ValueProblem("amount", f"{number[:12]}… has {len(number)} characters, more than 64 bits hold")
    if not _PLAIN[mark].fullmatch(number):
        raise ValueProblem("amount", f"{text!r} does not have {mark!r} as its decimal mark")
    other = "," if mark == "." else "."
    value = Decimal(number.translate(_GROUP_MARKS).replace(other, "").replace(mark, ".").rstrip(".") or "0")
    return Money(-value if negative else value, unit)


def looks_like_money(text: str) -> bool:
    """Whether the text is an amount in either style."""
    for mark in (".", ","):
        try:
            parse_money(text, mark)
        except ValueProblem:
            continue
        return True
    return False


class MarkEvidence:
    """Collects, over a whole column, which decimal mark its amounts have."""

    def __init__(self) -> None:
        self.votes: Counter[str] = Counter()
        self.open = 0
        self.seen = 0
        self.negative = 0
        self.units: Counter[str] = Counter()
        self.example: dict[str, str] = {}

    def add(self, text: str) -> None:
        """Look at one cell; anything that is no amount is passed over."""
        vote, money = judge(text)
        if money is None:
            return
        self.seen += 1
        self.negative += money.value < 0
        if money.unit is not None:
            self.units[money.unit] += 1
        if vote == "?":
            self.open += 1
            self.example.setdefault("?", text.strip())
        elif vote:
            self.votes[vote] += 1
            self.example.setdefault(vote, text.strip())

    def merge(self, others: Iterable["MarkEvidence"]) -> "MarkEvidence":
        """This evidence with that of other columns of the same file."""
        total = MarkEvidence()
        for one in (self, *others):
            total.votes += one.votes
            total.units += one.units
            total.open += one.open
            total.seen += one.seen
            total.negative += one.negative
            total.example = {**one.example, **total.example}
        return total


def judge(text: str) -> tuple[str, Money | None]:
    """Which mark a cell speaks for: ``.``, ``,``, ``?`` where a single mark stands before three digits, or nothing."""
    stripped = text.strip()
    digits = _SPACED_GROUP.sub("", stripped)
    marks = [char for char in digits if char in ".,"]
    readings: dict[str, Money] = {}
    for mark in (".", ","):
        try:
            readings[mark] = parse_money(stripped, mark)
        except ValueProblem:
            continue
    if not readings:
        return "", None
    if not marks:
        return "", next(iter(readings.values()))
    if len(readings) == 1:
        mark, money = next(iter(readings.items()))
        return mark, money
    return "?", readings["."]
