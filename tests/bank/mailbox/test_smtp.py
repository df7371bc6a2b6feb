import smtplib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bank.mailbox.support import SECRET, RawClient, auth_plain

from streambank.bank.mailbox import MailboxServer, MailboxStore
from streambank.bank.mailbox.smtp import SmtpLimits

LIMITS = SmtpLimits(message_bytes_max=5_000, recipients_max=3, connections_max=8, idle_s=30.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    path = tmp_path_factory.mktemp("mailbox") / "mailbox.db"
    with MailboxServer(path, secret=SECRET, limits=LIMITS) as running:
        yield running


@pytest.fixture
def store(server: MailboxServer) -> Iterator[MailboxStore]:
    opened = MailboxStore.open(server._database)
    yield opened
    opened.close()


@pytest.fixture
def client(server: MailboxServer) -> Iterator[RawClient]:
    with RawClient(server.smtp_port) as connected:
        yield connected


def newest(store: MailboxStore) -> bytes:
    message = store.get("latest")
    assert message is not None
    return message.raw


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"Subject: x\r\n\r\nbody\r\n.\r\n", b"Subject: x\r\n\r\nbody\r\n"),
        (b"..\r\n..a\r\n...\r\nb.\r\n.\r\n", b".\r\n.a\r\n..\r\nb.\r\n"),
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        ("Subject: žluťoučký\r\n.\r\n".encode(), "Subject: žluťoučký\r\n".encode()),
    ],
)
def test_dots_are_unstuffed(client: RawClient, store: MailboxStore, sent: bytes, stored: bytes) -> None:
    client.log_in()
    client.start_message()
    client.send(sent)
    assert client.reply() == "250 2.0.0 Stored"
    assert newest(store) == stored


def test_a_message_in_single_bytes(client: RawClient, store: MailboxStore) -> None:
    client.log_in()
    client.start_message()
    for byte in b"a\r\n..\r\n.\r\n":
        client.send(bytes([byte]))
        time.sleep(0.001)
    assert client.reply().startswith("250")
    assert newest(store) == b"a\r\n.\r\n"


def test_pipelining(client: RawClient, store: MailboxStore) -> None:
    client.log_in()
    start = b"MAIL FROM:<a@x.org> SIZE=9 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<b@y.org>\r\nDATA\r\n"
    client.send(start)
    assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
    # The rest of one message and the whole next group in one packet.
    client.send(b"one\r\n.\r\n" + start)
    assert [client.reply()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
    assert newest(store) == b"one\r\n"
    client.send(b"two\r\n.\r\nNOOP\r\nQUIT\r\n")
    assert [client.reply()[:3] for _ in range(4)] == ["250", "250", "221", ""]
    assert newest(store) == b"two\r\n"


@pytest.mark.parametrize(
    ("commands", "last"),
    [
        (["MAIL FROM:<a@x.org>"], "503"),
        (["EHLO"], "501"),
        (["EHLO t", "MAIL FROM:<a@x.org>"], "530"),
        (["EHLO t", auth_plain("wrong")], "535"),
        (["EHLO t", "AUTH PLAIN !!!"], "501"),
        (["EHLO t", "AUTH PLAIN", "*"], "501"),
        (["EHLO t", "AUTH LOGIN"], "504"),
        (["AUTH PLAIN"], "503"),
        (["EHLO t", auth_plain(SECRET), auth_plain(SECRET)], "503"),
        (["EHLO t", auth_plain(SECRET), "RCPT TO:<b@y.org>"], "503"),
        (["EHLO t", auth_plain(SECRET), "DATA"], "503"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org>", "DATA"], "503"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org>", "MAIL FROM:<a@x.org>"], "503"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org>", "RSET", "RCPT TO:<b@y.org>"], "503"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org>", "EHLO t", "MAIL FROM:<a@x.org>"], "250"),
        (["EHLO t", auth_plain(SECRET), "MAIL a@x.org"], "501"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org> SIZE=5001"], "552"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org> SIZE=5000"], "250"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<a@x.org> WHAT=1"], "555"),
        (["EHLO t", auth_plain(SECRET), "mail from:<>"], "250"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<>", "RCPT TO:<>"], "501"),
        (["EHLO t", auth_plain(SECRET), "MAIL FROM:<>", *["RCPT TO:<b@y.org>"] * 4], "452"),
        (["HELO t"], "250"),
        (["VRFY x"], "252"),
        (["WHAT"], "500"),
        ([""], "500"),
        (["NOOP \x01"], "500"),
        (["x" * 20_000], "500"),
        (["x" * 20_000, "NOOP"], "250"),
    ],
)
def test_commands_in_good_and_bad_order(client: RawClient, commands: list[str], last: str) -> None:
    assert client.reply().startswith("220")
    assert [client.ask(command) for command in commands][-1].startswith(last)


def test_three_wrong_passwords_end_the_session(client: RawClient) -> None:
    client.reply()
    client.ask("EHLO t")
    assert [client.ask(auth_plain(f"guess {n}"))[:3] for n in range(3)] == ["535"] * 3
    assert client.reply() == ""


def test_what_is_offered(server: MailboxServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp_port) as client:
        client.ehlo()
        assert {"pipelining", "8bitmime", "smtputf8", "auth", "size", "enhancedstatuscodes"} == set(
            client.esmtp_features
        )
        assert client.esmtp_features["size"] == "5000"


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"x\r\n" * 2_000, "552"),
        (b"x\r\n" * 40_000, "552"),
        (b"x" * 999 + b"\r\n", "554 5.6.0 A line"),
        (b"a\nb\r\n", "554 5.6.0 A CR or LF"),
        (b"a\rb\r\n", "554 5.6.0 A CR or LF"),
        # What would smuggle a second message past a server that takes a bare LF for a line break.
        (b"a\n.\nMAIL FROM:<evil@x.org>\r\n", "554 5.6.0 A CR or LF"),
    ],
)
def test_a_refused_message_leaves_the_session_usable(
    client: RawClient, store: MailboxStore, content: bytes, answer: str
) -> None:
    before = store.count()
    client.log_in()
    client.start_message()
    client.send(content + b".\r\n")
    assert client.reply().startswith(answer)
    client.start_message()
    client.send(b"fine\r\n.\r\n")
    assert client.reply().startswith("250")
    assert store.count() == before + 1
    assert newest(store) == b"fine\r\n"


def test_too_many_connections_are_sent_away(server: MailboxServer) -> None:
    clients = [RawClient(server.smtp_port) for _ in range(LIMITS.connections_max)]
    try:
        assert all(client.reply().startswith("220") for client in clients)
        with RawClient(server.smtp_port) as one_more:
            assert one_more.reply().startswith("421")
    finally:
        for client in clients:
            client.__exit__()


def test_an_idle_client_is_sent_away(tmp_path: Path) -> None:
    with (
        MailboxServer(tmp_path / "m.db", secret=SECRET, limits=SmtpLimits(idle_s=0.1)) as server,
        RawClient(server.smtp_port) as client,
    ):
        assert client.reply().startswith("220")
        assert client.reply() == ""


def test_without_a_password_anybody_on_this_machine_may_send(tmp_path: Path) -> None:
    with (
        MailboxServer(tmp_path / "m.db", secret=SECRET, smtp_secret=False) as server,
        smtplib.SMTP("127.0.0.1", server.smtp_port) as client,
    ):
        client.sendmail("a@x.org", ["b@y.org"], "Subject: x\r\n\r\n")
        assert "auth" not in client.esmtp_features


def test_what_was_answered_with_250_is_in_the_file(tmp_path: Path) -> None:
    with MailboxServer(tmp_path / "m.db", secret=SECRET) as server:

        def send(sender: int) -> None:
            with smtplib.SMTP("127.0.0.1", server.smtp_port) as client:
                client.login("user", SECRET)
                for n in range(20):
                    client.sendmail("a@x.org", ["b@y.org"], f"Subject: {sender}-{n}\r\n\r\n")

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(send, range(5)))
        # Read as another process would, while the server still runs.
        store = MailboxStore.open(tmp_path / "m.db")
        subjects = {m.subject for m in store.messages(limit=200)}
        store.close()
    assert subjects == {f"{sender}-{n}" for sender in range(5) for n in range(20)}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20), max_size=8))
def test_what_smtplib_sends_is_what_is_stored(server: MailboxServer, store: MailboxStore, lines: list[str]) -> None:
    content = "".join(line + "\r\n" for line in lines).encode()
    with smtplib.SMTP("127.0.0.1", server.smtp_port) as client:
        client.login("user", SECRET)
        client.sendmail("a@x.org", ["b@y.org"], content)
    # smtplib ends an empty message with a line break of its own.
    assert newest(store) == content or (content, newest(store)) == (b"", b"\r\n")
