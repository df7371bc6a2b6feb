"""Record headers: name and bytes pairs, as Kafka has them, with one compact encoded form.

The encoded form (a MessagePack array of pairs) is what batches carry, so that headers nobody
looks at cost nothing to pass on.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]
"""Name and value pairs in order; a name may occur more than once."""

_FIXARRAY, _FIXARRAY_MAX = 0x90, 15
"""MessagePack's short arrays: one byte in front."""

_encoder = msgspec.msgpack.Encoder()
encode_header: Callable[[tuple[str, bytes | None]], bytes] = _encoder.encode
"""One header, to follow on :func:`begin_headers`."""

_decoder = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])


def encode_headers(pairs: Iterable[tuple[str, bytes | None]]) -> bytes | None:
    """The encoded form, None for no headers."""
    items = list(pairs)
    return _encoder.encode(items) if items else None


def begin_headers(count: int, *first: tuple[str, bytes | None]) -> bytes:
    """The encoded form of ``count`` headers up to the first ones; the others come behind it, each encoded by itself."""
    if not len(first) <= count <= _FIXARRAY_MAX:
        raise ValueError(f"{count} headers cannot begin with these {len(first)}")
    return b"".join((bytes((_FIXARRAY + count,)), *map(encode_header, first)))


def decode_headers(encoded: bytes | None) -> Headers:
    """The pairs of an encoded form."""
    return tuple(_decoder.decode(encoded)) if encoded else ()
