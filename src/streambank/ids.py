"""Identifiers: UUIDv7 for new things, name-based UUIDv8 for things that follow from others (RFC 9562)."""

import hashlib
import os
from collections.abc import Callable
from typing import TypeAlias

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Returns that many random bytes; :func:`os.urandom` outside tests."""


def uuid7(timestamp_ms: int, random_bytes: RandomBytes = os.urandom) -> str:
    """A time-ordered UUID version 7 (RFC 9562 section 5.7)."""
    value = (timestamp_ms & (1 << 48) - 1) << 80 | int.from_bytes(random_bytes(10), "big")
    return _with_version(value, 7)


def derived_id(*parts: str) -> str:
    """The UUID version 8 (RFC 9562 section 5.8) named by ``parts``: equal parts give the equal id, on every machine."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _with_version(int.from_bytes(digest[:16], "big"), 8)


def _with_version(value: int, version: int) -> str:
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    # What str(UUID(int=value)) gives, in a quarter of the time: ids are made for every record.
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
