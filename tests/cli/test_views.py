"""Net worth, cash flow, spending, what recurs and the live stream from the command line; and exchange rates."""

import json
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from tests.bank.client.test_views import wait_until
from tests.cli.conftest import Call, Person

from streambank.log import open_log

ECB = "Date,USD,JPY,\n2026-03-31,1.08,161.2,\n2026-03-30,1.07,N/A,\n"


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines()]


@pytest.fixture
def household(ann: Person) -> Person:
    """Ann, whose life of three months is in the figures."""
    for month in ("01", "02", "03"):
        ann.done("tx", "add", "Everyday", "2000", "--date", f"2026-{month}-01", "--with", "Mill")
        ann.done("tx", "add", "Everyday", "-700", "--date", f"2026-{month}-03", "--with", "Landlord")

    def there() -> bool:
        found = json.loads(ann.done("cashflow", "--from", "2026-03", "--to", "2026-03", "-o", "json"))
        return [one["out_minor"] for one in found[0]["currencies"]] == [70_000]

    wait_until(there)
    return ann


def test_figures_as_tables_and_as_json(household: Person) -> None:
    done = household.done
    printed = rows(done("worth", "--from", "2026-01-31", "--to", "2026-03-31", "--every", "month"))
    assert printed == [
        ["DAY", "EUR"],
        ["2026-01-31", "1,300.00"],
        ["2026-02-28", "2,600.00"],
        ["2026-03-31", "3,900.00"],
    ]
    [found] = json.loads(done("worth", "--from", "2026-03-31", "--to", "2026-03-31", "-o", "json"))
    assert found["currencies"][0]["points"] == [{"day": "2026-03-31", "amount_minor": 390_000, "missing": []}]
    printed = rows(done("worth", "--from", "2026-03-31", "--to", "2026-03-31", "--currency", "USD"))
    assert printed[1] == ["2026-03-31", "3,900.00", "no", "rate", "of", "EUR"]

    printed = rows(done("cashflow", "--from", "2026-02", "--to", "2026-03", "--currency", "EUR"))
    assert printed[1:3] == [
        ["2026-02", "EUR", "2,000.00", "700.00", "1,300.00"],
        ["2026-02", "all", "in", "EUR", "2,000.00", "700.00", "1,300.00"],
    ]

    printed = rows(done("spending", "--month", "2026-03"))
    assert printed[1] == ["(no", "category)", "EUR", "700.00", "700.00", "700.00"]

    printed = rows(done("recurring"))
    assert [row[1] for row in printed[1:]] == ["Mill", "Landlord"]
    assert [json.loads(line)["next_on"] for line in done("recurring", "-o", "jsonl").splitlines()] == [
        "2026-04-01",
        "2026-04-03",
    ]


def test_the_stream_is_followed_and_gone_on_with(household: Person) -> None:
    later = Timer(0.5, lambda: household_books(household))
    later.start()
    printed = household.done("watch", "--count", "3", "-o", "jsonl")
    later.join()
    first, *events = [json.loads(line) for line in printed.splitlines()]
    assert first["kind"] == "ready"
    assert len(events) == 3
    again = household.done("watch", "--since", first["id"], "--count", "3", "-o", "jsonl")
    assert [json.loads(line) for line in again.splitlines()] == events
    told = household.done("watch", "--since", first["id"], "--count", "5")
    kinds = {line[21:].split()[0] for line in told.splitlines()}
    assert kinds == {"balance", "net-worth", "cash-flow", "spending"}


def household_books(person: Person) -> None:
    """An entry, by the client: another thread must not touch this process's stdout."""
    from datetime import date

    from streambank.bank.events import CreditDebit
    from streambank.bank.transactions.schemas import Money, NewTransaction

    with person.bank.client(person.email) as client:
        [account] = client.accounts.list()
        client.transactions.record(
            NewTransaction(
                account_id=account.value.id,
                credit_debit=CreditDebit.DEBIT,
                amount=Money(amount_minor=1_250, currency="EUR"),
                booking_date=date(2026, 4, 1),
                counterparty="The Baker",
            )
        )


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("worth", "--from", "soon"), 2, "--from: 'soon' is not a day"),
        (("worth", "--from", "2026-03-02", "--to", "2026-03-01"), 1, "the range ends before it begins"),
        (("worth", "--currency", "ZZZ"), 1, "unknown currency 'ZZZ'"),
        (("cashflow", "--from", "2026-13"), 2, "--from: '2026-13' is not a month"),
        (("spending", "--month", "March"), 2, "--month: 'March' is not a month"),
        (("watch", "--count", "0"), 2, "--count: 0 is less than 1"),
    ],
)
def test_what_makes_no_sense_is_said(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    refused = ann(*arguments)
    assert (refused.code, expected in refused.stderr) == (code, True), refused.stderr


@pytest.fixture
def rates(tmp_path: Path, call: Call) -> Any:
    """The command, on a log of its own."""
    (tmp_path / "data").mkdir()
    open_log(tmp_path / "data" / "log").close()
    return lambda *arguments: call("rates", *arguments, "--data", str(tmp_path / "data"))


def test_rates_are_imported_once_set_and_listed(rates: Any, tmp_path: Path) -> None:
    (tmp_path / "eurofxref.csv").write_text(ECB)
    path = str(tmp_path / "eurofxref.csv")
    assert "imported 3 rates; there already: 0" in rates("import", path).stderr
    assert "imported 0 rates; there already: 3" in rates("import", path).stderr
    assert "there already: 2" in rates("import", path, "--since", "2026-03-31").stderr
    assert "one EUR is 1.09 USD from 2026-03-31 on" in rates("set", "eur/usd", "1.09", "--day", "2026-03-31").stderr
    assert rows(rates("ls").stdout)[1:] == [
        ["EUR/JPY", "2026-03-31", "161.2"],
        ["EUR/USD", "2026-03-31", "1.09"],
    ]
    assert rows(rates("ls", "EUR/USD", "--day", "2026-03-30").stdout)[1:] == [["EUR/USD", "2026-03-30", "1.07"]]
    found = json.loads(rates("ls", "EUR/USD", "--all", "-o", "json").stdout)
    assert [(one["day"], one["rate"]) for one in found] == [("2026-03-30", "1.07"), ("2026-03-31", "1.09")]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("set", "EURUSD", "1"), 2, "'EURUSD' is not a pair of currencies"),
        (("set", "EUR/EUR", "1"), 2, "'EUR/EUR' is not a pair of currencies"),
        (("set", "EUR/ZZZ", "1"), 1, "unknown currency 'ZZZ'"),
        (("set", "EUR/USD", "0"), 1, "'0' is not a rate"),
        (("import", "nowhere.csv"), 1, "cannot read nowhere.csv"),
    ],
)
def test_what_is_no_rate_is_said(rates: Any, arguments: tuple[str, ...], code: int, expected: str) -> None:
    refused = rates(*arguments)
    assert (refused.code, expected in refused.stderr) == (code, True), refused.stderr
