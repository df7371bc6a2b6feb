"""The bank's real files: numbers that anyone can check against the running balances in them."""

import gzip
import shutil
from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bank.imports.support import assert_gapless, booked, clock, memory_log, read, records
from tests.data import data_file, require

from streambank.bank.events import ACCOUNT, USER_PROFILE
from streambank.bank.imports import BerkaSource, Importer, ImportFileError, berka_trans
from streambank.bank.imports.berka_chain import DAY_ROWS_MAX, ROUNDING_MINOR, ChainRow, day_order

CUT_DAY = date(1994, 3, 31)

HEADER = '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"\r\n'


def folder() -> Path:
    return require(data_file("berka"))


def small(tmp_path: Path, rows: list[str], end: str = "\r\n") -> Path:
    """A folder with two accounts, both opened on 1993-01-01, and the rows."""
    (tmp_path / "account.asc").write_text(
        '"account_id";"district_id";"frequency";"date"\r\n1;1;"M";930101\r\n2;1;"M";930101\r\n'
    )
    (tmp_path / "disp.asc").write_text(
        '"disp_id";"client_id";"account_id";"type"\r\n1;11;1;"OWNER"\r\n2;12;2;"OWNER"\r\n3;13;2;"DISPONENT"\r\n'
    )
    (tmp_path / "trans.asc").write_bytes((HEADER + "\r\n".join(rows) + end).encode("latin-1"))
    return tmp_path


def row(trans_id: int, account: int, day: str, kind: str, amount: str, balance: str, symbol: str = "") -> str:
    return f'{trans_id};{account};{day};"{kind}";"VKLAD";{amount};{balance};"{symbol}";;'


def test_the_chain_is_the_banks_own_balance_after_every_row() -> None:
    opened = BerkaSource(folder(), before=CUT_DAY)
    entries, tally = read(opened)
    kinds = Counter(entry.kind == "ADJUSTMENT" for entry in entries)
    assert (kinds[False], kinds[True], tally.left_out, tally.rejected, tally.warnings) == (46_997, 2_031, 2_105, 0, [])
    sums: dict[str, int] = defaultdict(int)
    for entry, following in pairwise([*entries, entries[0]]):
        sums[entry.account_id] += entry.signed_minor
        if entry.kind == "ADJUSTMENT":
            assert abs(entry.signed_minor) == ROUNDING_MINOR
            assert (following.account_id, following.line) == (entry.account_id, entry.line)
        else:
            assert sums[entry.account_id] == entry.balance_after_minor
    assert len(sums) == 1_229
    assert [entry.booking_date for entry in entries] == sorted(entry.booking_date for entry in entries)
    assert sum(a.account_id != b.account_id for a, b in pairwise(entries)) == 38_820


def test_the_whole_file_after_a_part_adds_the_rest_and_the_cut_day_breaks_nothing(tmp_path: Path) -> None:
    with memory_log() as log:
        importer = Importer(log, clock)
        part = importer.run(BerkaSource(folder(), before=date(1993, 7, 1)))
        whole = importer.run(BerkaSource(folder()), rejects_path=tmp_path / "rejects.csv")
        accounts = booked(log)
        assert (len(records(log, ACCOUNT.name)), len(records(log, USER_PROFILE.name))) == (1_229, 1_229)
    assert (part.rejected, whole.duplicates) == (0, part.imported)
    assert_gapless(accounts.values())
    for entries in accounts.values():
        total = 0
        for entry in entries:
            total += entry.signed_minor
            assert entry.balance_after_minor in (None, total)
    # All 28 rows that break a chain are of the cut day; those that follow one of them that day go with it.
    assert whole.rejected == 32
    assert all(
        reject.fields[2] == "940331" and "a row before it is missing" in reject.reason for reject in whole.rejects
    )
    rows_in = sum(entry.kind != "ADJUSTMENT" for entries in accounts.values() for entry in entries)
    assert rows_in + whole.rejected == 49_102


def test_the_owner_is_the_user_and_ids_are_the_banks() -> None:
    opened = BerkaSource(folder())
    account = opened.accounts["berka-2"]
    assert (account.user_id, account.owner.email, account.number_last4) == ("client-2", "client-2@bank.example", "0002")
    assert (account.opened_on, account.currency.value) == (date(1993, 2, 26), "CZK")
    emails = [account.owner.email for account in opened.accounts.values()]
    assert (len(opened.accounts), len(set(emails))) == (4_500, 4_500)


def test_a_folder_a_file_and_something_else(tmp_path: Path) -> None:
    trans = folder() / "trans_prefix.asc.gz"
    assert berka_trans(folder()) == berka_trans(trans) == trans
    assert berka_trans(folder() / "account.asc") is None
    with pytest.raises(ImportFileError, match=r"name trans\.asc"):
        BerkaSource(tmp_path)
    shutil.copy(trans, tmp_path)
    with pytest.raises(ImportFileError, match=r"disp\.asc: no such file"):
        BerkaSource(tmp_path)


def test_a_cut_gzip_file_is_completed_by_the_whole_one(tmp_path: Path) -> None:
    rows = [
        row(n, 1 + n % 2, f"93{1 + n // 80:02d}{1 + n // 4 % 20:02d}", "PRIJEM", f"{n}.00", "0") for n in range(400)
    ]
    totals = {1: 0, 2: 0}
    for n, text in enumerate(rows):
        totals[1 + n % 2] += n
        rows[n] = text.replace(";0;", f";{totals[1 + n % 2]}.00;")
    path = small(tmp_path, rows)
    data = gzip.compress((path / "trans.asc").read_bytes())
    (path / "trans.asc").unlink()
    with memory_log() as log:
        (path / "trans.asc.gz").write_bytes(data[: len(data) * 2 // 3])
        cut = Importer(log, clock).run(BerkaSource(path))
        assert (0 < cut.imported < 400, "cut off" in cut.warnings[0]) == (True, True)
        (path / "trans.asc.gz").write_bytes(data)
        rest = Importer(log, clock).run(BerkaSource(path))
        assert (rest.imported, rest.rejected) == (400 - cut.imported, 0)
        assert_gapless(booked(log).values())


def test_malformed_rows_are_named_and_the_rest_is_imported(tmp_path: Path) -> None:
    path = small(
        tmp_path,
        [
            row(1, 1, "930101", "PRIJEM", "100.00", "100.00"),
            row(2, 1, "930102", "VYDAJ", "x", "90.00"),
            row(3, 1, "930103", "VYDAJ", "5.00", "85.00"),
            row(4, 9, "930103", "VYDAJ", "5.00", "85.00"),
            row(5, 1, "931303", "VYDAJ", "5.00", "85.00"),
            row(6, 1, "930103", "GIFT", "5.00", "85.00"),
            "7;1;930103",
            row(8, 1, "930104", "VYDAJ", "99999999999999999999.00", "85.00"),
            row(9, 1, "930105", "VYDAJ", "5.00", "80.00"),
            row(10, 1, "930106", "VYDAJ", "5.00", "75.00")[:-1],
        ],
        end="",
    )
    entries, tally = read(BerkaSource(path))
    assert [entry.identity for entry in entries] == ["1", "3", "9"]
    assert [(reject.line, reject.reason.split(":")[0]) for reject in tally.rejects] == [
        (3, "amount"), (5, "account_id"), (6, "date"), (7, "type"), (8, "row"), (9, "amount"), (11, "incomplete"),
    ]  # fmt: skip
    assert (
        "does not follow from the rows before at 1 rows, first in line 4: it misses by -10.00 CZK" in tally.warnings[0]
    )


def test_a_file_that_is_not_in_date_order_is_put_in_order(tmp_path: Path) -> None:
    rows = [
        row(3, 1, "930103", "VYDAJ", "5.00", "95.10"),
        row(1, 1, "930101", "PRIJEM", "100.00", "100.00"),
        row(2, 1, "930102", "PRIJEM", "0.00", "100.10", "UROK"),
    ]
    entries, tally = read(BerkaSource(small(tmp_path, rows)))
    assert [(e.kind, e.signed_minor) for e in entries] == [
        ("CASH_DEPOSIT", 10000), ("ADJUSTMENT", 10), ("INTEREST", 0), ("CASH_DEPOSIT", -500),
    ]  # fmt: skip
    assert tally.warnings == []


def test_a_file_that_begins_after_the_account_was_opened_has_an_opening_entry(tmp_path: Path) -> None:
    rows = [
        row(8, 1, "930202", "VYDAJ", "10.00", "85.00"),
        row(7, 1, "930202", "VYDAJ", "5.00", "95.00"),
        row(9, 1, "930203", "VYDAJ", "1.00", "84.00"),
    ]
    entries, tally = read(BerkaSource(small(tmp_path, rows)))
    assert [(e.kind, e.signed_minor, e.balance_after_minor) for e in entries] == [
        ("OPENING", 10000, None),
        ("CASH_DEPOSIT", -500, 9500),
        ("CASH_DEPOSIT", -1000, 8500),
        ("CASH_DEPOSIT", -100, 8400),
    ]
    assert tally.rejected == 0


def test_a_day_with_too_many_rows_is_walked_and_reported(tmp_path: Path) -> None:
    count = DAY_ROWS_MAX + 30
    rows = [row(1000 - n, 1, "930101", "PRIJEM", f"{n}.00", f"{n * (n + 1) // 2}.00") for n in range(1, count + 1)]
    entries, tally = read(BerkaSource(small(tmp_path, rows)))
    assert [entry.signed_minor for entry in entries] == [n * 100 for n in range(1, count + 1)]
    assert "1 account-days have more than 10 rows" in tally.warnings[0]


LINKS = st.lists(st.tuples(st.integers(-50, 50), st.sampled_from([0, 0, 0, -10, 10])), min_size=1, max_size=6)


@given(LINKS, st.integers(-99, 99))
def test_no_order_of_a_day_fits_better(links: list[tuple[int, int]], before: int) -> None:
    balance, rows = before, []
    for number, (signed, rounding) in enumerate(links):
        balance += signed + rounding
        rows.append(ChainRow(signed, balance, (number * 7 % 5, number)))

    def fit(order: tuple[int, ...]) -> tuple[int, int]:
        """Breaks and inexact links, fewest first."""
        breaks = inexact = 0
        at = before
        for position in order:
            miss = abs(at + rows[position].signed_minor - rows[position].balance_minor)
            breaks += miss > ROUNDING_MINOR
            inexact += miss > 0
            at = rows[position].balance_minor
        return breaks, inexact

    found = day_order(rows, before)
    assert found.proven
    assert fit(tuple(found.order)) == min(fit(order) for order in permutations(range(len(rows))))
