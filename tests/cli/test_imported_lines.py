"""Entries of files as lines for the bank."""

import json
from datetime import date
from typing import Any

from iso4217 import Currency

from streambank.bank.imports import ImportedEntry
from streambank.bank.imports.entries import OPENING, Tally
from streambank.cli.imported_lines import PARTY_CHARS_MAX, ImportedLines

NOON_MS = 1_767_355_200_000


def entry(line: int, minor: int = -250, **more: Any) -> ImportedEntry:
    given: dict[str, Any] = {"identity": "coffee", "booking_date": date(2026, 1, 2), "occurred_ms": NOON_MS, **more}
    return ImportedEntry(account_id="of the file", line=line, signed_minor=minor, **given)


def lines(*entries: ImportedEntry, is_new: bool = False) -> tuple[list[dict[str, Any]], ImportedLines, Tally]:
    tally = Tally()
    made = ImportedLines("bank.csv", "a-1", Currency("EUR"), is_new=is_new, report=tally)
    return [json.loads(line) for line in made.lines(entries)], made, tally


def test_a_line_tells_what_the_row_says() -> None:
    [told], _, _ = lines(entry(3, counterparty="Café", value_date=date(2026, 1, 3), remittance="two\0 cups"))
    assert told.pop("external_id")
    assert told == {
        "account_id": "a-1",
        "credit_debit": "DBIT",
        "amount": {"amount_minor": 250, "currency": "EUR"},
        "booking_date": "2026-01-02",
        "value_date": "2026-01-03",
        "occurred_at": "2026-01-02T12:00:00Z",
        "counterparty": "Café",
        "remittance": "two cups",
    }


def test_equal_rows_are_told_apart_by_counting_them_and_alike_in_every_file() -> None:
    first, _, _ = lines(entry(1), entry(2), entry(3, identity="tea"))
    second, _, _ = lines(entry(8, identity="tea"), entry(9))
    ids = [line["external_id"] for line in first]
    assert len(set(ids)) == 3
    assert [line["external_id"] for line in second] == [ids[2], ids[0]]


def test_a_row_with_the_banks_own_id_is_one_however_often_it_is_there() -> None:
    told, _, _ = lines(entry(1, unique=True), entry(2, unique=True))
    assert len({line["external_id"] for line in told}) == 1


def test_an_opening_is_for_accounts_that_have_nothing() -> None:
    opening = entry(0, 100, kind=OPENING, identity="opening", only_if_new=True)
    assert len(lines(opening, is_new=True)[0]) == 1
    told, _, tally = lines(opening)
    assert (told, tally.rejected) == ([], 0)


def test_a_row_of_nothing_is_rejected_and_the_lines_after_it_are_known_by_their_places() -> None:
    told, made, tally = lines(entry(1, 0), entry(2), entry(0, 0, kind=OPENING), entry(5))
    assert (len(told), made.rows) == (2, [2, 5])
    assert [str(reject) for reject in tally.rejects] == [
        "bank.csv, line 1: amount: is 0, which is no entry to the bank"
    ]


def test_texts_are_cut_and_counted() -> None:
    [told], made, _ = lines(entry(1, counterparty="x" * (PARTY_CHARS_MAX + 1), kind="k" * 36, remittance="\0"))
    assert (len(told["counterparty"]), len(told["kind"]), made.cut_texts) == (PARTY_CHARS_MAX, 35, 2)
    assert "remittance" not in told
