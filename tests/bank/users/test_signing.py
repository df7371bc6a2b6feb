"""The life of keys that sign, and tokens."""

import os

import pytest

from streambank.bank.users.signing import (
    LEAD_MS,
    OVERLAP_MS,
    ROTATION_MS,
    KeyPair,
    due_rotation,
    new_key_pair,
    sign_access_token,
    signing_key,
)
from streambank.service.http.problems import Problem
from streambank.service.http.tokens import LIFETIME_S, TokenVerifier

FIRST = KeyPair("first", bytes(32), 0, 0)
SECOND = KeyPair("second", bytes(range(32)), ROTATION_MS - LEAD_MS, ROTATION_MS)


#   0        ROTATION - LEAD      ROTATION          ROTATION + OVERLAP
#   | first signs ................|
#            | second published   | second signs ....................
#                                                   | first withdrawn
@pytest.mark.parametrize(
    ("keys", "now_ms", "signs", "new_from", "withdrawn"),
    [
        pytest.param([], 5, None, 5, (), id="the first key of all signs at once"),
        pytest.param([FIRST], 0, "first", None, (), id="young"),
        pytest.param([FIRST], ROTATION_MS - LEAD_MS - 1, "first", None, (), id="not yet"),
        pytest.param([FIRST], ROTATION_MS - LEAD_MS, "first", ROTATION_MS, (), id="the next is made ahead"),
        pytest.param([FIRST, SECOND], ROTATION_MS - 1, "first", None, (), id="it is made once"),
        pytest.param([FIRST, SECOND], ROTATION_MS, "second", None, (), id="the next signs"),
        pytest.param([FIRST, SECOND], ROTATION_MS + OVERLAP_MS - 1, "second", None, (), id="overlap"),
        pytest.param([FIRST, SECOND], ROTATION_MS + OVERLAP_MS, "second", None, ("first",), id="withdrawn"),
        pytest.param([SECOND], 2 * ROTATION_MS - LEAD_MS, "second", 2 * ROTATION_MS, (), id="and so on"),
        pytest.param([SECOND], 0, None, 0, (), id="a clock that went back"),
    ],
)
def test_rotation(
    keys: list[KeyPair], now_ms: int, signs: str | None, new_from: int | None, withdrawn: tuple[str, ...]
) -> None:
    current = signing_key(keys, now_ms)
    due = due_rotation(keys, now_ms)
    assert (current.kid if current else None, due.new_signs_from, tuple(k.kid for k in due.withdrawn)) == (
        signs,
        new_from,
        withdrawn,
    )


def test_the_overlap_outlives_every_token() -> None:
    assert OVERLAP_MS > 2 * LIFETIME_S * 1000


def test_a_token_speaks_for_its_user_for_ten_minutes() -> None:
    key = new_key_pair(0, 0, os.urandom)
    now_ms = 1_780_000_000_000
    token = sign_access_token(
        key, user_id="ada", scopes=frozenset({"b", "a"}), client_id="cli", token_id="t1", now_ms=now_ms
    )
    verifier = TokenVerifier({key.kid: key.public_jwk()}.get, lambda: now_ms + LIFETIME_S * 1000 - 1)
    caller = verifier.verify(token)
    assert (caller.user_id, caller.client_id, caller.token_id) == ("ada", "cli", "t1")
    assert caller.scopes == {"a", "b"}
    with pytest.raises(Problem, match="token"):
        TokenVerifier({key.kid: key.public_jwk()}.get, lambda: now_ms + LIFETIME_S * 1000 + 60_000).verify(token)


def test_a_key_shows_its_private_half_nowhere() -> None:
    key = new_key_pair(0, 0, os.urandom)
    assert set(key.public_jwk()) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert "private_key" not in repr(key)
    assert new_key_pair(0, 0, os.urandom).kid != key.kid
