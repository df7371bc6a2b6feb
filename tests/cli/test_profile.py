"""The profile from the command line: what is changed, what is kept, and what is refused."""

import json

import pytest
from tests.bank.client.bank import PASSWORD
from tests.cli.conftest import Person

NEW_PASSWORD = "another horse, another battery"


def test_what_is_named_changes_and_the_rest_stays(ann: Person) -> None:
    before = json.loads(ann.done("profile", "show", "-o", "json"))
    assert (before["quiet_hours"], before["digest"]) == (None, "none")
    ann.done("profile", "set", "--timezone", "Europe/Prague", "--quiet-hours", "22:00-7:30")
    ann.done("profile", "set", "--digest", "daily")
    after = json.loads(ann.done("profile", "show", "-o", "json"))
    assert after["quiet_hours"] == {"from_minute": 22 * 60, "to_minute": 7 * 60 + 30}
    assert (after["digest"], after["timezone"]) == ("daily", "Europe/Prague")
    assert after["name"] == before["name"]
    shown = ann.done("profile", "set", "--name", "Ann Other", "--locale", "de-AT")
    assert "22:00-07:30" in shown
    assert "Ann Other" in shown
    assert "de-AT" in shown
    ann.done("profile", "set", "--quiet-hours", "none")
    assert json.loads(ann.done("profile", "show", "-o", "json"))["quiet_hours"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name what to change"),
        (("--quiet-hours", "22-7"), "write it like 22:00-07:00, or none"),
        (("--quiet-hours", "24:00-07:00"), "write it like 22:00-07:00, or none"),
        (("--quiet-hours", "07:00-07:00"), "are equal"),
        (("--timezone", "Prague"), "timezone: no time zone of the IANA database"),
        (("--locale", "klingon"), "locale"),
    ],
)
def test_what_cannot_be_is_refused(ann: Person, arguments: tuple[str, ...], says: str) -> None:
    refused = ann("profile", "set", *arguments)
    assert refused.code == 2
    assert says in refused.stderr


def test_a_new_password_ends_every_log_in(ann: Person) -> None:
    wrong = ann("profile", "password", "--password-stdin", text=f"not it at all\n{NEW_PASSWORD}\n")
    assert wrong.code == 1
    ann.done("profile", "password", "--password-stdin", text=f"{PASSWORD}\n{NEW_PASSWORD}\n")
    refused = ann("whoami")
    assert refused.code == 1
    assert "streambank login" in refused.stderr
    ann.done("login", ann.email, "--password-stdin", text=f"{NEW_PASSWORD}\n")
    ann.done("whoami")


def test_a_new_address_is_taken_once_it_is_confirmed(ann: Person) -> None:
    address = f"new-{ann.email}"
    said = ann("profile", "email", address, "--password-stdin", text=f"{PASSWORD}\n")
    assert said.code == 0
    assert "streambank verify CODE" in said.stderr
    assert ann.email in ann.done("profile", "show")
    ann.done("verify", ann.bank.mailed_token(address))
    ann.done("login", address, "--password-stdin", text=f"{PASSWORD}\n")
    assert address in ann.done("profile", "show")
