"""Budgets from the command line."""

import json

import pytest
from tests.cli.conftest import Person


def listed(person: Person) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(person.done("budget", "ls", "-o", "json"))
    return found


def test_a_budget_from_its_beginning_to_its_end(ann: Person) -> None:
    options = ("--category", "Food", "--carry-over", "--mark", "50", "--mark", "90", "--from", "2026-03-01")
    added = ann.done("budget", "add", "Eating", "400", *options).strip()
    [one] = listed(ann)
    categories = {c["id"]: c["name"] for c in json.loads(ann.done("category", "ls", "-o", "json"))}
    on = [categories[one_id] for one_id in one["category_ids"]]  # type: ignore[attr-defined]
    assert on[0] == "Food"
    assert set(on) == {"Food", "Groceries", "Restaurants", "Coffee and snacks"}
    assert (one["id"], one["target_minor"], one["currency"], one["period"]) == (added, 40_000, "EUR", "month")
    assert (one["marks"], one["carry_over"], one["starts_on"]) == ([50, 90], True, "2026-03-01")
    ann.done("budget", "change", "eating", "--amount", "450.50", "--name", "Meals", "--category", "Groceries")
    [one] = listed(ann)
    assert (one["name"], one["target_minor"], one["marks"]) == ("Meals", 45_050, [50, 90])
    assert [categories[one_id] for one_id in one["category_ids"]] == ["Groceries"]  # type: ignore[attr-defined]
    ann.done("budget", "rm", "Meals")
    assert listed(ann) == []


def test_budgets_are_shown_with_how_they_stand(ann: Person) -> None:
    added = ann.done("budget", "add", "All", "1,200 USD", "--period", "year").strip()
    header, row = [" ".join(line.split()) for line in ann.done("budget", "ls").splitlines()]
    assert header == "BUDGET FROM TO SPENT OF LEFT USED ID"
    name, first, last, *rest = row.split(" ")
    assert (name, first[4:], last[4:]) == ("All", "-01-01", "-12-31")
    assert " ".join(rest) == f"0.00 USD 1,200.00 USD 1,200.00 USD ░░░░░░░░░░ 0 % {added}"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("add", "X", "much"), 2, "AMOUNT: 'much' is not an amount"),
        (("add", "X", "5 USD", "--currency", "EUR"), 2, "is in USD"),
        (("add", "X", "-5"), 2, "-5"),
        (("add", "X", "0"), 2, "target_minor"),
        (("add", "X", "5", "--category", "Nope"), 1, "no category 'Nope'"),
        (("add", "X", "5", "--mark", "80", "--mark", "50"), 1, "marks have to ascend"),
        (("add", "X", "5", "--from", "soon"), 2, "--from: 'soon' is not a day"),
        (("change", "Nope", "--name", "Y"), 1, "there is no budget 'Nope'; `streambank budget ls`"),
        (("change", "Nope"), 2, "say what to change"),
        (("rm", "Nope"), 1, "there is no budget 'Nope'"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("budget", *arguments)
    assert (found.code, found.stdout) == (code, ""), found.stderr
    assert expected in found.stderr


def test_the_currency_has_to_be_clear(ann: Person) -> None:
    ann.done("account", "open", "Trips", "--currency", "JPY")
    found = ann("budget", "add", "X", "5")
    assert found.code == 2
    assert "you have accounts in EUR, JPY" in found.stderr
    ann.done("budget", "add", "X", "500", "--currency", "JPY")
    ann.done("budget", "add", "X", "5 €")
    assert [(one["currency"], one["target_minor"]) for one in listed(ann)] == [("JPY", 500), ("EUR", 500)]
    assert "2 budgets are named 'X': give the id" in ann("budget", "rm", "X").stderr
