"""Personal data in events: sealed with a key of the user's own, which erasure takes out of the log.

Events are kept for ever, and in many topics. What names a person in them is sealed where it is written, passes through
every topology as it is, and is opened only where a person is to read it. The keys are in the topic ``user.key``:
once a user's key is gone, nothing that was sealed with it can be read, wherever it is (crypto-shredding).

Sealing is AES-SIV (RFC 5297) with the user's id as associated data. It needs no nonce, so that equal texts of one user
are sealed alike: grouping by counterparty still works, and tells nothing between users.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from streambank.errors import StreambankError
from streambank.ids import RandomBytes

KEY_BYTES = 64
"""AES-256-SIV takes two keys of 32 bytes."""

CIPHERS_MAX = 256
"""Ciphers kept: to make one takes four times as long as to seal a text. Memory forgets a key that is not used."""

_PREFIX = "sealed:1:"


class SealError(StreambankError):
    """A sealed text was made with another key, or altered."""


def new_personal_key(random_bytes: RandomBytes) -> bytes:
    """A key for one user."""
    return random_bytes(KEY_BYTES)


def is_sealed(text: str) -> bool:
    """Whether ``text`` is sealed. Events from before there were keys, and of generated people, are not."""
    return text.startswith(_PREFIX)


def seal(key: bytes, user_id: str, text: str) -> str:
    """``text`` such that only who has the user's key can read it; equal texts give equal results."""
    # AES-SIV of nothing is refused by the library; a byte in front also keeps a text's emptiness secret.
    sealed = _cipher(key).encrypt(b"\0" + text.encode(), [user_id.encode()])
    return _PREFIX + base64.urlsafe_b64encode(sealed).decode()


def unseal(key: bytes | None, user_id: str, text: str) -> str | None:
    """The text that was sealed; None without a key: the user was erased. A text that is not sealed is its own answer.

    Raises:
        SealError: it was sealed for another user or with another key, or is damaged.
    """
    if not is_sealed(text):
        return text
    if key is None:
        return None
    try:
        sealed = base64.b64decode(text.removeprefix(_PREFIX), altchars=b"-_", validate=True)
        return _cipher(key).decrypt(sealed, [user_id.encode()])[1:].decode()
    except (binascii.Error, InvalidTag, ValueError) as error:
        raise SealError(f"personal data of user {user_id} cannot be read: {type(error).__name__}") from error


@lru_cache(maxsize=CIPHERS_MAX)
def _cipher(key: bytes) -> AESSIV:
    return AESSIV(key)
