"""E-mail settings and webhooks from the command line."""

import io
import json
import sys

import pytest
from tests.cli.conftest import Person
from tests.cli.support import wait_until

URL = "https://hooks.example.org/ann"


def test_e_mails_are_switched_off_and_on(ann: Person) -> None:
    seen = json.loads(ann.done("notify", "settings", "-o", "json"))
    assert seen["email"] == {"alerts": True, "goals": True, "payments": True}
    changed = json.loads(ann.done("notify", "settings", "--goals", "off", "--payments", "off", "-o", "json"))
    assert changed["email"] == {"alerts": True, "goals": False, "payments": False}
    shown = ann.done("notify", "settings", "--goals", "on").splitlines()
    assert [line.split()[-1] for line in shown[1:4]] == ["on", "on", "off"]


def test_a_webhook_from_its_start_to_its_end(ann: Person) -> None:
    made = json.loads(ann.done("notify", "webhook", "add", URL, "--about", "alerts", "-o", "json"))
    assert made["secret"].startswith("whsec_")
    assert URL in ann.done("notify", "webhook", "ls")
    assert "secret" not in ann.done("notify", "webhook", "ls", "-o", "json")
    assert ann.done("notify", "webhook", "ping", URL).startswith("msg_")

    with ann.bank.client(ann.email) as client:

        def failed() -> bool:
            [entry] = client.notifications.deliveries(made["id"])
            return entry.state == "failed"

        wait_until(failed, "the test has failed: the host is none")
    [row] = ann.done("notify", "webhook", "log", URL).splitlines()[1:]
    assert "the host's name leads to no address" in row
    rotated = json.loads(ann.done("notify", "webhook", "rotate", URL, "-o", "json"))
    assert rotated["secret"] not in (made["secret"], "")
    ann.done("notify", "webhook", "set", URL, "--off", "--about", "goals", "--about", "payments")
    assert "off: you switched it off" in ann.done("notify", "webhook", "ls")
    assert ann("notify", "webhook", "ping", URL).code == 1
    ann.done("notify", "webhook", "set", made["id"], "--on", "--url", f"{URL}/2")
    [seen] = json.loads(ann.done("notify", "webhook", "ls", "-o", "json"))
    assert (seen["url"], seen["enabled"], seen["categories"]) == (f"{URL}/2", True, ["goals", "payments"])
    ann.done("notify", "webhook", "rm", f"{URL}/2")
    assert json.loads(ann.done("notify", "webhook", "ls", "-o", "json")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("webhook", "add", "ftp://x.example.org"), 2, "url"),
        (("webhook", "add", "http://hooks.example.org/"), 1, "https://"),
        (("webhook", "add", "https://127.0.0.1/"), 1, "cannot lead to this machine"),
        (("webhook", "rm", "nope"), 1, "no webhook 'nope'"),
        (("webhook", "set", "nope"), 2, "say what to change"),
        (("webhook", "log", "nope", "-n", "0"), 2, "--lines"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("notify", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr


def test_of_a_mail_that_is_no_report_nothing_is_done(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Subject: hello\n\nno report\n")))
    found = ann.call("notify", "bounce", "--server", ann.bank.url, "--data", str(ann.data))
    assert found.code == 0
    assert "no report" in found.stderr
