"""Values as statement files write them, checked: each that is wrong is a ValueProblem that names its field."""

import re
from datetime import date, timedelta
from decimal import Decimal

from iso4217 import Currency

from streambank.bank.events import MoneyError, parse_currency, to_minor
from streambank.bank.imports.amounts import parse_money
from streambank.bank.imports.dates import EARLIEST, Moment, parse_date
from streambank.bank.imports.entries import clean
from streambank.bank.imports.errors import ValueProblem

TEXT_CHARS_MAX = 2_000
DAY_MS = 86_400_000
REFERENCE_CHARS_MIN = 8

_UNDECODED = re.compile("[\ud800-\udfff\ufffd\x00]")
_ISO_AMOUNT = re.compile(r"[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}")
# The year is a whole one: 0024 is not 2024.
_XML_DATE = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}(?![0-9])")
_XML_ZONE = re.compile(r"^(\d{4}-\d\d-\d\d)(?:Z|[+-]\d\d:\d\d)$")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_NO_REFERENCE = frozenset({"NONREF", "NOREF", "NOTPROVIDED", "NOTAVAILABLE", "UNKNOWN", "NONE", "NA", "NULL"})


def checked_text(field: str, text: str | None) -> str | None:
    """Text with its white space collapsed; None if there is none.

    Raises:
        ValueProblem: too long, or with bytes that are no characters of the file's encoding.
    """
    found = clean(text) if text is not None else None
    if found is None:
        return None
    if len(found) > TEXT_CHARS_MAX:
        raise ValueProblem(field, f"has {len(found):,} characters, more than {TEXT_CHARS_MAX:,}")
    if _UNDECODED.search(found):
        raise ValueProblem(field, "has bytes that are not in the file's encoding")
    return found


def currency_of(field: str, code: str | None) -> Currency:
    """The currency of a code. Raises ValueProblem if it is missing, unknown or has no minor unit."""
    if code is None or not code.strip():
        raise ValueProblem(field, "is missing; use an ISO 4217 code such as EUR, USD or CZK")
    try:
        return parse_currency(code)
    except MoneyError as error:
        raise ValueProblem(field, str(error)) from None


def minor_of(field: str, value: Decimal, currency: Currency) -> int:
    """Minor units. Raises ValueProblem if there are more decimals than the currency has, or beyond 64 bits."""
    try:
        return to_minor(value, currency)
    except MoneyError as error:
        raise ValueProblem(field, str(error)) from None


def moved(field: str, minor: int) -> int:
    """An amount that moves money. Raises ValueProblem if it is zero."""
    if minor == 0:
        raise ValueProblem(field, "is zero, so nothing was booked")
    return minor


def xml_amount(field: str, text: str | None) -> Decimal:
    """An unsigned amount as XML schemas write it. Raises ValueProblem."""
    stripped = (text or "").strip()
    if not _ISO_AMOUNT.fullmatch(stripped):
        raise ValueProblem(field, f"{shown(stripped)} is not an amount" if stripped else "is missing")
    return Decimal(stripped)


def written_amount(field: str, text: str | None, mark: str | None = None) -> Decimal:
    """A signed amount; without ``mark`` its last point or comma is before the decimals. Raises ValueProblem."""
    stripped = (text or "").strip()
    if not stripped:
        raise ValueProblem(field, "is missing")
    if mark is None:
        mark = "," if stripped.rfind(",") > stripped.rfind(".") else "."
    try:
        money = parse_money(stripped, "," if mark == "," else ".")
    except ValueProblem:
        raise ValueProblem(field, f"{shown(stripped)} is not an amount") from None
    if money.unit is not None:
        raise ValueProblem(field, f"{shown(stripped)} has {money.unit!r} where only a number may be")
    return money.value


def xml_moment(field: str, text: str | None) -> Moment:
    """A date, or a date and time, as XML schemas write it. Raises ValueProblem."""
    stripped = (text or "").strip()
    if not stripped:
        raise ValueProblem(field, "is missing")
    if not _XML_DATE.match(stripped):
        raise ValueProblem(field, f"{shown(stripped)} is not a date")
    try:
        return checked_moment(field, parse_date(_XML_ZONE.sub(r"\1", stripped), "ymd"))
    except ValueProblem as problem:
        raise ValueProblem(field, problem.reason) from None
    except (OverflowError, ValueError):
        raise ValueProblem(field, f"{shown(stripped)} is not a date") from None


def checked_moment(field: str, moment: Moment) -> Moment:
    """The moment. Raises ValueProblem if it is before 1970, or after what a time in UTC can be."""
    millis = moment.millis()
    if moment.day < EARLIEST or millis < 0:
        raise ValueProblem(field, f"{moment.day} is before 1970-01-01, the earliest day that can be stored")
    if millis >= day_ms(date.max):
        raise ValueProblem(field, f"{moment.day} is after the last day that can be stored")
    return moment


def day_ms(day: date) -> int:
    """Midnight UTC of the day, in milliseconds since the epoch."""
    return (day - EARLIEST) // timedelta(milliseconds=1)


def account_number(field: str, text: str) -> str:
    """An account's number as letters and digits. Raises ValueProblem for none, and an IBAN whose check digits fail."""
    compact = "".join(char for char in text.upper() if char.isascii() and char.isalnum())
    if sum(char.isdigit() for char in compact) < 2:
        raise ValueProblem(field, "is missing, or is no account number")
    if _IBAN.fullmatch(compact) and not valid_iban(compact):
        raise ValueProblem(field, "is an IBAN whose check digits are wrong")
    return compact


def valid_iban(compact: str) -> bool:
    """Whether the text, without blanks, is an IBAN with right check digits (ISO 13616)."""
    if not _IBAN.fullmatch(compact):
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def trusted_reference(text: str | None, chars_min: int = REFERENCE_CHARS_MIN) -> str | None:
    """A bank's reference if it can be its own id of an entry, else None.

    Placeholders such as NONREF are none. A short one, leading zeros not counted, is a number within the statement,
    which the same entry does not have in the next file.
    """
    found = clean(text) if text else None
    if found is None or _UNDECODED.search(found):
        return None
    compact = "".join(char for char in found if char.isalnum())
    if compact.upper() in _NO_REFERENCE or len(compact.lstrip("0")) < chars_min or len(set(compact)) < 2:
        return None
    return found if len(found) <= TEXT_CHARS_MAX else None


def shown(text: str) -> str:
    """A value for a message, shortened."""
    return repr(text if len(text) <= 40 else text[:39] + "…")
