"""Access tokens: only ours, only whole, only in time."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.service.support import Ticker

from streambank.service.http import tokens
from streambank.service.http.problems import Problem
from streambank.service.http.tokens import LIFETIME_S, TokenVerifier, issue, new_signing_key

KEY = new_signing_key("one")
OTHER = new_signing_key("one")
NOW_MS = 1_700_000_000_000
PUBLIC = KEY.as_dict(private=False)


def find_key(kid: str) -> Any:
    return PUBLIC if kid == "one" else None


def token(**changed: Any) -> str:
    claims = {
        "iss": "streambank",
        "aud": "streambank",
        "sub": "ada",
        "scope": "users:read",
        "client_id": "cli",
        "jti": "t1",
        "iat": NOW_MS // 1000,
        "exp": NOW_MS // 1000 + 60,
    } | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "Ed25519", "typ": "at+jwt", "kid": "one"}, claims, KEY, algorithms=["Ed25519"])


def verifier(clock: Ticker | None = None) -> TokenVerifier:
    return TokenVerifier(find_key, clock or Ticker(NOW_MS))


def test_a_token_says_who_and_what_for() -> None:
    scopes = frozenset({"users:read", "transactions:read"})
    issued = issue(KEY, user_id="ada", scopes=scopes, client_id="cli", token_id="t1", now_ms=NOW_MS)
    caller = verifier().verify(issued)
    assert (caller.user_id, caller.scopes, caller.client_id, caller.token_id) == ("ada", scopes, "cli", "t1")
    assert caller.expires_at == NOW_MS // 1000 + LIFETIME_S


def test_a_token_runs_out_also_where_it_is_remembered() -> None:
    clock = Ticker(NOW_MS)
    tokens_ = verifier(clock)
    assert tokens_.remembered(token()) is None
    tokens_.verify(token())
    assert tokens_.remembered(token()) is not None
    clock.now_ms += 60_000
    for ask in (tokens_.verify, tokens_.remembered):
        with pytest.raises(Problem, match="run out"):
            ask(token())


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "elsewhere"},
        {"aud": "elsewhere"},
        {"aud": ["streambank"]},
        {"sub": None},
        {"sub": ""},
        {"scope": None},
        {"exp": None},
        {"exp": "never"},
        {"jti": None},
        {"client_id": 7},
    ],
)
def test_a_claim_that_does_not_fit(changed: dict[str, Any]) -> None:
    with pytest.raises(Problem, match="not valid"):
        verifier().verify(token(**changed))


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


CLAIMS = token().split(".")[1]
SECRET = OctKey.import_key(json.dumps(PUBLIC, sort_keys=True))


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(f"{encoded({'alg': 'none', 'typ': 'at+jwt', 'kid': 'one'})}.{CLAIMS}.", id="no signature"),
        pytest.param(
            jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": "one"}, {"sub": "ada"}, SECRET, algorithms=["HS256"]),
            id="the public key as a secret",
        ),
        pytest.param(
            issue(OTHER, user_id="ada", scopes=frozenset(), client_id="c", token_id="t", now_ms=NOW_MS), id="other key"
        ),
        pytest.param(
            jwt.encode({"alg": "Ed25519", "typ": "JWT", "kid": "one"}, {"sub": "ada"}, KEY, algorithms=["Ed25519"]),
            id="another kind of token",
        ),
        pytest.param(
            jwt.encode({"alg": "Ed25519", "typ": "at+jwt", "kid": "two"}, {"sub": "ada"}, KEY, algorithms=["Ed25519"]),
            id="unknown key",
        ),
        pytest.param(
            jwt.encode({"alg": "Ed25519", "typ": "at+jwt"}, {"sub": "ada"}, KEY, algorithms=["Ed25519"]), id="no kid"
        ),
    ],
)
def test_a_forged_token(forged: str) -> None:
    with pytest.raises(Problem, match="not"):
        verifier().verify(forged)


@given(
    st.text(max_size=200)
    | st.lists(st.binary(max_size=40), min_size=3, max_size=3).map(
        lambda parts: ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    )
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        verifier().verify(text)
    assert refused.value.status == 401


def test_remembered_tokens_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VERIFIED_MAX", 1)
    tokens_ = verifier()
    first, second = token(jti="1"), token(jti="2")
    tokens_.verify(first)
    tokens_.verify(second)
    assert (tokens_.remembered(first), tokens_.remembered(second) is not None) == (None, True)
