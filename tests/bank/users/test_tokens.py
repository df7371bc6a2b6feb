"""Opaque tokens, and scopes."""

import os

import pytest

from streambank.bank.users.scopes import (
    UNVERIFIED_SCOPES,
    VERIFIED_SCOPES,
    ScopeError,
    chosen_scopes,
    join_scope,
    parse_scope,
    scopes_of_user,
)
from streambank.bank.users.tokens import Prefix, is_token, new_token, token_hash


def test_a_token_says_what_it_is_and_is_never_made_twice() -> None:
    tokens = {new_token(prefix, os.urandom) for prefix in Prefix for _ in range(100)}
    assert len(tokens) == 400
    assert sum(is_token(token, Prefix.API_KEY) for token in tokens) == 100
    assert {len(token_hash(token)) for token in tokens} == {32}


@pytest.mark.parametrize(
    "text", ["", "sbs_", "sbs_abc", "sbs_" + "a" * 44, "sbs_" + "!" * 43, "sbs_" + "a" * 42 + "\n"]
)
def test_what_is_no_token(text: str) -> None:
    assert not is_token(text, Prefix.SESSION)


def test_a_hash_can_be_made_of_anything() -> None:
    assert token_hash("\ud800") != token_hash("\ud801")


def test_who_is_not_verified_has_the_scopes_of_users_only() -> None:
    assert scopes_of_user(False) == UNVERIFIED_SCOPES == {"users:read", "users:write"}
    assert scopes_of_user(True) == VERIFIED_SCOPES > UNVERIFIED_SCOPES


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [(None, "a b"), ("", "a b"), (" ", "a b"), ("a", "a"), ("b a", "a b"), ("b  b", "b")],
)
def test_scopes_are_chosen_among_those_allowed(wanted: str | None, chosen: str) -> None:
    assert join_scope(chosen_scopes(wanted, frozenset("ab"))) == chosen


@pytest.mark.parametrize("wanted", ["c", "a c", "A"])
def test_more_than_is_allowed_is_refused(wanted: str) -> None:
    with pytest.raises(ScopeError, match="a b"):
        chosen_scopes(wanted, frozenset("ab"))


def test_a_scope_is_read_as_it_was_written() -> None:
    assert parse_scope(join_scope(VERIFIED_SCOPES)) == VERIFIED_SCOPES
