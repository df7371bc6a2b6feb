"""Accounts from the command line."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Person


def test_accounts_are_listed_in_each_format(ann: Person) -> None:
    header, row = ann.done("account", "ls").splitlines()
    assert header.split()[:4] == ["ACCOUNT", "KIND", "BALANCE", "AVAILABLE"]
    assert row.split()[:6] == ["Everyday", "checking", "0.00", "EUR", "100.00", "EUR"]
    [found] = json.loads(ann.done("account", "ls", "-o", "json"))
    assert (found["name"], found["overdraft_limit_minor"]) == ("Everyday", 10_000)
    assert json.loads(ann.done("account", "ls", "-o", "jsonl")) == found


def test_an_account_is_opened_shown_renamed_and_closed(ann: Person) -> None:
    opened = json.loads(ann.done("account", "open", "Card", "--currency", "jpy", "--kind", "credit-card", "-o", "json"))
    assert (opened["currency"], opened["kind"], opened["overdraft_limit_minor"]) == ("JPY", "credit-card", None)
    ann.done("account", "rename", "card", "Trips")
    shown = ann.done("account", "show", opened["id"])
    assert "Trips" in shown
    assert "(owner)" in shown
    ann.done("account", "close", "Trips")
    assert "Trips" not in ann.done("account", "ls")
    assert "Trips (closed)" in ann.done("account", "ls", "--all")


def test_a_statement_has_the_balances_around_it(ann: Person) -> None:
    ann.done("tx", "add", "Everyday", "100", "--date", "2026-01-31")
    ann.done("tx", "add", "Everyday", "-30", "--date", "2026-02-10", "--with", "Baker")
    printed = ann.done("account", "statement", "Everyday", "--from", "2026-02-01", "--to", "2026-02-28")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert lines[1] == "before: 100.00 EUR"
    assert "2026-02-10 -30.00 EUR Baker" in lines
    assert lines[-2:] == ["in: 0.00 EUR, out: 30.00 EUR, entries: 1", "after: 70.00 EUR"]
    told = json.loads(ann.done("account", "statement", "Everyday", "--to", "2026-02-28", "-o", "json"))
    assert (told["from_date"], told["opening_minor"], told["closing_minor"]) == ("2026-02-01", 10_000, 7_000)


def test_an_account_is_shared_and_no_longer(ann: Person, tmp_path: Path) -> None:
    bob = Person(f"bob-{ann.email}", tmp_path / "bob", ann.bank, ann.call, ann.monkeypatch)
    ann.bank.sign_up(bob.email, "Bob")
    bob.log_in()
    bob_id = json.loads(bob.done("whoami", "-o", "json"))["user_id"]
    ann.done("account", "share", "Everyday", bob_id)
    assert "viewer" in bob.done("account", "ls")
    refused = bob("tx", "add", "Everyday", "1")
    assert refused.code == 1
    ann.done("account", "unshare", "Everyday", bob_id)
    assert "Everyday" not in bob.done("account", "ls")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("show", "Nope"), 1, "there is no account 'Nope'; there are: Everyday"),
        (("open", "X", "--currency", "EURO"), 1, "unknown currency"),
        (("open", "X", "--currency", "EUR", "--overdraft-limit", "much"), 2, "not an amount"),
        (("open", "X" * 101, "--currency", "EUR"), 2, "name: "),
        (("statement", "Everyday", "--from", "soon"), 2, "--from: 'soon' is not a day"),
        (("share", "Everyday", "a/b"), 1, "is no id"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("account", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr


def test_a_name_that_two_accounts_have_is_asked_back(ann: Person) -> None:
    ann.done("account", "open", "everyday", "--currency", "EUR")
    found = ann("account", "show", "Everyday")
    assert found.code == 1
    assert "give the id" in found.stderr
