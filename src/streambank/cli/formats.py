"""How money, times and durations are written for people, and read from them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from iso4217 import Currency

from streambank.bank.events import to_decimal, to_minor
from streambank.cli.errors import UsageError

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def amount(minor: int, currency: Currency) -> str:
    """An amount without its currency: ``-1,234.50``."""
    return f"{to_decimal(minor, currency):,}"


def money(minor: int, currency: Currency) -> str:
    """An amount with its currency: ``-1,234.50 EUR``."""
    return f"{amount(minor, currency)} {currency.value}"


def signed(minor: int, currency: Currency) -> str:
    """A change: ``+12.00`` or ``-12.00``."""
    return f"{to_decimal(minor, currency):+,}"


def parse_amount(text: str, currency: Currency, option: str) -> int:
    """Minor units from what a person typed: ``100``, ``1234.50`` or ``1,234.50``."""
    try:
        value = Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        raise UsageError(f"{option}: {text!r} is not an amount; write it like 1234.50") from None
    if not value.is_finite():
        raise UsageError(f"{option}: {text!r} is not an amount; write it like 1234.50")
    return to_minor(value, currency)


def local_time(moment: datetime) -> str:
    """Date and time in this machine's zone, to the second."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def rfc3339(timestamp_ms: int) -> str:
    """A timestamp in UTC, to the millisecond."""
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def parse_duration(text: str, option: str) -> int:
    """Milliseconds from ``500ms``, ``30s``, ``15m``, ``2h``, ``7d``, ``1w``, or a row of them."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{option}: {text!r} is not a duration; write it like 30s, 15m, 2h or 7d")
    return sum(int(number) * _UNIT_MS[unit] for number, unit in parts)


def parse_moment(text: str, now_ms: int, option: str) -> int:
    """Milliseconds since the epoch from an ISO 8601 moment, ``-15m`` for that long ago, or the number itself.

    A moment without a zone is meant in this machine's.
    """
    if text.startswith("-"):
        return now_ms - parse_duration(text[1:], option)
    if text.isdigit() and len(text) > 8:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not a moment; write it like 2026-11-01T10:00, or -15m for a quarter of an hour ago"
        ) from None
    return round(moment.timestamp() * 1000)


def milliseconds(value: float | None) -> str:
    """A latency: ``41 ms``, ``1.2 s``; ``-`` for none."""
    if value is None:
        return "-"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def counted(number: int, one: str, many: str) -> str:
    """``1 entry``, ``1,234 entries``."""
    return f"{number:,} {one if number == 1 else many}"


def time_of_day(minute: int) -> str:
    """A minute after midnight as ``07:05``."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def clock_time(seconds: float) -> str:
    """A span as ``1:05`` or ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
