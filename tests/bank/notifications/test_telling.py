"""Notices in words, and as e-mails: in two languages, and whatever the facts try to do."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.notifications.support import KEY, NOON_MS, goal_mark, money_request, notification, request, transfer
from tests.bank.notifications.test_notices import EVENTS

from streambank.bank.events import GoalKind, MailKind, RequestState, TransferParty, TransferState
from streambank.bank.events.personal import seal
from streambank.bank.notifications.email import form_digest, form_notice
from streambank.bank.notifications.errors import KeyMissingError
from streambank.bank.notifications.facts import SecurityFacts, Told, WebhookFacts
from streambank.bank.notifications.notices import Notice, notices_of
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.telling import Reader, Telling, tell
from streambank.bank.notifications.texts import languages, texts_in
from streambank.bank.notifications.unsealing import Addressee, opener
from streambank.bank.notifications.webhook_payloads import about, type_of

SETTINGS = NotificationsSettings(
    sender="alerts@streambank.example",
    settings_url="https://bank.example/settings",
    public_url="https://bank.example",
    link_key=b"k" * 32,
)


def told(event: Any, locale: str = "en", side: int = 0) -> Telling:
    notice = notices_of(event)[side]
    reader = Reader(locale, "Europe/Prague", opener(notice.user_id, "cause", KEY))
    return tell(notice.facts, notice.occurred_at, reader)


def plain(text: str) -> str:
    return re.sub(r"[\u00a0\u202f]", " ", text)


@pytest.mark.parametrize(
    ("event", "side", "en", "de"),
    [
        (
            notification(),
            0,
            "Checking ••1234 fell below 1,000.00 CZK: now 812.40 CZK",
            "Checking ••1234 ist unter 1.000,00 CZK gefallen: jetzt 812,40 CZK",
        ),
        (goal_mark(), 0, "Eating out: 80 % of the budget is spent", "Eating out: 80 % des Budgets sind ausgegeben"),
        (
            goal_mark(kind=GoalKind.SAVINGS),
            0,
            "Eating out: 80 % is saved",
            "Eating out: 80 % sind gespart",
        ),
        (transfer(), 0, "You paid 25.00 EUR to Petr Dvořák", "Sie haben 25,00 EUR an Petr Dvořák gezahlt"),
        (
            transfer(),
            1,
            "You received 25.00 EUR from Jana Nováková",
            "Sie haben 25,00 EUR von Jana Nováková bekommen",
        ),
        (
            money_request(),
            0,
            "Jana Nováková asks you for 25.00 EUR",
            "Jana Nováková bittet Sie um 25,00 EUR",
        ),
        (
            request(kind=MailKind.PASSWORD_CHANGED),
            0,
            "Your password was changed",
            "Ihr Passwort wurde geändert",
        ),
    ],
)
def test_titles(event: Any, side: int, en: str, de: str) -> None:
    assert plain(told(event, "en", side).title) == en
    assert plain(told(event, "de-AT", side).title) == de


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AM04", "there is not enough money"),
        ("MS03", "the bank does not say why"),
        (None, "the bank does not say why"),
        ("XX99", "XX99"),
    ],
)
def test_why_a_payment_was_rejected(code: str | None, text: str) -> None:
    assert told(transfer(state=TransferState.REJECTED, reason=code)).text == f"No money was moved: {text}."


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_notice_has_all_its_texts(language: str) -> None:
    seen = set()
    for event, _ in EVENTS:
        for notice in notices_of(event):
            reader = Reader(language, "UTC", opener(notice.user_id, "cause", KEY))
            telling = tell(notice.facts, notice.occurred_at, reader)
            seen.add(notice.facts.told)
            rows = [text for table in telling.tables for row in table.rows for text in row]
            for text in (telling.title, telling.text, *telling.closing, *rows):
                assert text
                assert not re.search(r"[{}]|sealed:", text)
    seen.add(WebhookFacts("w1", "hooks.example.org").told)
    assert seen == set(Told)


def test_the_languages_have_the_same_texts() -> None:
    texts = [texts_in(language) for language in sorted(languages())]
    assert len(texts) == 2
    for name in ("told", "reasons", "categories", "notice_footer"):
        assert getattr(texts[0], name).keys() == getattr(texts[1], name).keys()
    holes = re.compile(r"\{\w+\}")
    for kind, said in texts[0].told.items():
        other = texts[1].told[kind]
        assert set(holes.findall(said.title)) == set(holes.findall(other.title))
        assert set(holes.findall(said.text)) == set(holes.findall(other.text))


def test_without_the_key_there_is_no_text_and_with_another_it_is_without_names() -> None:
    notice = notices_of(transfer())[0]
    with pytest.raises(KeyMissingError):
        tell(notice.facts, NOON_MS, Reader("en", "UTC", opener("user-1", "cause", None)))
    telling = tell(notice.facts, NOON_MS, Reader("en", "UTC", opener("user-1", "cause", bytes(64))))
    assert telling.title == "You paid 25.00 EUR to somebody"


def test_a_moment_that_the_readers_zone_has_not_is_told_in_utc() -> None:
    last = notification(occurred_at=datetime(9999, 12, 31, 23, tzinfo=UTC))
    facts = notices_of(last)[0].facts
    telling = tell(facts, NOON_MS, Reader("en", "Asia/Tokyo", opener("user-1", "cause", KEY)))
    assert plain(telling.tables[1].rows[-1][1]).endswith("11:00:00 PM UTC")


def mailed(notice: Notice, locale: str = "en", name: str = "Jana") -> EmailMessage:
    to = Addressee(notice.user_id, "jana@example.org", name, locale, "Europe/Prague")
    formed = form_notice(notice, to, SETTINGS, NOON_MS, KEY)
    assert formed == form_notice(notice, to, SETTINGS, NOON_MS, KEY)
    message = message_from_bytes(formed.content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def digest(*notices: Notice, locale: str = "en", name: str = "Jana") -> EmailMessage:
    to = Addressee("user-1", "jana@example.org", name, locale, "Europe/Prague")
    message = message_from_bytes(form_digest("d1", notices, to, SETTINGS, NOON_MS, KEY).content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_notice_by_e_mail() -> None:
    message = mailed(notices_of(transfer())[0], "de")
    assert message["Subject"] == "Sie haben 25,00 EUR an Petr Dvořák gezahlt"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = part(message, "plain"), part(message, "html")
    assert text.startswith("Guten Tag Jana,\n")
    for wanted in ("Petr Dvořák", "25,00 EUR", "Pizza", "transfer-1", "Keine solchen E-Mails mehr: https://bank"):
        assert wanted in text
    assert '<html lang="de">' in html
    assert "Pizza" in html


def test_a_digest_lists_everything_in_order() -> None:
    notices = [notices_of(event)[0] for event in (notification(1), goal_mark(), transfer(), notification(2))]
    message = digest(*notices)
    assert message["Subject"] == "Since the last e-mail: 4 notices"
    assert digest(notices[0])["Subject"] == "Since the last e-mail: 1 notice"
    assert digest(*notices, locale="de")["Subject"] == "Seit der letzten E-Mail: 4 Meldungen"
    for kind in ("plain", "html"):
        text = plain(part(message, kind))
        places = [text.index(each) for each in ("fell below", "Eating out", "You paid", "No more e-mails")]
        assert places == sorted(places)
        assert text.count("Checking ••1234 fell below") >= 2
        assert len(re.findall(r"https://bank\.example/unsubscribe\?token=", text)) == 3


def test_what_is_about_security_cannot_be_ended_by_a_link() -> None:
    message = mailed(Notice("n", "c", "user-1", NOON_MS, SecurityFacts(MailKind.PASSWORD_CHANGED)))
    assert "List-Unsubscribe-Post" not in message
    assert "unsubscribe?" not in part(message, "plain")


HOSTILE = [
    "x\r\nBcc: thief@evil.example\r\n\r\nbody",
    "x\nBcc: thief@evil.example",
    "x\u2028Bcc: thief@evil.example",
    '<script>alert(1)</script><img src="https://evil.example/x">',
    "{{ 7 * 7 }} {% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "{other} {0} {amount.__class__} %(amount)s %s",
    "\u202egnp.exe",
    "\u2066\u2067 1\u200f000",
    "x" * 5_000,
    "\x00\x1b[31m\x07",
    "=?utf-8?q?=0d=0aBcc:_thief=40evil.example?=",
    "https://evil.example/login",
]


def hostile_notices(text: str) -> list[Notice]:
    def side(user: str) -> TransferParty:
        return TransferParty(user_id=user, other_name=seal(KEY, user, text), remittance=seal(KEY, user, text))

    events = [
        transfer(debtor=side("user-1"), creditor=side("user-2"), transfer_id=text),
        transfer(state=TransferState.REJECTED, debtor=side("user-1"), reason=text),
        money_request(state=RequestState.DECLINED, creditor=side("user-1"), request_id=text),
        goal_mark(name=seal(KEY, "user-1", text), mark_id=text),
        notification(account_name=text, counterparty=text, remittance=text, kind=text),
    ]
    return [notice for event in events for notice in notices_of(event) if notice.user_id == "user-1"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("locale", ["en", "de"])
def test_hostile_values_do_nothing(text: str, locale: str) -> None:
    usual = {type(notice.facts): set(mailed(notice).keys()) for notice in hostile_notices("x")}
    notices = hostile_notices(text)
    messages = [mailed(notice, locale, name=text) for notice in notices]
    for notice, message in zip(notices, messages, strict=True):
        assert set(message.keys()) == usual[type(notice.facts)]
    for message in (*messages, digest(*notices, locale=locale, name=text)):
        assert message["Bcc"] is None
        assert not any(re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069]", str(value)) for value in message.values())
        html, shown = part(message, "html"), part(message, "plain") + str(message["Subject"])
        assert "<script" not in html
        assert "<img" not in html
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x1b\x07\x00]", html + shown)
        assert "49" not in re.sub(r"token=\S+|[0-9a-f-]{36}", "", part(message, "plain")) or "{{" not in text
        assert "<class" not in html + shown
        assert all(url.startswith("https://bank.example/") for url in re.findall(r'(?:src|href)="([^"]*)"', html))


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=100), st.sampled_from(["en", "de", "hi", "ar"]))
def test_any_text_makes_a_readable_message(text: str, locale: str) -> None:
    for notice in hostile_notices(text):
        message = mailed(notice, locale, name=text)
        assert not message.defects
        assert message["Subject"]


def test_what_webhooks_get_as_data() -> None:
    facts = [notices_of(event)[0].facts for event in (notification(), goal_mark(), transfer(), money_request())]
    facts += [SecurityFacts(MailKind.PASSWORD_CHANGED), WebhookFacts("w1", "x.example")]
    assert [type_of(each) for each in facts] == [
        "alert.below",
        "goal.budget",
        "transfer.sent",
        "request.received",
        "security",
        "webhook.disabled",
    ]
    assert about(facts[0])["after_minor"] == 812_40
    assert about(facts[1])["mark"] == 80
    assert about(facts[2])["transfer_id"] == "transfer-1"
    # Ids and amounts; whatever is personal is in the texts only.
    assert "sealed:" not in repr([about(each) for each in facts])
