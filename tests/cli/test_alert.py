"""What to be alerted of, from the command line."""

import json
import re

import pytest
from tests.cli.conftest import Person
from tests.cli.support import wait_until

from streambank.bank.events import ACCOUNT_THRESHOLDS
from streambank.bank.reading import latest


def test_an_alert_from_its_beginning_to_its_end(ann: Person) -> None:
    options = ("--below", "-50", "--above", "1,500.50 EUR", "--margin", "20", "--cooldown", "36h", "--available")
    added = ann.done("alert", "add", "everyday", *options).split()
    total = ann.done("alert", "add", "--total", "eur", "--below", "0").strip()
    header, *rows = [" ".join(line.split()) for line in ann.done("alert", "ls").splitlines()]
    assert header == "ABOUT ALERT WHEN MARGIN AT MOST EVERY ID"
    assert rows == [
        f"Everyday available below -50.00 EUR 20.00 EUR 36h {added[0]}",
        f"Everyday available above 1,500.50 EUR 20.00 EUR 36h {added[1]}",
        f"all EUR accounts below 0.00 EUR 0.00 EUR {total}",
    ]
    listed = json.loads(ann.done("alert", "ls", "-o", "json"))
    assert [one["level_minor"] for one in listed] == [-5_000, 150_050, 0]
    ann.done("alert", "rm", added[0])
    ann.done("alert", "rm", total)
    assert [json.loads(line)["id"] for line in ann.done("alert", "ls", "-o", "jsonl").splitlines()] == [added[1]]
    account_id = json.loads(ann.done("account", "ls", "-o", "json"))[0]["id"]
    on_log = latest(ann.bank.log, ACCOUNT_THRESHOLDS)
    assert [one.threshold_id for one in on_log[account_id].thresholds] in ([added[1]], added)


def test_an_alert_is_tried_on_the_past(ann: Person) -> None:
    for amount, day in (("300", "2026-02-01"), ("-250", "2026-02-02"), ("300", "2026-02-03"), ("-320", "2026-02-04")):
        ann.done("tx", "add", "Everyday", amount, "--date", day)
    asked = ("alert", "what-if", "Everyday", "--below", "100", "--from", "2026-01-01", "--to", "2026-12-31")
    wait_until(lambda: "in 4 entries" in ann(*asked).stderr, "the balances are computed")
    told = ann(*asked)
    assert told.code == 0, told.stderr
    header, *rows = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert header == "WHEN BEFORE AFTER CAME IN"
    assert [re.sub(r"\d\d:\d\d:\d\d ", "", row) for row in rows] == [
        "2026-02-02 300.00 EUR 50.00 EUR live",
        "2026-02-04 350.00 EUR 30.00 EUR live",
    ]
    assert "2 alerts in 4 entries" in told.stderr
    answer = json.loads(ann.done(*asked, "--margin", "300", "-o", "json"))
    # It was never back that far.
    assert (answer["count"], answer["entry_count"], answer["complete"]) == (0, 4, True)
    assert "0 alerts in 0 entries" in ann("alert", "what-if", "Everyday", "--below", "1", "--from", "2026-02-05").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("add", "Everyday"), 2, "give --below AMOUNT or --above AMOUNT"),
        (("add", "--below", "5"), 2, "name one of your accounts, or give --total CURRENCY"),
        (("add", "Everyday", "--total", "EUR", "--below", "5"), 2, "or give --total CURRENCY"),
        (("add", "Nope", "--below", "5"), 1, "there is no account 'Nope'"),
        (("add", "Everyday", "--below", "5 USD"), 2, "is in USD"),
        (("add", "Everyday", "--below", "5.001"), 1, "more decimals"),
        (("add", "Everyday", "--below", "5", "--cooldown", "soon"), 2, "--cooldown: 'soon' is not a duration"),
        (("add", "--total", "ZZZ", "--below", "5"), 1, "unknown currency"),
        (("rm", "nope"), 1, "there is no alert 'nope'; `streambank alert ls` shows those there are"),
        (("what-if", "Everyday", "--below", "5", "--above", "6"), 2, "one after the other"),
        (("what-if", "Everyday", "--below", "5", "--from", "then"), 2, "--from: 'then' is not a moment"),
        (
            ("what-if", "Everyday", "--below", "5", "--to", "2026-01-01", "--from", "2026-02-01"),
            1,
            "ends before",
        ),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("alert", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr


def test_twice_the_same(ann: Person) -> None:
    ann.done("alert", "add", "Everyday", "--below", "5")
    found = ann("alert", "add", "Everyday", "--below", "5")
    assert found.code == 1
    assert "the same threshold is set there already" in found.stderr
