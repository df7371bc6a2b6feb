"""Signatures of the Standard Webhooks specification (https://www.standardwebhooks.com), symmetric, ``v1``. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from streambank.ids import RandomBytes

SECRET_BYTES = 32
"""The specification wants 24 to 64; this is what SHA-256 makes full use of."""

_PREFIX = "whsec_"


def new_secret(random_bytes: RandomBytes) -> bytes:
    """A secret for one webhook."""
    return random_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """A secret as its owner gets it."""
    return _PREFIX + base64.b64encode(secret).decode()


def signed_headers(secrets: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a message. Each secret signs it: while one takes the place of another, either will verify."""
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    signatures = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
