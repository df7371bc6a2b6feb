"""Transactions from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Person


def added(person: Person, amount: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(person.done("tx", "add", "Everyday", amount, *more, "-o", "json"))
    return found


def listed(person: Person, *arguments: str) -> list[str]:
    return [item["id"] for item in json.loads(person.done("tx", *arguments, "-o", "json"))]


@pytest.mark.parametrize(
    ("amount", "minor", "direction"),
    [
        ("12.50", 1_250, "CRDT"),
        ("-12.50", 1_250, "DBIT"),
        ("-12.50 EUR", 1_250, "DBIT"),
        ("1,234.50€", 123_450, "CRDT"),
        ("+7", 700, "CRDT"),
        ("EUR -0.01", 1, "DBIT"),
    ],
)
def test_amounts_as_people_write_them(ann: Person, amount: str, minor: int, direction: str) -> None:
    found = added(ann, amount)
    assert (found["amount"], found["credit_debit"]) == ({"amount_minor": minor, "currency": "EUR"}, direction)


@pytest.mark.parametrize(
    ("amount", "code", "expected"),
    [
        ("12,50", 2, "not an amount"),
        ("much", 2, "not an amount"),
        ("12.50 USD", 2, "is in USD, and the account is in EUR"),
        ("12.505", 1, "more decimals than EUR"),
        ("0", 2, "amount_minor: "),
        ("-5000", 1, "available"),
    ],
)
def test_what_cannot_be_added(ann: Person, amount: str, code: int, expected: str) -> None:
    found = ann("tx", "add", "Everyday", amount)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr
    assert listed(ann, "ls") == []


def test_transactions_are_listed_and_found(ann: Person) -> None:
    pay = added(ann, "100", "--with", "Employer", "--text", "Salary of March", "--tag", "pay", "--date", "2026-03-01")
    food = added(ann, "-12.50", "--with", "Baker", "--category", "groceries", "--date", "2026-03-02")
    table = ann.done("tx", "ls").splitlines()
    assert table[0].split() == ["DATE", "ACCOUNT", "AMOUNT", "WITH", "TEXT", "CATEGORY", "STATE", "ID"]
    assert table[1].split() == ["2026-03-02", "Everyday", "-12.50", "EUR", "Baker", "Groceries", "booked", food["id"]]
    assert listed(ann, "ls") == [food["id"], pay["id"]]
    assert listed(ann, "search", "SALARY", "march") == [pay["id"]]
    for which, expected in (
        (("--tag", "pay"), pay),
        (("--category", "Food/Groceries"), food),
        (("--to", "2026-03-01"), pay),
        (("--from", "2026-03-02"), food),
        (("--account", "Everyday", "--min", "50"), pay),
        (("--account", "Everyday", "--max", "12.50 EUR"), food),
    ):
        assert listed(ann, "ls", *which) == [expected["id"]], which
    assert "older ones are not shown" in ann("tx", "ls", "-n", "1").stderr
    assert "not shown" not in ann("tx", "ls", "-n", "2").stderr
    assert listed(ann, "ls", "-n", "0") == [food["id"], pay["id"]]


def test_a_transaction_is_edited(ann: Person) -> None:
    found = added(ann, "-10", "--notes", "lunch", "--tag", "work")
    changed = json.loads(
        ann.done("tx", "edit", found["id"], "--category", "Restaurants", "--tag", "a", "--tag", "b", "-o", "json")
    )
    assert (changed["notes"], changed["tags"]) == ("lunch", ["a", "b"])
    assert changed["category_id"] is not None
    ann.done("tx", "edit", found["id"], "--notes", "", "--category", "", "--tag", "")
    shown = json.loads(ann.done("tx", "show", found["id"], "-o", "json"))
    assert (shown["notes"], shown["category_id"], shown["tags"]) == (None, None, [])
    table = ann.done("tx", "edit", found["id"], "--split", "7.20=Groceries", "--split", "2.80=")
    assert "7.20 EUR Groceries" in table
    assert "2.80 EUR no category" in table
    assert ann("tx", "edit", found["id"]).code == 2


def test_a_transaction_is_reversed_once(ann: Person) -> None:
    found = added(ann, "-10")
    reversal = json.loads(ann.done("tx", "reverse", found["id"], "--notes", "twice", "-o", "json"))
    assert (reversal["reverses_id"], reversal["credit_debit"]) == (found["id"], "CRDT")
    assert ann("tx", "reverse", found["id"]).code == 1
    assert {line.split()[-2] for line in ann.done("tx", "ls").splitlines()[1:]} == {"reversed", "reversal"}


def test_pending_ones_are_booked_or_voided(ann: Person) -> None:
    first, second = added(ann, "-10", "--pending"), added(ann, "-20", "--pending")
    assert first["state"] == "pending"
    booked = json.loads(ann.done("tx", "book", first["id"], "--amount", "9.50", "--date", "2026-03-01", "-o", "json"))
    assert (booked["amount"]["amount_minor"], booked["booking_date"]) == (950, "2026-03-01")
    ann.done("tx", "void", second["id"])
    assert listed(ann, "ls", "--state", "pending") == []


def test_one_that_is_named_is_recorded_once(ann: Person) -> None:
    assert added(ann, "1", "--external-id", "x-1")["id"] == added(ann, "1", "--external-id", "x-1")["id"]
    refused = ann("tx", "add", "Everyday", "2", "--external-id", "x-1")
    assert refused.code == 1


def test_a_fact_passes_the_limit(ann: Person) -> None:
    assert ann("tx", "add", "Everyday", "-500").code == 1
    ann.done("tx", "add", "Everyday", "-500", "--force")


def test_all_are_exported(ann: Person, tmp_path: Path) -> None:
    ids = [added(ann, str(n))["id"] for n in (1, 2)]
    assert [json.loads(line)["id"] for line in ann.done("tx", "export").splitlines()] == ids
    ann.done("tx", "export", str(tmp_path / "all.jsonl"))
    assert [json.loads(line)["id"] for line in (tmp_path / "all.jsonl").read_text().splitlines()] == ids


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("ls", "-n", "-1"), 2, "--lines"),
        (("ls", "--min", "5"), 2, "--min needs --account"),
        (("ls", "--category", "Nope"), 1, "no category 'Nope'"),
        (("search",), 2, "what to search for"),
        (("show", "018f0000-0000-7000-8000-000000000001"), 1, "no such transaction"),
        (("edit", "018f0000-0000-7000-8000-000000000001", "--notes", "x"), 1, "no such transaction"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("tx", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr
