"""What is kept with each committed offset: who wrote it, so that who takes the partition over can fence them.

A writer that died, or sleeps, may have a transaction open, which holds up all readers of what it has written until it
times out. Nobody else knows its transactional id, and the group forgets its member: so both are kept here.
"""

from __future__ import annotations

import msgspec


class CommitNote(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The writer's id, its member id, and the metadata that the committer gave."""

    writer_id: str
    member_id: str
    metadata: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CommitNote).decode


def encode_note(note: CommitNote) -> str:
    """The offset's metadata as Kafka keeps it."""
    return _encode(note).decode()


def decode_note(metadata: str | None) -> CommitNote:
    """Of an offset that another program has committed, only the metadata are known."""
    try:
        return _decode(metadata or "")
    except msgspec.DecodeError:
        return CommitNote("", "", metadata or "")
