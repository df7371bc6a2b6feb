import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streambank.bank.mailbox import MailboxStore, read_or_create_secret
from streambank.bank.mailbox.message import Envelope, ParsedMessage
from streambank.errors import StreambankError
from streambank.service.errors import DatabaseMissingError

ENVELOPE = Envelope("a@x.org", ("b@y.org", "c@y.org"))


def test_messages_for_a_list(tmp_path: Path) -> None:
    writer = MailboxStore.open(tmp_path / "m.db", create=True, clock=lambda: 7)
    ids = writer.add([(ENVELOPE, b"Subject: one\r\n\r\nbody"), (ENVELOPE, b"From: d@z.org\r\nTo: b@y.org\r\n\r\n")])
    reader = MailboxStore.open(tmp_path / "m.db")
    two, one = reader.messages()
    assert [one.id, two.id] == ids
    assert (one.sender, one.recipients, one.subject, one.snippet, one.size, one.received_at, one.is_read) == (
        *("a@x.org", "b@y.org, c@y.org", "one", "body", 20, 7, False),
    )
    assert (two.sender, two.recipients, two.subject) == ("d@z.org", "b@y.org, c@y.org", "")
    assert reader.messages(start=1, limit=1) == [one]
    reader.close()
    writer.close()


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    store = MailboxStore.open(tmp_path / "m.db", create=True, messages_max=10)
    for n in range(35):
        store.add([(ENVELOPE, b"Subject: %d\r\n\r\n" % n)])
    # Pruned once per ten arrivals.
    assert [m.subject for m in store.messages()] == [str(n) for n in range(34, 19, -1)]
    store.close()


@given(st.binary(max_size=200), st.binary(max_size=60))
@example(b"", b"=?utf-7?q?+2AA-?=")
@example(b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-", b"")
@example(b"Content-Type: text/plain; charset=\xff\r\n\r\nx", b"\xc5\xbe <\xc5\xbe@x.org>")
@example(b"Content-Type: application/x; name=\xff\r\nContent-ID: \xff\r\n\r\nx", b"")
@example(b"Content-Type: text/html; charset=idna\r\n\r\n\xff", b"")
@example(b"Content-Transfer-Encoding: base64\r\n\r\n!", b"")
def test_whatever_bytes_come_can_be_shown(raw: bytes, header: bytes) -> None:
    line = header.replace(b"\r", b" ").replace(b"\n", b" ")
    headers = b"".join(name + b": " + line + b"\r\n" for name in (b"Subject", b"From", b"To", b"Date"))
    message = ParsedMessage(headers + raw)
    summary = message.summary(ENVELOPE)
    shown = [summary, message.full({"ID": "x", **summary}, "", datetime.now(UTC)), message.headers()]
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode()) == shown
    message.search_text(summary).encode()


def test_looking_at_a_mailbox_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError, match="nothing has been stored there yet"):
        MailboxStore.open(tmp_path / "m.db")


def test_a_secret_is_made_once_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "mailbox.secret"
    secret = read_or_create_secret(path, lambda n: bytes(range(n)))
    assert secret == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
    assert read_or_create_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["mailbox.secret"]
    path.chmod(0o644)
    with pytest.raises(StreambankError, match="chmod 600"):
        read_or_create_secret(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(StreambankError, match="too short"):
        read_or_create_secret(path)


def test_only_the_running_mailbox_imports_a_web_server() -> None:
    code = (
        "import sys, streambank.bank.mailbox, streambank.bank.notifications;"
        "print([m for m in ('starlette', 'uvicorn', 'alembic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
