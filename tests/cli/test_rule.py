"""Categories and rules from the command line."""

import json

import pytest
from tests.cli.conftest import Person


def test_a_category_is_added_under_another(ann: Person) -> None:
    added = ann.done("category", "add", "Cheese", "--under", "Food").strip()
    [found] = [c for c in json.loads(ann.done("category", "ls", "-o", "json")) if c["name"] == "Cheese"]
    assert found["id"] == added
    assert any(line.split()[:2] == ["Food", "Cheese"] for line in ann.done("category", "ls").splitlines())


def test_a_rule_from_its_preview_to_its_end(ann: Person) -> None:
    ann.done("tx", "add", "Everyday", "100", "--with", "Employer", "--text", "Salary")
    ann.done("tx", "add", "Everyday", "-1", "--text", "Salary slip")
    rule = ("rule", "add", "Pay", "--contains", "salary", "--in", "--category", "Salary", "--tag", "pay")
    looked = ann(*rule, "--dry-run")
    assert looked.code == 0
    assert looked.stdout.splitlines()[1].endswith("Salary #pay")
    assert "1 would be changed, 1 match, of 2 transactions" in looked.stderr
    assert json.loads(ann.done("rule", "ls", "-o", "json")) == []
    rule_id = ann.done(*rule).strip()
    assert "1 would be changed" in ann("rule", "preview", "pay").stderr
    assert "1 of 2 transactions were changed" in ann("rule", "apply", rule_id).stderr
    assert len(ann.done("tx", "ls", "--tag", "pay").splitlines()) == 2
    row = ann.done("rule", "ls").splitlines()[1]
    assert "any contains 'salary' and money in" in row
    ann.done("rule", "rm", "Pay")
    assert ann("rule", "rm", "Pay").code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("add", "X", "--in", "--out"), 2, "exclude each other"),
        (("add", "X", "--min", "5"), 2, "--min needs one --account"),
        (("add", "X", "--category", "Nope"), 1, "no category 'Nope'"),
        (("apply", "Nope"), 1, "no rule 'Nope'"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("rule", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr
