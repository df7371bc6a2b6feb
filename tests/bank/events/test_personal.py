"""Sealing personal data: who can open it, and what a look at the sealed text tells."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.events.personal import KEY_BYTES, SealError, is_sealed, new_personal_key, seal, unseal

KEY = bytes(range(64))
OTHER_KEY = bytes(reversed(range(64)))


@given(st.text())
def test_what_is_sealed_can_be_opened(text: str) -> None:
    sealed = seal(KEY, "ada", text)
    assert is_sealed(sealed)
    assert text == "" or text not in sealed.removeprefix("sealed:1:") or len(text) < 4
    assert unseal(KEY, "ada", sealed) == text


def test_equal_texts_of_one_user_are_sealed_alike_and_of_two_are_not() -> None:
    assert seal(KEY, "ada", "Bakery") == seal(KEY, "ada", "Bakery")
    assert seal(KEY, "ada", "Bakery") != seal(KEY, "bob", "Bakery")
    assert seal(KEY, "ada", "Bakery") != seal(OTHER_KEY, "ada", "Bakery")


def test_without_a_key_nothing_can_be_read() -> None:
    assert unseal(None, "ada", seal(KEY, "ada", "Bakery")) is None


@pytest.mark.parametrize("key", [None, KEY])
def test_a_text_from_before_there_were_keys_is_read_as_it_is(key: bytes | None) -> None:
    assert unseal(key, "ada", "Bakery") == "Bakery"


@pytest.mark.parametrize(
    ("key", "user_id", "damage"),
    [
        pytest.param(OTHER_KEY, "ada", "", id="another key"),
        pytest.param(KEY, "bob", "", id="another user"),
        pytest.param(KEY, "ada", "AAAA", id="longer"),
        pytest.param(KEY, "ada", "!", id="no base64"),
    ],
)
def test_what_cannot_be_opened_says_whose_it_is(key: bytes, user_id: str, damage: str) -> None:
    with pytest.raises(SealError, match=user_id):
        unseal(key, user_id, seal(KEY, "ada", "Bakery") + damage)


def test_a_cut_text_cannot_be_opened() -> None:
    with pytest.raises(SealError, match="ada"):
        unseal(KEY, "ada", "sealed:1:AAAA")


def test_a_new_key_is_as_long_as_the_algorithm_wants() -> None:
    assert len(new_personal_key(os.urandom)) == KEY_BYTES
