"""What e-mails carry that comes back without a login: signed, so that nobody can make it up. Pure.

An unsubscribe link names a user and a category (RFC 8058 section 4 wants a component that cannot be forged); the mark
of an e-mail names its cause, and comes back in the report that it could not be delivered. Both are good for ever: a
link in an old e-mail is to work, and all that it can do is what its user can undo.
"""

import base64
import binascii
import hashlib
import hmac

from streambank.bank.notifications.facts import MUTABLE, Category

MARK_HEADER = "X-Streambank-Mark"
"""The header that holds an e-mail's mark."""

TOKEN_CHARS_MAX = 600
"""An id of a user or a cause is a UUID or little more."""

_MAC_BYTES = 32


def unsubscribe_token(key: bytes, user_id: str, category: Category) -> str:
    """Proves that a link is ours, and says whose e-mails it ends and which."""
    return _signed(key, "unsubscribe", user_id, category)


def unsubscribed_by(key: bytes, token: str) -> tuple[str, Category] | None:
    """The user and the category that the token names; None where it is none of ours."""
    parts = _verified(key, "unsubscribe", token, 2)
    if parts is None or parts[1] not in MUTABLE:
        return None
    return parts[0], Category(parts[1])


def mark_token(key: bytes, cause_id: str) -> str:
    """The mark of the e-mail with that cause."""
    return _signed(key, "mark", cause_id)


def marked_by(key: bytes, token: str) -> str | None:
    """The cause of the e-mail with that mark; None where it is none of ours."""
    parts = _verified(key, "mark", token, 1)
    return parts[0] if parts is not None else None


def _signed(key: bytes, purpose: str, *parts: str) -> str:
    said = "\x1f".join(parts).encode()
    return base64.urlsafe_b64encode(_mac(key, purpose, said) + said).decode().rstrip("=")


def _verified(key: bytes, purpose: str, token: str, count: int) -> list[str] | None:
    if len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        said = raw[_MAC_BYTES:]
        if not hmac.compare_digest(raw[:_MAC_BYTES], _mac(key, purpose, said)):
            return None
        parts = said.decode().split("\x1f")
    except (binascii.Error, UnicodeError):
        return None
    return parts if len(parts) == count else None


def _mac(key: bytes, purpose: str, said: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\x1f" + said, hashlib.sha256)
