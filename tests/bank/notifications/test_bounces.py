"""Reports that an e-mail did not arrive, as servers write them, and as others do."""

import time

import pytest

from streambank.bank.notifications.bounces import PARSED_BYTES_MAX, Bounce, parse_report


def report(
    mark: str = "abc-DEF_123",
    status: str = "5.1.1",
    action: str = "failed",
    *,
    kind: str = "multipart/report; report-type=delivery-status",
    third: str = "text/rfc822-headers",
    header: str = "X-Streambank-Mark",
) -> bytes:
    return f"""From: MAILER-DAEMON@mx.example.org
To: alerts@streambank.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: {kind}; boundary="b1"

--b1
Content-Type: text/plain

This is the mail system. I'm sorry to have to inform you...

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
X-Queue-ID: 4Xyz

Final-Recipient: rfc822; jana@example.org
Original-Recipient: rfc822;jana@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 no such user

--b1
Content-Type: {third}

Received: from streambank.example
From: streambank <alerts@streambank.example>
{header}: {mark}
Subject: You paid

{"A text." if third == "message/rfc822" else ""}
--b1--
""".encode()


@pytest.mark.parametrize(
    ("raw", "bounce"),
    [
        (report(), Bounce("abc-DEF_123", True)),
        (report(third="message/rfc822"), Bounce("abc-DEF_123", True)),
        (report(mark="abc-\n DEF_\n\t123"), Bounce("abc-DEF_123", True)),
        (report(mark="abc-\n DEF_123", third="message/rfc822"), Bounce("abc-DEF_123", True)),
        (report(status="5.2.1"), Bounce("abc-DEF_123", True)),
        (report().replace(b"\n", b"\r\n"), Bounce("abc-DEF_123", True)),
        # What passes, or is not about the address.
        (report(status="4.2.2", action="delayed"), Bounce("abc-DEF_123", False)),
        (report(status="4.4.7"), Bounce("abc-DEF_123", False)),
        (report(status="5.7.1"), Bounce("abc-DEF_123", False)),
        (report(status="2.0.0", action="delivered"), Bounce("abc-DEF_123", False)),
        # No report, or about nothing of ours.
        (report(kind="multipart/mixed"), None),
        (report(kind="multipart/report; report-type=disposition-notification"), None),
        (report(header="X-Other"), None),
        (report(mark="x y"), None),
        (report(mark="a" * 2_000), None),
        (b"", None),
        (b"\xff\xfe\x00", None),
        (b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n--b--\n", None),
        (b"Subject: out of office\nX-Streambank-Mark: abc\n\nI am away.\n", None),
    ],
)
def test_what_a_report_says(raw: bytes, bounce: Bounce | None) -> None:
    assert parse_report(raw) == bounce


def nested(depth: int) -> bytes:
    levels = (f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return report().split(b"--b1\n")[0] + b"--b1\n" + "".join(levels).encode() + b"a line\n" * 130_000


@pytest.mark.parametrize(
    "hostile",
    [
        nested(300),
        nested(5),
        report().split(b"--b1\n")[0] + b"--b1\n" + b"Content-Type: message/rfc822\n\n" * 4_000,
        report() + b"\n" * 10**6,
    ],
)
def test_one_that_would_take_long_is_not_looked_at(hostile: bytes) -> None:
    began = time.process_time()
    parse_report(hostile)
    assert time.process_time() - began < 0.5


def test_what_comes_late_is_not_looked_at() -> None:
    assert parse_report(b"X-Long: " + b"a" * PARSED_BYTES_MAX + b"\n" + report()) is None


def test_a_mark_in_the_text_of_an_attached_mail_counts_for_nothing() -> None:
    raw = report(header="X-Other", third="message/rfc822").replace(b"A text.", b"X-Streambank-Mark: abc")
    assert parse_report(raw) is None
