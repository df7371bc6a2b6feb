"""Record headers: name and bytes pairs, as Kafka has them, with one compact encoded form.

The encoded form (a MessagePack array of pairs) is what batches carry, so that headers nobody
looks at cost nothing to pass on.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]
"""Name and value pairs in order; a name may occur more than once."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]])


def encode_headers(pairs: Iterable[tuple[str, bytes | None]]) -> bytes | None:
    """The encoded form, None for no headers."""
    items = list(pairs)
    return _encoder.encode(items) if items else None


def decode_headers(encoded: bytes | None) -> Headers:
    """The pairs of an encoded form."""
    return tuple(_decoder.decode(encoded)) if encoded else ()
