"""Access tokens and the keys that sign them.

A key signs for ``ROTATION_MS``. The next one is published ``LEAD_MS`` before it signs, so that whoever checks tokens
knows it by then; the one before is withdrawn once the last token that it signed has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import KeyParameters, OKPKey

from streambank.bank.users.tokens import DAY_MS, HOUR_MS
from streambank.ids import RandomBytes
from streambank.service.http.tokens import ALGORITHM, issue

PRIVATE_KEY_BYTES = 32

ROTATION_MS = 30 * DAY_MS
LEAD_MS = HOUR_MS
"""Any projection that works at all has caught up by then, and what was cached of the key set has ended."""

OVERLAP_MS = HOUR_MS
"""How long a key stays published after it signed last: the life of its tokens, and clocks that differ."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key that signs from ``signs_from`` on (ms since the epoch)."""

    kid: str
    private_key: bytes = field(repr=False)
    created_at: int
    signs_from: int

    def public_jwk(self) -> dict[str, str]:
        """The public half, as a JSON Web Key (RFC 7517, RFC 8037)."""
        public = {name: str(value) for name, value in _key(self.private_key).as_dict(private=False).items()}
        return {**public, "kid": self.kid, "use": "sig", "alg": ALGORITHM}


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is due: a key to make that signs from ``new_signs_from`` on, if any, and keys to withdraw."""

    new_signs_from: int | None
    withdrawn: tuple[KeyPair, ...]


def new_key_pair(now_ms: int, signs_from: int, random_bytes: RandomBytes) -> KeyPair:
    """A new key, named by its thumbprint (RFC 7638)."""
    private = random_bytes(PRIVATE_KEY_BYTES)
    return KeyPair(_key(private).thumbprint(), private, now_ms, signs_from)


def signing_key(keys: Sequence[KeyPair], now_ms: int) -> KeyPair | None:
    """The key to sign with now: of those that may, the latest."""
    able = [key for key in keys if key.signs_from <= now_ms]
    return max(able, key=lambda key: (key.signs_from, key.kid)) if able else None


def due_rotation(keys: Sequence[KeyPair], now_ms: int) -> Rotation:
    """What has to be done with the keys now. The first key of all signs at once: nobody has to be waited for."""
    current = signing_key(keys, now_ms)
    if current is None:
        return Rotation(now_ms, ())
    is_next_made = any(key.signs_from > now_ms for key in keys)
    is_due = not is_next_made and now_ms >= current.signs_from + ROTATION_MS - LEAD_MS
    is_past_over = now_ms >= current.signs_from + OVERLAP_MS
    past = tuple(key for key in keys if is_past_over and key.signs_from < current.signs_from)
    return Rotation(now_ms + LEAD_MS if is_due else None, past)


def sign_access_token(
    key: KeyPair, *, user_id: str, scopes: frozenset[str], client_id: str, token_id: str, now_ms: int
) -> str:
    """An access token that is good for :data:`~streambank.service.http.tokens.LIFETIME_S` from now on."""
    own = _key(key.private_key, {"kid": key.kid})
    return issue(own, user_id=user_id, scopes=scopes, client_id=client_id, token_id=token_id, now_ms=now_ms)


def _key(private_key: bytes, parameters: KeyParameters | None = None) -> OKPKey:
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(private_key), parameters)
