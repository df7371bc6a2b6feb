"""Identifiers: UUIDv7 for new things, name-based UUIDv8 for things that follow from others (RFC 9562)."""

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Returns that many random bytes; :func:`os.urandom` outside tests."""

_CHANCE_BYTES = 10
_VARIANT = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}


def uuid7(timestamp_ms: int, random_bytes: RandomBytes = os.urandom) -> str:
    """A time-ordered UUID version 7 (RFC 9562 section 5.7)."""
    digits = f"{timestamp_ms & (1 << 48) - 1:012x}{random_bytes(_CHANCE_BYTES).hex()}"
    return _with_version("7", digits)


def uuid7s(timestamp_ms: int, random_bytes: RandomBytes, count: int) -> Iterator[str]:
    """As :func:`uuid7`, without end; random bytes are drawn for ``count`` at a time: that is what takes long."""
    time, size = f"{timestamp_ms & (1 << 48) - 1:012x}", 2 * _CHANCE_BYTES
    begin = f"{time[:8]}-{time[8:]}-7"
    while True:
        drawn = random_bytes(_CHANCE_BYTES * count).hex()
        for i in range(0, len(drawn), size):
            # As _with_version does it, but for what is the same in all.
            variant = _VARIANT[drawn[i + 4]]
            yield f"{begin}{drawn[i + 1 : i + 4]}-{variant}{drawn[i + 5 : i + 8]}-{drawn[i + 8 : i + size]}"


def derived_id(*parts: str) -> str:
    """The UUID version 8 (RFC 9562 section 5.8) named by ``parts``: equal parts give the equal id, on every machine."""
    return _with_version("8", hashlib.sha256("\x1f".join(parts).encode()).hexdigest())


def _with_version(version: str, digits: str) -> str:
    # What str(UUID(int=value)) gives, in a fraction of the time: ids are made for every record.
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
