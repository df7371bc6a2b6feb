"""What is committed with an offset as its metadata: the times that have to survive a restart (as in KAFKA-10091)."""

from collections.abc import Mapping

import msgspec

from streambank.streams.stores.base import NO_TIME


class CommittedTimes(msgspec.Struct, frozen=True, omit_defaults=True, rename={"partition": "t", "observed": "o"}):
    """The highest timestamp read from the partition, and by store the stream time that its operator has observed."""

    partition: int = NO_TIME
    observed: Mapping[str, int] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CommittedTimes).decode


def encode_times(times: CommittedTimes) -> str:
    """The metadata; empty before the first record."""
    return _encode(times).decode() if times.partition >= 0 else ""


def decode_times(metadata: str) -> CommittedTimes:
    """The times of a metadata text; an offset that a tool has set has none."""
    try:
        return _decode(metadata)
    except msgspec.DecodeError:
        return CommittedTimes()
