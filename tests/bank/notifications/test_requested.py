"""The e-mails that services ask for: what they say, and what they do not let in."""

import re
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.notifications.support import NOON, NOON_MS, SETTINGS, TOKEN, request

from streambank.bank.addresses import AddressError
from streambank.bank.events import MailKind
from streambank.bank.notifications.errors import ExpiredError, UnformableError
from streambank.bank.notifications.requested import NEEDS_TOKEN, form_requested
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.texts import languages, texts_in

URL = f"http://127.0.0.1:8080/verify-email#token={TOKEN}"


def form(settings: NotificationsSettings = SETTINGS, **changes: Any) -> EmailMessage:
    content = form_requested(request(**changes), settings, NOON_MS, NOON_MS).content
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def without_token(kind: MailKind) -> dict[str, Any]:
    return {"kind": kind} if kind in NEEDS_TOKEN else {"kind": kind, "token": None, "expires_at": None}


@pytest.mark.parametrize(
    ("kind", "subject", "link"),
    [
        (MailKind.VERIFY_EMAIL, "Confirm your e-mail address", URL),
        (MailKind.RESET_PASSWORD, "Set a new password", URL.replace("verify-email", "reset-password")),
        (MailKind.PASSWORD_CHANGED, "Your password was changed", "http://127.0.0.1:8080/"),
        (MailKind.EMAIL_CHANGED, "Your e-mail address was changed", "http://127.0.0.1:8080/"),
        (MailKind.ALREADY_REGISTERED, "You already have an account", "http://127.0.0.1:8080/"),
    ],
)
def test_each_kind_says_its_own_and_links_to_its_page(kind: MailKind, subject: str, link: str) -> None:
    message = form(**without_token(kind))
    assert message["Subject"] == subject
    text, html = part(message, "plain"), part(message, "html")
    assert f": {link}\n" in text
    assert re.findall(r'(?:src|href)="([^"]*)"', html) == [link]
    assert ("code" in text) == (kind in NEEDS_TOKEN) == (f"\n    {TOKEN}\n" in text)
    assert text.startswith("Hello Jana Nováková,\n")


def test_all_kinds_are_known_in_all_languages() -> None:
    assert languages() == {"en", "de"}
    for language in languages():
        assert texts_in(language).mails.keys() == set(MailKind)


@pytest.mark.parametrize("kind", MailKind)
@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_is_left_unfilled(kind: MailKind, language: str) -> None:
    message = form(locale=language, **without_token(kind))
    for shown in (message["Subject"], part(message, "plain"), part(message, "html").partition("</style>")[2]):
        assert not re.search(r"[{}]", shown)


@pytest.mark.parametrize(
    ("locale", "language", "subject"),
    [
        ("de", "de", "Bestätigen Sie Ihre E-Mail-Adresse"),
        ("de-AT", "de", "Bestätigen Sie Ihre E-Mail-Adresse"),
        ("cs_CZ", "en", "Confirm your e-mail address"),
        ("en_GB", "en", "Confirm your e-mail address"),
        ("xx", "en", "Confirm your e-mail address"),
        ("../de", "en", "Confirm your e-mail address"),
        ("", "en", "Confirm your e-mail address"),
        ("de\r\nBcc: x@evil.example", "en", "Confirm your e-mail address"),
        ("x" * 100_000, "en", "Confirm your e-mail address"),
    ],
)
def test_the_language_is_the_users_or_english(locale: str, language: str, subject: str) -> None:
    message = form(locale=locale)
    assert message["Subject"] == subject
    assert f'<html lang="{language}">' in part(message, "html")
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("changes", "until"),
    [
        ({}, "until November 24, 2026, 1:00:00 PM +0100."),
        ({"timezone": "Mars/Olympus"}, "12:00:00 PM UTC"),
        ({"timezone": "Europe\x00"}, "12:00:00 PM UTC"),
        ({"timezone": "../" * 5_000}, "12:00:00 PM UTC"),
        ({"expires_at": (NOON + timedelta(hours=1)).replace(tzinfo=None), "timezone": "UTC"}, "12:00:00 PM UTC"),
        ({"locale": "de"}, "bis 24. November 2026, 13:00:00 MEZ."),
    ],
)
def test_how_long_it_is_good(changes: dict[str, Any], until: str) -> None:
    assert until in re.sub(r"[\u00a0\u202f]", " ", part(form(**changes), "plain"))


def test_headers() -> None:
    formed = form_requested(request(), SETTINGS, NOON_MS, NOON_MS)
    message = message_from_bytes(formed.content, policy=default)
    assert formed.message_id == message["Message-ID"] == "<event-1@streambank.example>"
    assert (formed.recipient, message["To"]) == ("user-1@example.org", "Jana Nováková <user-1@example.org>")
    assert message["Date"] == "Tue, 24 Nov 2026 11:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    # Nobody can unsubscribe from what is about the account itself.
    assert "List-Unsubscribe" not in message


def test_the_token_is_in_the_text_only() -> None:
    content = form_requested(request(), SETTINGS, NOON_MS, NOON_MS).content
    assert TOKEN.encode() not in content.partition(b"\r\n\r\n")[0]


def test_the_same_request_gives_the_same_bytes() -> None:
    assert form_requested(request(), SETTINGS, NOON_MS, NOON_MS) == form_requested(
        request(), SETTINGS, NOON_MS, NOON_MS + 60_000
    )


@pytest.mark.parametrize("public_url", ["https://bank.example/app", "https://bank.example/app/"])
def test_where_the_pages_are(public_url: str) -> None:
    settings = NotificationsSettings(sender="a@x.org", public_url=public_url)
    assert f"https://bank.example/app/verify-email#token={TOKEN}" in part(form(settings), "plain")


@pytest.mark.parametrize("late_ms", [0, 1, 86_400_000])
def test_what_has_expired_is_not_formed(late_ms: int) -> None:
    expires_ms = NOON_MS + 3_600_000
    with pytest.raises(ExpiredError, match="verify-email e-mail expired on 2026-11-24 at 12:00:00 UTC"):
        form_requested(request(), SETTINGS, NOON_MS, expires_ms + late_ms)
    assert form_requested(request(), SETTINGS, NOON_MS, expires_ms - 1)


@pytest.mark.parametrize("kind", sorted(NEEDS_TOKEN, key=str))
@pytest.mark.parametrize("token", [None, "", "a b", "x\r\nBcc: thief@evil.example", '"><script>', "é", "x" * 513])
def test_a_missing_or_malformed_token_is_refused_without_being_repeated(kind: MailKind, token: str | None) -> None:
    with pytest.raises(UnformableError) as raised:
        form(kind=kind, token=token)
    assert not token or token not in str(raised.value)


@pytest.mark.parametrize("email", ["", "nobody", "a@x.org\r\nBcc: thief@evil.example", "a@x.org, b@y.org"])
def test_a_malformed_address_is_refused_without_being_repeated(email: str) -> None:
    with pytest.raises(AddressError) as raised:
        form(email=email)
    assert not email or email not in str(raised.value)


@pytest.mark.parametrize("field", ["name", "event_id", "timezone"])
@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\x00"])
def test_no_field_can_add_a_header(field: str, line_break: str) -> None:
    changes: dict[str, Any] = {field: f"x{line_break}Bcc: thief@evil.example{line_break}{line_break}body"}
    message = form(**changes)
    assert set(message.keys()) == set(form().keys())
    assert not any("\n" in str(value) for value in message.values())


def test_a_name_is_text_and_no_markup_or_template() -> None:
    message = form(name="<b>{when}{{ 7 * 7 }}</b>")
    assert "&lt;b&gt;{when}{{ 7 * 7 }}&lt;/b&gt;" in part(message, "html")
    assert part(message, "plain").startswith("Hello <b>{when}{{ 7 * 7 }}</b>,\n")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30), st.sampled_from(MailKind))
def test_any_name_locale_and_time_zone_make_a_readable_message(
    name: str, locale: str, timezone: str, kind: MailKind
) -> None:
    message = form(name=name, locale=locale, timezone=timezone, kind=kind)
    assert set(message.keys()) == set(form().keys())
    assert not message.defects
    assert TOKEN in part(message, "plain")
