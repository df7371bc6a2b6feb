import csv
import gzip
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.imports.support import (
    NOW_MS,
    OWNER,
    assert_gapless,
    booked,
    clock,
    csv_file,
    memory_log,
    read,
    records,
    source,
)

from streambank.bank.events import ACCOUNT, BALANCE_CHANGED, USER_PROFILE, Direction, Origin
from streambank.bank.imports import (
    ImportedEntry,
    Importer,
    ImportFencedError,
    ImportFileError,
    ImportProgress,
    preview,
    thresholds_for,
)
from streambank.bank.imports.csv_import import CsvSource
from streambank.bank.imports.date_order import in_time_order
from streambank.bank.imports.entries import Report
from streambank.clock import to_datetime
from streambank.errors import StreambankError

HEADER = "Date,Payee,Description,Amount\n"
COFFEE = "2024-03-01,Café,coffee,-3.50\n"
SALARY = "2024-03-02,Employer,salary,2000.00\n"
RENT = "2024-03-03,Landlord,rent,-700.00\n"


def test_a_row_becomes_an_entry_and_its_account_and_owner_come_first(tmp_path: Path) -> None:
    with memory_log() as log:
        result = Importer(log, clock).run(source(csv_file(tmp_path, HEADER + COFFEE)))
        (entry,) = next(iter(booked(log).values()))
        (account,) = (ACCOUNT.value.deserialize(r.value) for r in records(log, ACCOUNT.name) if r.value)
        (profile,) = (USER_PROFILE.value.deserialize(r.value) for r in records(log, USER_PROFILE.name) if r.value)
    assert (result.imported, result.duplicates, result.rejected, result.accounts) == (1, 0, 0, (account,))
    assert (entry.signed_minor, entry.counterparty, entry.remittance) == (-350, "Café", "coffee")
    assert (entry.occurred_at, entry.booking_date) == (datetime(2024, 3, 1, tzinfo=UTC), date(2024, 3, 1))
    assert (entry.recorded_at, entry.origin) == (to_datetime(NOW_MS), Origin.IMPORT)
    assert (profile.email, profile.user_id, account.user_id) == (OWNER.email, OWNER.user_id, OWNER.user_id)
    assert account.timestamp <= entry.timestamp


def test_a_file_can_be_replayed_as_if_it_happened_live(tmp_path: Path) -> None:
    with memory_log() as log:
        Importer(log, clock).run(source(csv_file(tmp_path, HEADER + COFFEE)), origin=Origin.LIVE)
        assert [e.origin for entries in booked(log).values() for e in entries] == [Origin.LIVE]


def test_importing_twice_adds_nothing_and_two_real_coffees_stay_two(tmp_path: Path) -> None:
    opened = source(csv_file(tmp_path, HEADER + COFFEE + COFFEE + SALARY))
    with memory_log() as log:
        first = Importer(log, clock).run(opened)
        ends = {topic: len(records(log, topic)) for topic in (ACCOUNT.name, USER_PROFILE.name, BALANCE_CHANGED.name)}
        second = Importer(log, clock).run(opened)
        assert (first.imported, first.duplicates) == (3, 0)
        assert (second.imported, second.duplicates) == (0, 3)
        assert ends == {topic: len(records(log, topic)) for topic in ends} == {**ends, ACCOUNT.name: 1}


def test_the_layout_of_a_file_does_not_make_its_rows_new(tmp_path: Path) -> None:
    other = "Datum;Empfänger;Verwendungszweck;Betrag;Kategorie\n01.03.2024;Café;  coffee ;-3,50;Food\n"
    with memory_log() as log:
        Importer(log, clock).run(source(csv_file(tmp_path, HEADER + COFFEE)))
        again = Importer(log, clock).run(source(csv_file(tmp_path, other, encoding="cp1252")))
    assert (again.imported, again.duplicates) == (0, 1)


def test_the_banks_own_id_is_what_tells_rows_apart_where_there_is_one(tmp_path: Path) -> None:
    content = "Date,Description,Amount,Transaction ID\n2024-03-01,coffee,-3.50,a\n2024-03-01,coffee,-3.50,b\n"
    renamed = "Date,Description,Amount,Transaction ID\n2024-03-01,CAFE 12,-3.50,b\n2024-03-01,coffee,-3.50,c\n"
    with memory_log() as log:
        assert Importer(log, clock).run(source(csv_file(tmp_path, content))).imported == 2
        again = Importer(log, clock).run(source(csv_file(tmp_path, renamed)))
    assert (again.imported, again.duplicates) == (1, 1)


ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["coffee", "tea"]), st.sampled_from(["-3.50", "-2.00", "9.00"])),
    max_size=14,
)


def _content(rows: list[tuple[int, str, str]]) -> str:
    ordered = sorted(rows, key=lambda row: row[0])
    return HEADER + "".join(f"2024-03-{day + 12:02d},Café,{text},{amount}\n" for day, text, amount in ordered)


@settings(deadline=None, max_examples=25)
@given(ROWS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
def test_files_that_overlap_by_whole_days_add_up_to_the_whole(
    rows: list[tuple[int, str, str]], first_end: int, second_start: int, chunk: int
) -> None:
    first = [row for row in rows if row[0] <= first_end]
    second = [row for row in rows if row[0] >= min(second_start, first_end + 1)]
    with tempfile.TemporaryDirectory() as folder, memory_log() as log:
        importer = Importer(log, clock, chunk_entries=chunk)
        imported = 0
        for part in (first, second, first, second, rows):
            if part:
                imported += importer.run(source(csv_file(Path(folder), _content(part)), sign="signed")).imported
        accounts = booked(log)
    assert imported == len(rows)
    assert_gapless(accounts.values())
    want = sorted((day + 12, text, round(float(amount) * 100)) for day, text, amount in rows)
    got = sorted((e.booking_date.day, e.remittance, e.signed_minor) for es in accounts.values() for e in es)
    assert got == want


def test_a_malformed_row_is_named_and_kept_and_the_rest_is_imported(tmp_path: Path) -> None:
    content = (
        HEADER + COFFEE + "2024-03-01,Café,coffee\n" + "soon,x,y,-1.00\n" + '2024-03-02,"open,y,-1.00\n'
        "2024-03-02,x,y,much\n" + "2024-03-02,x,y,-92233720368547758.08\n" + "1969-12-31,x,y,-1.00\n"
        "2024-03-02,x,y,USD 1.00\n" + "2024-03-02,x,y,-1.005\n" + SALARY
    )
    out = tmp_path / "rejects.csv"
    with memory_log() as log:
        result = Importer(log, clock).run(source(csv_file(tmp_path, content)), rejects_path=out)
        assert result.imported == 2
    assert [(reject.line, reject.reason) for reject in result.rejects] == [
        (3, "row: has 3 fields, not 4 as the others"),
        (4, "date: 'soon' is not a date"),
        (5, "row: a quote is opened and not closed"),
        (6, "amount: 'much' is not an amount"),
        (7, "amount: '-92233720368547758.08' is beyond 64 bits"),
        (8, "date: '1969-12-31' is before 1970-01-01, the earliest day that can be stored"),
        (9, "amount: 'USD 1.00' is not in EUR, the account's currency"),
        (10, "amount: -1.005 has more decimals than EUR (2)"),
    ]
    assert str(result.rejects[0]).startswith("bank.csv, line 3: row")
    assert result.rejects_path == out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    rows = list(csv.reader(out.read_text(encoding="utf-8").splitlines(keepends=True)))
    assert rows[0] == ["rejected line", "rejected because", "Date", "Payee", "Description", "Amount"]
    assert (len(rows), rows[2][2:]) == (9, ["soon", "x", "y", "-1.00"])


def test_mended_rejects_can_be_imported_and_a_clean_run_removes_the_file(tmp_path: Path) -> None:
    out = tmp_path / "rejects.csv"
    with memory_log() as log:
        importer = Importer(log, clock)
        importer.run(source(csv_file(tmp_path, HEADER + COFFEE + RENT.replace("-700.00", "-7OO.00"))), rejects_path=out)
        mended = csv_file(tmp_path, out.read_text().replace("7OO", "700"), "mended.csv")
        assert importer.run(source(mended)).imported == 1
        whole = importer.run(source(csv_file(tmp_path, HEADER + COFFEE + RENT)), rejects_path=out)
    assert (whole.imported, whole.duplicates, whole.rejects_path, out.exists()) == (0, 2, None, False)


def test_an_unknown_currency_costs_its_row_only(tmp_path: Path) -> None:
    content = "Date,Amount,Currency\n2024-03-01,-1.00,XXQ\n2024-03-02,-2.00,EUR\n2024-03-02,-3,JPY\n"
    with memory_log() as log:
        result = Importer(log, clock).run(source(csv_file(tmp_path, content), currency=None))
        assert sorted(e.currency.value for es in booked(log).values() for e in es) == ["EUR", "JPY"]
    assert [str(r) for r in result.rejects] == [
        "bank.csv, line 2: amount: unknown currency 'XXQ': use an ISO 4217 code such as EUR, USD or CZK"
    ]


def test_a_balance_beyond_64_bits_costs_the_row_that_makes_it(tmp_path: Path) -> None:
    huge = "2024-03-01,x,y,92233720368547758.07\n"
    with memory_log() as log:
        result = Importer(log, clock).run(source(csv_file(tmp_path, HEADER + huge + SALARY + RENT)))
    assert (result.imported, [r.line for r in result.rejects]) == (2, [3])
    assert "balance would go beyond 64 bits" in result.rejects[0].reason


@pytest.mark.parametrize("keep", [0.4, 0.7, 0.95])
def test_a_cut_gzip_file_loses_nothing_and_is_completed_by_the_whole_one(tmp_path: Path, keep: float) -> None:
    rows = [
        f"2024-03-{13 + n % 10},Shop {n * 7919 % 1000},purchase {n * 104729 % 99991},-{n}.50\n" for n in range(2_000)
    ]
    whole = gzip.compress((HEADER + "".join(rows)).encode())
    cut = csv_file(tmp_path, whole[: int(len(whole) * keep)], "cut.csv.gz")
    with memory_log() as log:
        importer = Importer(log, clock)
        result = importer.run(source(cut))
        assert [warning for warning in result.warnings if "cut off" in warning]
        assert 0 < result.imported < len(rows)
        assert [r.reason for r in result.rejects] in (
            [],
            [r.reason for r in result.rejects if "incomplete" in r.reason],
        )
        rest = importer.run(source(csv_file(tmp_path, whole, "whole.csv.gz")))
        assert (rest.duplicates, rest.imported) == (result.imported, len(rows) - result.imported)
        assert_gapless(booked(log).values())


def test_a_cut_last_line_is_rejected_and_a_whole_one_without_line_end_is_imported_with_a_warning(
    tmp_path: Path,
) -> None:
    with memory_log() as log:
        importer = Importer(log, clock)
        cut = importer.run(source(csv_file(tmp_path, HEADER + COFFEE + "2024-03-02,Emplo")))
        assert (cut.imported, [(r.line, r.reason) for r in cut.rejects]) == (
            1,
            [(3, "row: has 2 fields, not 4 as the others")],
        )
        assert "line 3: the last line has no line end" in cut.warnings[0]
        assert importer.run(source(csv_file(tmp_path, HEADER + COFFEE + SALARY.rstrip()))).imported == 1


def test_bytes_that_are_no_text_cost_their_row_only(tmp_path: Path) -> None:
    content = (HEADER + COFFEE).encode() + b"2024-03-02,x\xff,y,-1.00\n" + SALARY.encode()
    entries, tally = read(source(csv_file(tmp_path, content), encoding="utf-8"))
    assert (len(entries), [r.line for r in tally.rejects]) == (2, [3])


def test_an_unclosed_quote_does_not_swallow_the_rest(tmp_path: Path) -> None:
    content = HEADER + COFFEE + '2024-03-02,"open,y,-1.00\n' + SALARY * 500
    entries, tally = read(source(csv_file(tmp_path, content)))
    assert (len(entries), [r.line for r in tally.rejects]) == (501, [3])


def test_a_field_may_span_lines(tmp_path: Path) -> None:
    entries, tally = read(source(csv_file(tmp_path, HEADER + '2024-03-02,"two\nlines",y,-1.00\n' + SALARY)))
    assert ([(e.line, e.counterparty) for e in entries], tally.rejected) == ([(2, "two lines"), (4, "Employer")], 0)


def test_an_opening_balance_given_or_from_the_balance_column_is_the_first_entry(tmp_path: Path) -> None:
    with memory_log() as log:
        Importer(log, clock).run(source(csv_file(tmp_path, HEADER + COFFEE), opening_balance=Decimal("100.50")))
        again = Importer(log, clock).run(
            source(csv_file(tmp_path, HEADER + COFFEE + RENT), opening_balance=Decimal("100.50"))
        )
        assert [(e.kind, e.signed_minor) for es in booked(log).values() for e in es] == [
            ("OPENING", 10050),
            (None, -350),
            (None, -70000),
        ]
        assert (again.imported, again.duplicates) == (1, 2)


def test_a_balance_column_opens_new_accounts_only_and_is_checked(tmp_path: Path) -> None:
    header = "Date,Description,Amount,Balance\n"
    first = header + "2024-03-13,a,-1.00,99.00\n2024-03-14,b,-2.00,97.00\n"
    later = header + "2024-03-14,b,-2.00,97.00\n2024-03-15,c,-3.00,94.00\n2024-03-16,d,-1.00,90.00\n"
    with memory_log() as log:
        Importer(log, clock).run(source(csv_file(tmp_path, first)))
        result = Importer(log, clock).run(source(csv_file(tmp_path, later)))
        (entries,) = booked(log).values()
        assert [(e.kind, e.signed_minor) for e in entries] == [
            ("OPENING", 10000), (None, -100), (None, -200), (None, -300), (None, -100),
        ]  # fmt: skip
        assert_gapless([entries])
    assert any("does not follow from the amounts at 1 rows, first line 4" in text for text in result.warnings)


def test_an_account_or_owner_that_changed_is_written_again(tmp_path: Path) -> None:
    path = csv_file(tmp_path, HEADER + COFFEE)
    with memory_log() as log:
        Importer(log, clock).run(source(path))
        moved = type(OWNER)(user_id=OWNER.user_id, email="new@example.org", name=OWNER.name)
        Importer(log, clock).run(CsvSource(source(path).detection, moved))
        profiles = [USER_PROFILE.value.deserialize(r.value) for r in records(log, USER_PROFILE.name) if r.value]
        assert [profile.email for profile in profiles] == ["one@example.org", "new@example.org"]
        assert (profiles[1].timestamp, len(records(log, ACCOUNT.name))) == (NOW_MS, 1)


def test_a_preview_tells_what_an_import_does_and_writes_nothing(tmp_path: Path) -> None:
    opened = source(csv_file(tmp_path, HEADER + COFFEE + SALARY + "soon,x,y,-1.00\n" + RENT))
    with memory_log() as log:
        Importer(log, clock).run(source(csv_file(tmp_path, HEADER + COFFEE, "before.csv")))
        ends = len(records(log, BALANCE_CHANGED.name))
        seen = preview(opened, log, rows_max=2)
        assert len(records(log, BALANCE_CHANGED.name)) == ends
        result = Importer(log, clock).run(opened)
    assert (
        (seen.new, seen.duplicates, seen.rejected) == (result.imported, result.duplicates, result.rejected) == (2, 1, 1)
    )
    assert [(row.entry.signed_minor, row.present) for row in seen.rows] == [(-350, True), (200000, False)]
    (total,) = seen.totals.values()
    assert (total.credit_minor, total.debit_minor, total.net_minor) == (200000, 70000, 130000)
    assert (seen.first_day, seen.last_day) == (date(2024, 3, 1), date(2024, 3, 3))
    assert (seen.rejects, seen.accounts[0].name) == (result.rejects, "Main")
    assert {setting.name for setting in seen.settings} >= {"encoding", "delimiter", "dates", "decimal mark", "signs"}


class _Interrupted:
    """A source whose reading is interrupted after some entries."""

    def __init__(self, inner: CsvSource, after: int, then: Any) -> None:
        self._inner, self._after, self._then = inner, after, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def entries(self, report: Report) -> Iterator[ImportedEntry]:
        for count, entry in enumerate(self._inner.entries(report)):
            if count == self._after:
                self._then()
            yield entry


class _Killed(BaseException):
    pass


def _kill() -> None:
    raise _Killed


@pytest.mark.parametrize("after", [0, 1, 7, 10, 29])
def test_a_killed_import_is_completed_by_the_next(tmp_path: Path, after: int) -> None:
    opened = source(csv_file(tmp_path, HEADER + (COFFEE + SALARY + RENT) * 10))
    out = tmp_path / "rejects.csv"
    with memory_log() as log:
        importer = Importer(log, clock, chunk_entries=7)
        with pytest.raises(_Killed):
            importer.run(_Interrupted(opened, after, _kill), rejects_path=out)
        there = len(records(log, BALANCE_CHANGED.name))
        assert there == after // 7 * 7
        result = importer.run(opened)
        assert (result.imported, result.duplicates) == (30 - there, there)
        assert_gapless(booked(log).values())


def test_a_second_import_stops_the_first_and_nothing_is_doubled(tmp_path: Path) -> None:
    opened = source(csv_file(tmp_path, HEADER + (COFFEE + SALARY + RENT) * 10 + "soon,x,y,1\n"))
    out = tmp_path / "rejects.csv"
    with memory_log() as log:
        importer = Importer(log, clock, chunk_entries=7)
        results = []
        both = _Interrupted(opened, 16, lambda: results.append(Importer(log, clock).run(opened)))
        with pytest.raises(ImportFencedError, match=r"another import began.*nothing is doubled"):
            importer.run(both, rejects_path=out)
        assert (results[0].imported, results[0].duplicates) == (16, 14)
        (entries,) = booked(log).values()
        assert (len(entries), list(tmp_path.glob("rejects*"))) == (30, [])
        assert_gapless([entries])


def test_progress_goes_up_to_the_end(tmp_path: Path) -> None:
    seen: list[ImportProgress] = []
    opened = source(csv_file(tmp_path, HEADER + COFFEE * 3000))
    with memory_log() as log:
        Importer(log, clock, chunk_entries=1000).run(opened, progress=seen.append)
    assert [progress.imported for progress in seen] == [1000, 2000, 3000, 3000]
    assert seen[-1].fraction == 1.0


def test_a_rejects_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    opened = source(csv_file(tmp_path, HEADER + COFFEE + "soon,x,y,-1.00\n"))
    with memory_log() as log, pytest.raises(ImportFileError, match=r"nowhere.*rejects\.csv"):
        Importer(log, clock).run(opened, rejects_path=tmp_path / "nowhere" / "rejects.csv")


@given(st.lists(st.integers(0, 20), max_size=60), st.integers(1, 7), st.booleans())
def test_sorting_in_runs_is_a_stable_sort(moments: list[int], run_items: int, newest_first: bool) -> None:
    rows = list(enumerate(moments))
    got = in_time_order(iter(rows), tuple[int, int], lambda row: row[1], newest_first=newest_first, run_items=run_items)
    source_order = rows[::-1] if newest_first else rows
    assert list(got) == sorted(source_order, key=lambda row: row[1])


def test_thresholds_for_many_accounts(tmp_path: Path) -> None:
    accounts = list(source(csv_file(tmp_path, HEADER + COFFEE)).accounts.values())
    since = datetime(2024, 1, 1, tzinfo=UTC)
    (record,) = thresholds_for(accounts, Direction.BELOW, 10_000, 500, since)
    (same,) = thresholds_for(accounts, Direction.BELOW, 10_000, 500, since)
    assert record == same
    assert (record.scope_id, record.user_id, record.timestamp) == (
        accounts[0].account_id,
        OWNER.user_id,
        since.timestamp() * 1000,
    )
    assert (record.thresholds[0].level_minor, record.thresholds[0].rearm_margin_minor) == (10_000, 500)
    with pytest.raises(StreambankError, match="time zone"):
        thresholds_for(accounts, Direction.BELOW, 10_000, 500, datetime(2024, 1, 1))  # noqa: DTZ001
    with pytest.raises(StreambankError, match="margin"):
        thresholds_for(accounts, Direction.BELOW, 10_000, -1, since)
