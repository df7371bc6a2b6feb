"""Payment limits from the command line."""

import json

import pytest
from tests.cli.conftest import Person


def test_limits_are_set_changed_and_taken_away(ann: Person) -> None:
    ann.done("limit", "set", "eur", "--per-transfer", "500", "--transfers-per-day", "5")
    ann.done("limit", "set", "EUR", "--per-transfer", "none", "--per-day", "1,000", "--new-payee", "200")
    ann.done("limit", "set", "JPY", "--new-payee", "0", "--new-payee-hours", "48")
    header, *rows = [" ".join(line.split()) for line in ann.done("limit", "ls").splitlines()]
    assert header == "CURRENCY PER TRANSFER PER DAY TRANSFERS PER DAY TO A NEW PAYEE"
    assert rows == ["EUR 1,000.00 EUR 5 200.00 EUR for 24 h", "JPY 0 JPY for 48 h"]
    ann.done("limit", "set", "EUR", "--transfers-per-day", "none")
    [euros, yen] = json.loads(ann.done("limit", "ls", "-o", "json"))
    assert (euros["per_transfer_minor"], euros["per_day_minor"], euros["per_day_count"]) == (None, 100_000, None)
    assert (yen["new_payee_minor"], yen["new_payee_hours"]) == (0, 48)
    ann.done("limit", "rm", "EUR")
    assert [one["currency"] for one in json.loads(ann.done("limit", "ls", "-o", "json"))] == ["JPY"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("set", "EUR"), 2, "say which limit to set"),
        (("set", "EUR", "--per-day", "much"), 2, "--per-day: 'much' is not an amount"),
        (("set", "EUR", "--transfers-per-day", "few"), 2, "--transfers-per-day: 'few' is not a number"),
        (("set", "EUR", "--transfers-per-day", "99999"), 2, "per_day_count"),
        (("set", "ZZZ", "--per-day", "1"), 1, "unknown currency"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("limit", *arguments)
    assert (found.code, found.stdout) == (code, ""), found.stderr
    assert expected in found.stderr
