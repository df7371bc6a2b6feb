"""The inbox from the command line."""

import json

import pytest
from tests.cli.conftest import Person
from tests.cli.support import wait_until

RESET = "Set a new password"


@pytest.fixture
def told(ann: Person) -> Person:
    """Ann, who was told of two things: somebody asked for a new password, twice."""
    for _ in range(2):
        with ann.bank.client() as client:
            client.users.ask_for_password_reset(ann.email)
    wait_until(lambda: len(json.loads(ann.done("inbox", "ls", "-o", "json"))) == 2, "two notices")
    return ann


def test_what_was_told_is_listed_and_read(told: Person) -> None:
    listed = told("inbox", "ls")
    assert [line.split()[2:7] for line in listed.stdout.splitlines()[1:]] == [["new", *RESET.split()]] * 2
    assert listed.stderr == "2 not read\n"
    assert len(json.loads(told.done("inbox", "ls", "-n", "1", "-o", "json"))) == 1
    latest, older = json.loads(told.done("inbox", "ls", "-o", "json"))
    shown = told.done("inbox", "read", "latest")
    assert RESET in shown
    assert json.loads(told.done("inbox", "read", latest["id"], "-o", "json"))["read_at"] is not None
    assert [n["id"] for n in json.loads(told.done("inbox", "ls", "-u", "-o", "json"))] == [older["id"]]
    assert told.done("inbox", "read", "--all") == ""
    assert json.loads(told.done("inbox", "ls", "-u", "-o", "json")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("read",), 2, "name a notice"),
        (("read", "x", "--all"), 2, "name a notice"),
        (("read", "nope"), 1, "no such notice"),
        (("read", "latest"), 1, "the inbox is empty"),
        (("ls", "-n", "0"), 2, "--lines"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("inbox", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr
