"""Savings goals and spending goals from the command line."""

import json

import pytest
from tests.cli.conftest import Person
from tests.cli.support import wait_until


def test_goals_from_their_beginning_to_their_end(ann: Person) -> None:
    saving = ann.done("goal", "save", "Bike", "1,200", "--account", "Everyday", "--by", "2099-05-01").strip()
    spending = ann.done("goal", "spend", "Rome", "900", "--from", "2026-03-01", "--until", "2099-03-14").strip()

    def listed() -> list[str]:
        return [" ".join(line.split()) for line in ann.done("goal", "ls").splitlines()]

    wait_until(lambda: "not known yet" not in listed()[1], "how far the goal is")
    header, *rows = listed()
    assert header == "GOAL KIND IS OF DONE BY STANDS ID"
    assert rows[0].startswith("Bike savings 0.00 EUR 1,200.00 EUR ░░░░░░░░░░ 0 % 2099-05-01 on-track: 1.3")
    assert rows[0].endswith(f"EUR a month {saving}")
    assert rows[1].startswith("Rome spending 0.00 EUR 900.00 EUR ░░░░░░░░░░ 0 % 2099-03-14 running: 900.00 EUR left")
    ann.done("goal", "change", "bike", "--amount", "1300", "--by", "2099-06-01")
    ann.done("goal", "change", "Rome", "--name", "Paris", "--by", "2099-04-01")
    found = json.loads(ann.done("goal", "ls", "-o", "json"))
    assert [(one["kind"], one["id"]) for one in found] == [("savings", saving), ("spending", spending)]
    assert (found[0]["target_minor"], found[0]["target_date"]) == (130_000, "2099-06-01")
    assert (found[1]["name"], found[1]["ends_on"], found[1]["starts_on"]) == ("Paris", "2099-04-01", "2026-03-01")
    ann.done("goal", "rm", "Paris")
    ann.done("goal", "rm", saving)
    assert json.loads(ann.done("goal", "ls", "-o", "json")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("save", "X", "5"), 2, "--account"),
        (("save", "X", "5", "--account", "Nope"), 1, "there is no account 'Nope'"),
        (("save", "X", "5", "--account", "Everyday", "--by", "2020-01-01"), 1, "the date has to be after"),
        (("save", "X", "5", "--account", "Everyday", "--account", "Everyday"), 1, "an account is named twice"),
        (("spend", "X", "5", "--until", "2020-01-01"), 1, "the last day is between"),
        (("spend", "X", "5", "--until", "then"), 2, "--until: 'then' is not a day"),
        (("change", "Nope", "--name", "Y"), 1, "there is no goal 'Nope'; `streambank goal ls`"),
        (("change", "Nope"), 2, "say what to change"),
        (("rm", "Nope"), 1, "there is no goal 'Nope'"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("goal", *arguments)
    assert (found.code, found.stdout) == (code, ""), found.stderr
    assert expected in found.stderr
