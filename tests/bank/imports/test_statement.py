"""What is the same for every format, shown on CAMT.053."""

from pathlib import Path

import msgspec
import pytest
from tests.bank.imports.statements import GERMAN, SAMPLES, imported, opened, rows
from tests.bank.imports.support import OWNER, booked, clock, csv_file, memory_log, read
from tests.bank.imports.test_camt import balance, entry, file, stmt

from streambank.bank.imports import ImportedEntry, Importer, ImportFileError, open_statement, statement
from streambank.bank.imports.entries import Tally


def texts(*words: str, day: str = "2024-01-15") -> list[str]:
    return [entry(day, more=f"<AddtlNtryInf>{word}</AddtlNtryInf>") for word in words]


def test_a_file_with_the_newest_first_is_turned_around_within_the_days_too(tmp_path: Path) -> None:
    newest_first = [*texts("d", "c", day="2024-01-17"), *texts("b", "a")]
    source = opened(tmp_path, file(stmt(balance("OPBD", "10.00"), *newest_first)))
    assert [row[4] for row in rows(source)] == [None, "a", "b", "c", "d"]
    assert imported(source)[1] == [-3_50] * 4 + [10_00]


def test_an_owner_has_accounts_of_their_own_and_the_log_gets_the_last_four_only(tmp_path: Path) -> None:
    path = csv_file(tmp_path, file(stmt(entry())))
    other = msgspec.structs.replace(OWNER, user_id="user-2")
    one, two = open_statement(path, OWNER), open_statement(path, other)
    assert not set(one.accounts) & set(two.accounts)
    with memory_log() as log:
        result = Importer(log, clock).run(one)
        assert [account.number_last4 for account in result.accounts] == [GERMAN[-4:]]
        assert GERMAN not in repr(booked(log)) + repr(result)


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    source = opened(tmp_path, file(stmt(balance("OPBD", "10.00"), *texts("a", "b"), entry(amount="x"))))
    assert read(source) == read(source)


def test_an_opening_is_for_accounts_that_are_new(tmp_path: Path) -> None:
    first = opened(tmp_path, file(stmt(entry())), "a.xml")
    second = opened(tmp_path, file(stmt(balance("OPBD", "10.00", "2024-02-01"), entry("2024-02-02"))), "b.xml")
    assert imported(first, second) == ([1, 1], [-3_50, -3_50])
    assert imported(second, first) == ([2, 1], [-3_50, -3_50, 10_00])


def test_a_file_that_is_changed_meanwhile_is_an_error_and_not_another_account(tmp_path: Path) -> None:
    source = opened(tmp_path, file(stmt(entry())))
    opened(tmp_path, file(stmt(entry(), number="NL91ABNA0417164300")))
    with pytest.raises(ImportFileError, match="was changed while it was read"):
        list(source.entries(Tally()))


def test_more_accounts_than_a_person_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "ACCOUNTS_MAX", 1)
    with pytest.raises(ImportFileError, match="more than 1 accounts"):
        open_statement(SAMPLES / "v08.xml", OWNER)


def test_a_pending_entry_has_the_identity_of_the_booked_one(tmp_path: Path) -> None:
    def only(status: str) -> ImportedEntry:
        ((one,), _) = read(opened(tmp_path, file(stmt(entry(status=status)))))
        return one

    pending, booked_one = only("PDNG"), only("BOOK")
    assert (pending.pending, booked_one.pending) == (True, False)
    assert (pending.identity, pending.unique) == (booked_one.identity, True)


def test_how_far_it_is_is_told(tmp_path: Path) -> None:
    source = opened(tmp_path, file(stmt(*(entry(amount=f"{n + 1}") for n in range(1_000)))))
    tally, seen = Tally(), []
    for _ in source.entries(tally):
        seen.append(tally.fraction)
    assert (0 < seen[0] < 1, seen == sorted(seen), tally.fraction) == (True, True, 1.0)
