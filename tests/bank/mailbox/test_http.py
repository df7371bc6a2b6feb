import asyncio
import re
import socket
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from tests.bank.mailbox.support import SECRET, RawClient

from streambank.bank.mailbox import MailboxServer, MailboxStore
from streambank.bank.mailbox.http import Counters, create_app
from streambank.bank.mailbox.message import Envelope
from streambank.errors import StreambankError

NOW_MS = 1_795_521_600_123


def email(subject: str, html: str | None = "<html><head><title>t</title></head><body><b>Hi</b></body></html>") -> bytes:
    message = EmailMessage()
    message["From"] = "Bank <alerts@bank.example>"
    message["To"] = "Jana Nováková <jana@example.org>, petr@example.org"
    message["Subject"] = subject
    message["Message-ID"] = f"<{len(subject)}@bank.example>"
    message["Date"] = "Tue, 24 Nov 2026 12:00:00 +0100"
    message["List-Unsubscribe"] = "<https://bank.example/u>, <mailto:u@bank.example>"
    message.set_content(f"Plain text of {subject}\n")
    if html is not None:
        message.add_alternative(html, subtype="html")
        message.set_boundary("=_boundary")
    return message.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailboxStore]:
    opened = MailboxStore.open(tmp_path / "m.db", create=True, clock=lambda: NOW_MS)
    envelope = Envelope("bounce@bank.example", ("jana@example.org", "petr@example.org", "hidden@example.org"), "bank")
    opened.add([(envelope, email(subject)) for subject in ("first", "second žluťoučký", "third 100%")])
    yield opened
    opened.close()


class Client:
    """Asks the application itself, without a server."""

    def __init__(self, app: Starlette) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025", auth=("anybody", SECRET))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self.http.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def forget_password(self) -> None:
        self.http.auth = httpx.Auth()

    def close(self) -> None:
        self._runner.run(self.http.aclose())
        self._runner.close()


@pytest.fixture
def client(store: MailboxStore) -> Iterator[Client]:
    made = Client(create_app(store, Counters(NOW_MS - 5_000), SECRET, lambda: NOW_MS))
    yield made
    made.close()


def test_messages_in_mailpits_shape(client: Client) -> None:
    page = client.get("/api/v1/messages", params={"start": 1, "limit": 1}).json()
    (message,) = page.pop("messages")
    assert page == {
        "total": 3, "unread": 3, "count": 1, "messages_count": 3, "messages_unread": 3, "start": 1, "tags": [],
    }  # fmt: skip
    assert re.fullmatch(r"[0-9a-f-]{36}", message.pop("ID"))
    assert message.pop("Size") > 500
    assert message == {
        "MessageID": "16@bank.example",
        "Read": False,
        "From": {"Name": "Bank", "Address": "alerts@bank.example"},
        "To": [{"Name": "Jana Nováková", "Address": "jana@example.org"}, {"Name": "", "Address": "petr@example.org"}],
        "Cc": [],
        "Bcc": [{"Name": "", "Address": "hidden@example.org"}],
        "ReplyTo": [],
        "Subject": "second žluťoučký",
        "Created": "2026-11-24T12:00:00.123Z",
        "Username": "bank",
        "Tags": [],
        "Attachments": 0,
        "Snippet": "Plain text of second žluťoučký",
    }


def test_one_message_in_mailpits_shape_and_it_is_read_then(client: Client) -> None:
    message = client.get("/api/v1/message/latest").json()
    assert (message["Subject"], message["ReturnPath"], message["Date"]) == (
        "third 100%",
        "bounce@bank.example",
        "2026-11-24T12:00:00.000+01:00",
    )
    assert message["Text"] == "Plain text of third 100%\r\n"
    assert "<b>Hi</b>" in message["HTML"]
    assert message["ListUnsubscribe"] == {
        "Header": "<https://bank.example/u>, <mailto:u@bank.example>",
        "Links": ["https://bank.example/u", "mailto:u@bank.example"],
        "Errors": "",
        "HeaderPost": "",
    }
    assert (message["Attachments"], message["Inline"], message["Tags"]) == ([], [], [])
    assert client.get("/api/v1/messages").json()["unread"] == 2


def test_headers_source_and_views(client: Client) -> None:
    headers = client.get("/api/v1/message/latest/headers").json()
    assert headers["Subject"] == ["third 100%"]
    assert headers["To"] == ["Jana Nováková <jana@example.org>, petr@example.org"]
    raw = client.get("/api/v1/message/latest/raw", params={"dl": 1})
    assert raw.content == email("third 100%")
    assert raw.headers["content-disposition"].endswith('.eml"')
    assert client.get("/view/latest.txt").text == "Plain text of third 100%\r\n"
    view = client.get("/view/latest.html")
    assert '<head><base target="_blank"><title>' in view.text
    assert view.headers["content-security-policy"].startswith("sandbox allow-popups allow-popups-to-escape-sandbox;")
    assert "script" not in view.headers["content-security-policy"]


def test_a_message_without_html(client: Client, store: MailboxStore) -> None:
    store.add([(Envelope("a@x.org", ("b@y.org",)), email("plain", html=None))])
    assert client.get("/view/latest.html").status_code == 404
    assert client.get("/api/v1/message/latest").json()["HTML"] == ""


def test_an_attachment_and_broken_parts(client: Client, store: MailboxStore) -> None:
    message = EmailMessage()
    message["Subject"] = "with file"
    message.set_content("text")
    message.add_attachment(b"\x00\x01", maintype="application", subtype="pdf", filename="a.pdf")
    store.add([(Envelope("a@x.org", ("b@y.org",)), message.as_bytes())])
    (attachment,) = client.get("/api/v1/message/latest").json()["Attachments"]
    assert (attachment["FileName"], attachment["ContentType"], attachment["Size"]) == ("a.pdf", "application/pdf", 2)
    assert attachment["Checksums"]["SHA256"].startswith("b413f47d")
    broken = (
        b"Content-Type: text/html; charset=nonsense\r\nSubject: =?bad?q?x?=\r\nFrom: @@,<\r\nDate: never\r\n\r\n\xff"
    )
    store.add([(Envelope("a@x.org", ("b@y.org",)), broken)])
    found = client.get("/api/v1/message/latest").json()
    assert (found["HTML"], found["Date"]) == ("\ufffd", "2026-11-24T12:00:00.123Z")
    assert client.get("/api/v1/messages").status_code == 200


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("first", ["first"]),
        ("ŽLUŤOUČKÝ", ["second žluťoučký"]),
        ("plain text", ["third 100%", "second žluťoučký", "first"]),
        ('"text of second"', ["second žluťoučký"]),
        ("100%", ["third 100%"]),
        ("%", ["third 100%"]),
        ("_", []),
        ("subject:third", ["third 100%"]),
        ("from:bank.example -subject:third !first", ["second žluťoučký"]),
        ("to:jana", ["third 100%", "second žluťoučký", "first"]),
        ("bcc:hidden subject:first", ["first"]),
        ("message-id:5@bank", ["first"]),
        ("is:read", []),
        ("is:unread subject:first", ["first"]),
        ("'; DROP TABLE message", []),
        ('"', []),
    ],
)
def test_search(client: Client, query: str, subjects: list[str]) -> None:
    page = client.get("/api/v1/search", params={"query": query}).json()
    assert [m["Subject"] for m in page["messages"]] == subjects
    assert (page["messages_count"], page["total"]) == (len(subjects), 3)


def test_the_read_flag(client: Client) -> None:
    first = client.get("/api/v1/search", params={"query": "first"}).json()["messages"][0]["ID"]
    assert client.put("/api/v1/messages", json={"Read": True, "IDs": [first]}).text == "ok"
    assert client.get("/api/v1/messages").json()["unread"] == 2
    client.put("/api/v1/messages", json={"Read": True, "Search": "subject:third"})
    assert client.get("/api/v1/messages").json()["unread"] == 1
    client.put("/api/v1/messages", json={"Read": True})
    assert client.get("/api/v1/messages").json()["unread"] == 0
    client.put("/api/v1/messages", json={"Read": False})
    assert client.get("/api/v1/info").json()["Unread"] == 3


def test_deleting(client: Client) -> None:
    first = client.get("/api/v1/search", params={"query": "first"}).json()["messages"][0]["ID"]
    client.request("DELETE", "/api/v1/messages", json={"IDs": [first]})
    client.request("DELETE", "/api/v1/search", params={"query": "subject:third"})
    assert [m["Subject"] for m in client.get("/api/v1/messages").json()["messages"]] == ["second žluťoučký"]
    assert client.get(f"/api/v1/message/{first}").status_code == 404
    client.request("DELETE", "/api/v1/messages")
    assert client.get("/api/v1/messages").json()["messages"] == []
    assert client.get("/api/v1/message/latest").status_code == 404
    assert client.get("/api/v1/info").json()["RuntimeStats"]["MessagesDeleted"] == 3


def test_info(client: Client) -> None:
    info = client.get("/api/v1/info").json()
    assert (info["Messages"], info["Unread"], info["RuntimeStats"]["Uptime"]) == (3, 3, 5)
    assert info["DatabaseSize"] > 4096


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/messages?limit=x", b""),
        ("GET", "/api/v1/messages?start=-1", b""),
        ("GET", "/api/v1/search", b""),
        ("PUT", "/api/v1/messages", b"{"),
        ("PUT", "/api/v1/messages", b"[]"),
        ("PUT", "/api/v1/messages", b'{"IDs":[1]}'),
        ("PUT", "/api/v1/messages", b'{"IDs":["a"],"Search":"b"}'),
        ("PUT", "/api/v1/messages", b'{"Read":"yes"}'),
        ("DELETE", "/api/v1/messages", b"not json"),
        ("DELETE", "/api/v1/messages", b"x" * (1024 * 1024 + 1)),
    ],
)
def test_bad_requests_change_nothing(client: Client, method: str, path: str, body: bytes) -> None:
    answer = client.request(method, path, content=body)
    assert answer.status_code == 400
    assert answer.json()["Error"]
    assert client.get("/api/v1/info").json()["Unread"] == 3


PATHS = ["/", "/app.js", "/style.css", "/api/v1/messages", "/api/v1/message/latest", "/view/latest.html"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_the_secret(client: Client, path: str) -> None:
    client.forget_password()
    for headers in (
        {},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer " + SECRET},
        {"Cookie": "mailbox-8025=guess"},
    ):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"][:5]) == (401, "Basic")
    assert client.get(path, auth=("x", "wrong")).status_code == 401
    assert client.get(path, params={"token": "wrong"}).status_code == 401
    assert client.get(path, auth=("x", SECRET)).status_code == 200


def test_a_link_with_the_secret_sets_a_cookie_and_disappears(client: Client) -> None:
    client.forget_password()
    answer = client.get("/", params={"token": SECRET, "q": "a b"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=a+b")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert SECRET not in cookie
    assert client.get("/api/v1/messages").status_code == 200
    assert (
        client.get("http://127.0.0.1:8025//evil.example/", params={"token": SECRET}).headers["location"]
        == "/evil.example/"
    )


def test_other_host_names_are_not_answered(client: Client) -> None:
    assert client.get("/livez", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/livez", headers={"Host": "localhost:8025"}).status_code == 200


def test_health_needs_no_secret(client: Client) -> None:
    client.forget_password()
    assert [client.get(path).text for path in ("/livez", "/readyz")] == ["ok", "ok"]


def test_the_page_asks_nothing_of_other_machines(client: Client) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert "http://" not in page.text + client.get("/app.js").text + client.get("/style.css").text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.alone
def test_the_server_closes_at_once_with_open_connections(tmp_path: Path) -> None:
    server = MailboxServer(tmp_path / "m.db", secret=SECRET)
    server.start()
    with (
        RawClient(server.smtp_port) as smtp,
        RawClient(server.smtp_port) as sending,
        httpx.Client(auth=("x", SECRET)) as kept_alive,
        socket.create_connection(("127.0.0.1", server.http_port)) as half_a_request,
    ):
        smtp.reply()
        sending.log_in()
        sending.start_message()
        sending.send(b"half a mess")
        assert kept_alive.get(server.url).status_code == 200
        half_a_request.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 0.5
        assert sending.reply() == ""
    server.close()


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with MailboxServer(tmp_path / "m.db", secret=SECRET) as server:
        for smtp_port, http_port in ((server.smtp_port, 0), (0, server.smtp_port)):
            other = MailboxServer(tmp_path / "other.db", secret=SECRET, smtp_port=smtp_port, http_port=http_port)
            with pytest.raises(StreambankError, match=f"{server.smtp_port}.*Another program may use them"):
                other.start()


def test_a_restarted_server_has_the_messages(tmp_path: Path) -> None:
    for expected in (0, 1):
        with MailboxServer(tmp_path / "m.db", secret=SECRET) as server, RawClient(server.smtp_port) as client:
            found = httpx.get(f"{server.url}api/v1/messages", auth=("x", SECRET)).json()
            assert found["total"] == expected
            client.log_in()
            client.start_message()
            client.send(b"Subject: kept\r\n.\r\n")
            assert client.reply().startswith("250")
