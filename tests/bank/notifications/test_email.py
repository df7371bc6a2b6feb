import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.notifications.support import NOON_MS, SETTINGS, form_email, notification

from streambank.bank.addresses import AddressError
from streambank.bank.events import Currency, Direction, Scope
from streambank.bank.notifications.facts import Category
from streambank.bank.notifications.links import unsubscribed_by
from streambank.bank.notifications.message import safe_text
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.telling import money


def form(settings: NotificationsSettings = SETTINGS, **changes: Any) -> EmailMessage:
    content = form_email(notification(**changes), settings, NOON_MS).content
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def plain(text: str) -> str:
    """With ordinary spaces: locales group digits by spaces of several kinds."""
    return re.sub(r"[\u00a0\u202f]", " ", text)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"),
        ({"locale": "cs-CZ"}, "Checking ••1234 fell below 1 000,00 CZK: now 812,40 CZK"),
        ({"locale": "de_DE"}, "Checking ••1234 ist unter 1.000,00 CZK gefallen: jetzt 812,40 CZK"),
        ({"locale": "fr"}, "Checking ••1234 fell below 1 000,00 CZK: now 812,40 CZK"),
        (
            {"locale": "hi_IN", "level_minor": 123456789_00},
            "Checking ••1234 fell below 12,34,56,789.00 CZK: now 812.40 CZK",
        ),
        ({"locale": "xx_YY"}, "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"),
        ({"locale": "../../etc/passwd"}, "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"),
        ({"locale": ""}, "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK"),
        (
            {"direction": Direction.ABOVE, "after_minor": 1_250_00},
            "Checking ••1234 rose above 1,000.00 CZK: now 1,250.00 CZK",
        ),
        ({"after_minor": -50_05}, "Checking ••1234 fell below 1,000.00 CZK: now -50.05 CZK"),
        ({"currency": Currency("JPY")}, "Checking ••1234 fell below 100,000 JPY: now 81,240 JPY"),
        ({"currency": Currency("KWD")}, "Checking ••1234 fell below 100.000 KWD: now 81.240 KWD"),
        # CLDR gives these no decimals in use; ISO 4217 has three and two.
        ({"currency": Currency("IQD")}, "Checking ••1234 fell below 100.000 IQD: now 81.240 IQD"),
        ({"currency": Currency("RSD")}, "Checking ••1234 fell below 1,000.00 RSD: now 812.40 RSD"),
        ({"scope": Scope.TOTAL}, "Total of all accounts in CZK fell below 1,000.00 CZK: now 812.40 CZK"),
        ({"account_number_last4": None}, "Checking fell below 1,000.00 CZK: now 812.40 CZK"),
        ({"account_name": None}, "Account ••1234 fell below 1,000.00 CZK: now 812.40 CZK"),
        (
            {"account_number_last4": "CZ6508000000192000145399"},
            "Checking ••5399 fell below 1,000.00 CZK: now 812.40 CZK",
        ),
    ],
)
def test_subjects(changes: dict[str, Any], subject: str) -> None:
    assert plain(form(**changes)["Subject"]) == subject


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_the_text_says_what_happened(kind: str) -> None:
    text = plain(part(form(remittance="Groceries"), kind))
    for wanted in (
        "Jana Nováková",
        "Checking ••1234",
        "fell below",
        "1,000.00 CZK",
        "812.40 CZK",
        "-187.60 CZK",
        "Tesco",
        "Groceries",
        "November 24, 2026",
        "12:00:00",
        "What you can do",
        "https://bank.example/settings",
        "alert-1",
    ):
        assert wanted in text, wanted


@pytest.mark.parametrize(
    ("changes", "moment"),
    [
        ({"timezone": "Asia/Tokyo"}, "8:00:00"),
        ({"timezone": "America/New_York", "locale": "en_US"}, "6:00:00 AM EST"),
        ({"timezone": "Europe/Prague", "locale": "cs"}, "24. listopadu 2026 12:00:00"),
        ({"timezone": "Mars/Olympus"}, "11:00:00 AM UTC"),
        ({"timezone": "Europe"}, "11:00:00 AM UTC"),
        ({"timezone": "../../etc/passwd"}, "11:00:00 AM UTC"),
        ({"timezone": ""}, "11:00:00 AM UTC"),
    ],
)
def test_the_time_is_the_users(changes: dict[str, Any], moment: str) -> None:
    assert moment in plain(part(form(**changes), "plain"))


def test_a_total_names_the_account_of_the_entry_too() -> None:
    text = part(form(scope=Scope.TOTAL), "plain")
    assert "Total of all accounts in CZK fell below" in text
    assert "Booked on:       Checking ••1234" in text


def test_headers() -> None:
    formed = form_email(notification(), SETTINGS, NOON_MS)
    message = message_from_bytes(formed.content, policy=default)
    assert formed.message_id == message["Message-ID"] == "<alert-1@streambank.example>"
    assert message["From"] == "streambank <alerts@streambank.example>"
    assert message["To"] == "Jana Nováková <user-1@example.org>"
    assert message["Date"] == "Tue, 24 Nov 2026 11:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Streambank-Alert-Id"] == "alert-1"
    # There is no key that could sign a link.
    assert "List-Unsubscribe" not in message
    assert "List-Unsubscribe-Post" not in message


@pytest.mark.parametrize(
    ("changes", "page"),
    [
        ({"unsubscribe_url": "https://bank.example/u"}, "https://bank.example/u"),
        ({"public_url": "https://bank.example/app/"}, "https://bank.example/app/unsubscribe"),
        ({"public_url": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080/unsubscribe"),
        ({"public_url": "http://localhost:8080"}, "http://localhost:8080/unsubscribe"),
    ],
)
def test_one_click_unsubscribe(changes: dict[str, Any], page: str) -> None:
    key = b"0123456789abcdef"
    message = form(NotificationsSettings(sender="alerts@streambank.example", link_key=key, **changes))
    found = re.fullmatch(r"<(.*)\?token=([\w-]+)>", re.sub(r"\s", "", message["List-Unsubscribe"]))
    assert found is not None
    assert found[1] == page
    assert unsubscribed_by(key, found[2]) == ("user-1", Category.ALERTS)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"{page}?token={found[2]}" in part(message, "plain")


def test_no_link_leads_to_another_machine_in_the_clear() -> None:
    settings = NotificationsSettings(
        sender="a@x.org", public_url="http://bank.example", link_key=b"0123456789abcdef", settings_url=None
    )
    message = form(settings)
    assert "List-Unsubscribe" not in message
    assert "List-Unsubscribe-Post" not in message
    assert "bank.example" not in part(message, "plain")


def test_the_same_alert_gives_the_same_bytes() -> None:
    assert form_email(notification(), SETTINGS, NOON_MS) == form_email(notification(), SETTINGS, NOON_MS)


def test_a_message_is_7_bit_and_its_lines_are_short() -> None:
    content = form_email(notification(name="Ж" * 500, counterparty="語" * 500), SETTINGS, NOON_MS).content
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("email", ["user-1@example.org", "jána@example.org"])
@pytest.mark.parametrize(
    "name", ["=?utf-8?q?x?=", "Jana Nováková", "Š" * 80, "語" * 80, "aé" * 40, "one two " * 9 + "x"]
)
def test_a_name_is_read_as_it_was_written_and_folded_between_words(email: str, name: str) -> None:
    content = form_email(notification(email=email, account_name=name, account_number_last4=None), SETTINGS, NOON_MS)
    lines = content.content.decode().partition("\r\n\r\n")[0].split("\r\n")
    assert all(len(line) <= 76 or " " not in line.partition(": ")[2] for line in lines)
    head = re.sub(r"\r\n(?= )", "", content.content.decode())
    subject = re.search(r"^Subject: (.*)\r$", head, re.MULTILINE)
    assert subject is not None
    assert str(make_header(decode_header(subject[1]))) == f"{name} fell below 1,000.00 CZK: now 812.40 CZK"


def test_the_html_loads_and_runs_nothing_and_has_a_dark_mode() -> None:
    html = part(form(counterparty='<img src="https://evil.example/x"><script>alert(1)</script>'), "html")
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert re.findall(r'(?:src|href)="([^"]*)"', html) == ["https://bank.example/settings"]
    assert "prefers-color-scheme: dark" in html
    assert '<html lang="en">' in html


@pytest.mark.parametrize(
    "field", ["name", "account_name", "counterparty", "remittance", "kind", "account_number_last4"]
)
@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x00"])
def test_no_field_can_add_a_header(field: str, line_break: str) -> None:
    attack = f"x{line_break}Bcc: thief@evil.example{line_break}{line_break}body"
    changes: dict[str, Any] = {field: attack}
    message = form(**changes)
    assert message["Bcc"] is None
    assert set(message.keys()) == set(form().keys())
    assert not any("\n" in str(value) for value in message.values())


@pytest.mark.parametrize("alert_id", ["x\r\nBcc: thief@evil.example", "a b", "<>", "Ж", "x" * 500, ""])
def test_an_odd_alert_id_still_makes_a_message_id(alert_id: str) -> None:
    message = form(alert_id=alert_id)
    assert re.fullmatch(r"<[0-9a-f-]{36}@streambank\.example>", message["Message-ID"])
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    "address",
    [
        *("", "x", "@x.org", "x@", "a b@x.org", "a@x.org\r\nBcc: y@z.org", "a@x..org", "a@-x.org", "a..b@x.org"),
        *("<a@x.org>", "a@x.org, b@y.org", f"{'a' * 65}@x.org", f"a@{'b.' * 126}org", "a@b@c.org", "a\x00b@x.org"),
    ],
)
def test_a_malformed_address_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(AddressError) as raised:
        form(email=address)
    assert len(address) < 3 or address not in str(raised.value)


@pytest.mark.parametrize(
    ("email", "recipient"),
    [
        ("jana@example.org", "jana@example.org"),
        (" jana+bank@example.org ", "jana+bank@example.org"),
        ("jana@příklad.cz", "jana@xn--pklad-zsa96e.cz"),
        ("jána@example.org", "jána@example.org"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_addresses_that_are_fine(email: str, recipient: str) -> None:
    assert form_email(notification(email=email), SETTINGS, NOON_MS).recipient == recipient


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("CZ65 0800 0000 1920 0014 5399", "••5399"),
        ("GB29NWBK60161331926819 J. Doe", "••6819 J. Doe"),
        ("rent 19-2000145399/0800", "rent ••0800"),
        ("paid 4111 1111 1111 1111", "paid ••1111"),
        ("order 12345678", "order 12345678"),
        ("on 2026-11-24", "on 2026-11-24"),
        ("1\u202e000", "1000"),
        ("  a \t b\n", "a b"),
        ("x" * 100, "x" * 79 + "…"),
    ],
)
def test_text_from_elsewhere_is_made_safe(text: str, safe: str) -> None:
    assert safe_text(text) == safe


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.integers(-(2**63), 2**63 - 1), st.sampled_from(list(Currency)))
def test_any_text_and_amount_makes_a_readable_message(
    name: str, counterparty: str, minor: int, currency: Currency
) -> None:
    message = form(name=name, counterparty=counterparty, account_name=name, after_minor=minor, currency=currency)
    assert set(message.keys()) == set(form().keys())
    assert not message.defects
    assert currency.value in message["Subject"]
    assert "fell below" in part(message, "plain")


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([c for c in Currency if c.exponent is not None]))
def test_no_digit_of_an_amount_is_lost(minor: int, currency: Currency) -> None:
    amount, _, code = money(minor, currency, Locale("en")).rpartition(" ")
    assert code == currency.value
    assert int(amount.replace(",", "").replace(".", "")) == minor
