"""Access tokens: JSON Web Tokens (RFC 9068) that any service can check by itself, signed with Ed25519 (RFC 9864)."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import CompactSignature

from streambank.clock import Clock
from streambank.errors import StreambankError
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
ISSUER = "streambank"
AUDIENCE = "streambank"

LIFETIME_S = 600
"""How long an access token is good. It cannot be taken back, so that is how long one that was stolen can be used."""

TOKEN_CHARS_MAX = 4_096
VERIFIED_MAX = 10_000

FindKey: TypeAlias = Callable[[str], Mapping[str, str] | None]
"""The public JSON Web Key of a ``kid``, or None. It may block, and is called from a thread."""


class UnknownKeyError(StreambankError):
    """A token names a key that is not known."""


def new_signing_key(kid: str) -> OKPKey:
    """A private key to sign access tokens with."""
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})


def issue(key: OKPKey, *, user_id: str, scopes: frozenset[str], client_id: str, token_id: str, now_ms: int) -> str:
    """A token by which ``client_id`` may use ``scopes`` for the user, for ``LIFETIME_S`` from now on."""
    now_s = now_ms // 1000
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "scope": " ".join(sorted(scopes)),
        "client_id": client_id,
        "jti": token_id,
        "iat": now_s,
        "exp": now_s + LIFETIME_S,
    }
    return jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class TokenVerifier:
    """Checks access tokens. What was checked once is remembered for as long as it is good."""

    def __init__(self, find_key: FindKey, clock: Clock) -> None:
        self._find_key = find_key
        self._clock = clock
        self._verified: OrderedDict[bytes, Caller] = OrderedDict()

    def remembered(self, token: str) -> Caller | None:
        """The caller, where this token was found to be good before and still is; does not block.

        Raises:
            Problem: 401, where it has run out.
        """
        caller = self._verified.get(_digest(token))
        return self._still_good(caller) if caller is not None else None

    def verify(self, token: str) -> Caller:
        """The caller that the token speaks for.

        Raises:
            Problem: 401, where it is none of ours, or no longer good.
        """
        if len(token) > TOKEN_CHARS_MAX:
            raise _invalid("the access token is too long to be one")
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM])
            if decoded.header.get("typ") != TYPE:
                raise _invalid("this is not an access token")
            caller = _caller(decoded.claims)
        except (JoseError, UnknownKeyError, ValueError) as error:
            raise _invalid("the access token is not valid") from error
        self._still_good(caller)
        self._verified[_digest(token)] = caller
        while len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        return caller

    def _still_good(self, caller: Caller) -> Caller:
        if self._clock() >= caller.expires_at * 1000:
            raise _invalid("the access token has run out: get a new one")
        return caller

    def _key(self, signature: Any) -> OKPKey:
        kid = signature.headers().get("kid") if isinstance(signature, CompactSignature) else None
        jwk = self._find_key(kid) if isinstance(kid, str) and len(kid) <= 64 else None
        if jwk is None:
            raise UnknownKeyError("no such key")
        return OKPKey.import_key(dict(jwk))


def _caller(claims: Mapping[str, Any]) -> Caller:
    texts = [claims.get(name) for name in ("iss", "aud", "sub", "scope", "client_id", "jti")]
    expires_at = claims.get("exp")
    if not all(isinstance(text, str) for text in texts) or not isinstance(expires_at, int):
        raise ValueError("a claim is missing")
    issuer, audience, user_id, scope, client_id, token_id = (str(text) for text in texts)
    if issuer != ISSUER or audience != AUDIENCE or not user_id:
        raise ValueError("a token for somebody else")
    return Caller(user_id, frozenset(scope.split()), client_id, token_id, expires_at)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _invalid(detail: str) -> Problem:
    challenge = 'Bearer realm="streambank", error="invalid_token"'
    return Problem(401, "invalid-token", detail, headers={"WWW-Authenticate": challenge})
