"""Links that come back from e-mails: what is ours is known, and nothing else is."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.links import mark_token, marked_by, unsubscribe_token, unsubscribed_by

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.text(max_size=60).filter(lambda text: "\x1f" not in text), st.sampled_from([Category.ALERTS, Category.GOALS]))
def test_what_is_signed_is_known_again(user_id: str, category: Category) -> None:
    token = unsubscribe_token(KEY, user_id, category)
    assert unsubscribed_by(KEY, token) == (user_id, category)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert unsubscribed_by(OTHER, token) is None
    assert marked_by(KEY, token) is None
    assert marked_by(KEY, mark_token(KEY, user_id)) == user_id
    assert unsubscribed_by(KEY, mark_token(KEY, user_id)) is None


def test_any_other_character_makes_it_another() -> None:
    token = unsubscribe_token(KEY, "ada", Category.ALERTS)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert unsubscribed_by(KEY, base64.urlsafe_b64encode(changed).decode().rstrip("=")) is None


def test_the_user_and_the_category_are_what_is_signed() -> None:
    a = unsubscribe_token(KEY, "ada", Category.ALERTS)
    mac = base64.urlsafe_b64decode(a + "=" * (-len(a) % 4))[:32]
    for said in (b"bob\x1falerts", b"ada\x1fgoals", b"ada\x1falerts\x1f", b"ada", b""):
        assert unsubscribed_by(KEY, base64.urlsafe_b64encode(mac + said).decode().rstrip("=")) is None


@pytest.mark.parametrize("category", [Category.SECURITY, Category.WEBHOOKS])
def test_what_cannot_be_ended_has_no_link(category: Category) -> None:
    assert unsubscribed_by(KEY, unsubscribe_token(KEY, "ada", category)) is None


@pytest.mark.parametrize("token", ["", "x", "=", "a" * 601, "ü", "%00", "....", "\n", "A" * 44])
def test_anything_else_is_none(token: str) -> None:
    assert unsubscribed_by(KEY, token) is None
    assert marked_by(KEY, token) is None
