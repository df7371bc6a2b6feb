"""The clock that is passed in. Nothing else in the package reads the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Returns the present as milliseconds since the epoch, UTC."""


def system_clock() -> int:
    """The machine's clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds on the clock that all processes of this machine share and that only moves forward."""
    return time.monotonic_ns() // 1_000_000


def to_datetime(timestamp_ms: int) -> datetime:
    """Milliseconds since the epoch as an aware UTC datetime."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)


def to_millis(moment: datetime) -> int:
    """An aware datetime as milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)
