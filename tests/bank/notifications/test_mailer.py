import smtplib
import threading
import time
from collections.abc import Iterator

import pytest
from tests.bank.notifications.support import ScriptedServer

from streambank.bank.notifications.mailer import (
    HandoverUnknownError,
    MailConfigurationError,
    MailError,
    RecipientDeferredError,
    RecipientRefusedError,
    ServerUnavailableError,
    SmtpMailer,
)
from streambank.bank.notifications.settings import NotificationsSettings

Script = dict[str, list[str | None]]

PIPELINING: Script = {"EHLO": ["250-ok\n250 PIPELINING"]}


class Pair:
    """A mailer and its scripted server; closed together."""

    def __init__(self) -> None:
        self.servers: list[ScriptedServer] = []
        self.mailers: list[SmtpMailer] = []

    def make(self, *scripts: Script, **changes: object) -> tuple[SmtpMailer, ScriptedServer]:
        server = ScriptedServer(*scripts)
        settings = NotificationsSettings(
            **{"sender": "a@x.org", "port": server.port, "reply_timeout_s": 0.3, "accepted_timeout_s": 0.3, **changes}  # type: ignore[arg-type]
        )
        mailer = SmtpMailer(settings)
        self.servers.append(server)
        self.mailers.append(mailer)
        return mailer, server


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    for mailer in made.mailers:
        mailer.close()
    for server in made.servers:
        server.close()


@pytest.mark.parametrize("extensions", [{}, PIPELINING])
def test_one_connection_carries_many_messages(pair: Pair, extensions: Script) -> None:
    mailer, server = pair.make(extensions)
    mailer.send("a@x.org", "b@y.org", b"Subject: 1\r\n\r\n.dot\r\n..two\r\n")
    mailer.send("a@x.org", "c@y.org", b"Subject: 2\r\n\r\nno end")
    assert server.connections == 1
    assert server.received == [
        *("ehlo x.org", "MAIL FROM:<a@x.org>", "RCPT TO:<b@y.org>", "DATA", "Subject: 1", "", "..dot", "...two", "."),
        *("MAIL FROM:<a@x.org>", "RCPT TO:<c@y.org>", "DATA", "Subject: 2", "", "no end", "."),
    ]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"RCPT": ["450 4.2.1 later"]}, RecipientDeferredError),
        ({"RCPT": ["452 4.5.3 too many"]}, RecipientDeferredError),
        ({"RCPT": ["550 5.1.1 no <b@y.org>"]}, RecipientRefusedError),
        ({"RCPT": ["553 5.1.3 bad"]}, RecipientRefusedError),
        ({"RCPT": ["530 5.7.0 who are you"]}, MailConfigurationError),
        ({"RCPT": ["421 4.3.2 closing"]}, ServerUnavailableError),
        ({"RCPT": [None]}, ServerUnavailableError),
        ({"RCPT": ["nonsense"]}, ServerUnavailableError),
        ({"MAIL": ["451 4.3.0 disk"]}, ServerUnavailableError),
        ({"MAIL": ["550 5.7.1 not you"]}, MailConfigurationError),
        ({"MAIL": ["552 5.3.4 too big"]}, RecipientRefusedError),
        ({"DATA": ["451 4.3.0 later"]}, RecipientDeferredError),
        ({"DATA": ["554 5.5.1 no"]}, RecipientRefusedError),
        ({".": ["451 4.7.1 greylisted"]}, RecipientDeferredError),
        ({".": ["554 5.7.1 spam"]}, RecipientRefusedError),
        ({".": ["421 4.3.2 closing"]}, ServerUnavailableError),
        ({".": [None]}, HandoverUnknownError),
        ({".": [""]}, HandoverUnknownError),
        ({"greeting": ["554 no"]}, ServerUnavailableError),
        ({"greeting": [None]}, ServerUnavailableError),
        ({"RCPT": [""]}, ServerUnavailableError),
    ],
)
@pytest.mark.parametrize("extensions", [{}, PIPELINING])
def test_each_failure_has_its_kind_and_the_next_message_goes_through(
    pair: Pair, extensions: Script, script: Script, kind: type[MailError]
) -> None:
    mailer, server = pair.make({**extensions, **script}, extensions)
    with pytest.raises(MailError) as raised:
        mailer.send("a@x.org", "b@y.org", b"Subject: 1\r\n\r\n")
    assert type(raised.value) is kind
    assert "b@y.org" not in str(raised.value)
    mailer.send("a@x.org", "c@y.org", b"Subject: 2\r\n\r\n")
    assert server.received[-1] == "."


@pytest.mark.parametrize(
    ("script", "is_about_address"),
    [
        ({"RCPT": ["550 5.1.1 no such user"]}, True),
        ({"RCPT": ["550 no such user"]}, True),
        ({"RCPT": ["550 5.7.1 blocked"]}, False),
        ({"DATA": ["554 5.5.1 no"]}, False),
        ({".": ["554 5.6.0 bad content"]}, False),
        ({"MAIL": ["552 5.3.4 too big"]}, False),
    ],
)
def test_which_refusals_are_about_the_address(pair: Pair, script: Script, is_about_address: bool) -> None:
    mailer, _ = pair.make(script)
    with pytest.raises(RecipientRefusedError) as raised:
        mailer.send("a@x.org", "b@y.org", b"Subject: 1\r\n\r\n")
    assert raised.value.is_about_address is is_about_address


def test_the_servers_words_are_kept_apart_from_what_is_logged(pair: Pair) -> None:
    mailer, _ = pair.make({"RCPT": ["550 5.1.1 no mailbox <b@y.org>"]})
    with pytest.raises(RecipientRefusedError, match=r"^the mail server answered 550 5\.1\.1 at RCPT$") as raised:
        mailer.send("a@x.org", "b@y.org", b"x\r\n")
    assert raised.value.reply == "5.1.1 no mailbox <b@y.org>"


@pytest.mark.parametrize("reply", [None, "421 4.4.2 idle too long"])
@pytest.mark.parametrize("extensions", [{}, PIPELINING])
def test_a_connection_that_went_stale_is_replaced_unnoticed(pair: Pair, extensions: Script, reply: str | None) -> None:
    mailer, server = pair.make({**extensions, "MAIL": ["250 ok", reply]}, extensions)
    mailer.send("a@x.org", "b@y.org", b"Subject: 1\r\n\r\n")
    mailer.send("a@x.org", "b@y.org", b"Subject: 2\r\n\r\n")
    assert server.connections == 2
    assert [line for line in server.received if line.startswith("Subject")] == ["Subject: 1", "Subject: 2"]


def test_nobody_listens() -> None:
    mailer = SmtpMailer(NotificationsSettings(sender="a@x.org", port=1))
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:1: Connection refused"):
        mailer.connect()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [("535 5.7.8 wrong", MailConfigurationError), ("454 4.7.0 later", ServerUnavailableError)],
)
def test_authentication_failures(pair: Pair, reply: str, kind: type[MailError]) -> None:
    mailer, _ = pair.make({"EHLO": ["250-ok\n250 AUTH PLAIN"], "AUTH": [reply]}, user="me", password="hush-hush")
    with pytest.raises(kind, match="check user and password") as raised:
        mailer.connect()
    assert type(raised.value) is kind
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("changes", [{"tls": "starttls"}, {"user": "me", "password": "x"}])
def test_what_the_server_does_not_offer_is_a_matter_of_configuration(pair: Pair, changes: dict[str, object]) -> None:
    mailer, _ = pair.make({}, **changes)
    with pytest.raises(MailConfigurationError, match="check tls and user"):
        mailer.connect()


def test_tls_against_a_server_without_it(pair: Pair) -> None:
    mailer, _ = pair.make({}, tls="tls", connect_timeout_s=0.5)
    with pytest.raises(ServerUnavailableError):
        mailer.connect()


def test_addresses_beyond_ascii_need_smtputf8(pair: Pair) -> None:
    mailer, server = pair.make({"EHLO": ["250-ok\n250-SIZE 1000\n250 SMTPUTF8"]})
    mailer.send("a@x.org", "jána@y.org", b"x\r\n")
    assert "MAIL FROM:<a@x.org> SIZE=3 SMTPUTF8 BODY=8BITMIME" in server.received
    assert "RCPT TO:<jána@y.org>" in server.received
    plain, _ = pair.make({})
    with pytest.raises(RecipientRefusedError, match="SMTPUTF8"):
        plain.send("a@x.org", "jána@y.org", b"x\r\n")


@pytest.mark.parametrize(
    ("script", "kind"), [({"RCPT": [""]}, ServerUnavailableError), ({".": [""]}, HandoverUnknownError)]
)
@pytest.mark.alone
def test_an_interrupt_ends_the_wait_for_a_reply(pair: Pair, script: Script, kind: type[MailError]) -> None:
    mailer, _ = pair.make(script, reply_timeout_s=30.0, accepted_timeout_s=30.0)
    threading.Timer(0.1, mailer.interrupt).start()
    started = time.monotonic()
    with pytest.raises(MailError) as raised:
        mailer.send("a@x.org", "b@y.org", b"x\r\n")
    assert type(raised.value) is kind
    assert time.monotonic() - started < 0.5
    with pytest.raises(ServerUnavailableError, match="stopping"):
        mailer.connect()


def test_smtplib_still_checks_certificates_against_this_attribute() -> None:
    # SmtpMailer sets it, since the constructor only does so when it connects itself.
    assert smtplib.SMTP()._host == ""  # type: ignore[attr-defined]
