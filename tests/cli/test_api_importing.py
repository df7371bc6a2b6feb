"""Files into an account with the bank, and back out."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Person
from tests.cli.support import statement

SAMPLES = Path(__file__).parents[1] / "bank/imports/samples"


def balance(person: Person, name: str = "Everyday") -> int:
    accounts = json.loads(person.done("account", "ls", "-o", "json"))
    return next(int(a["balance"]["booked_minor"]) for a in accounts if a["name"] == name)


def imported(person: Person, file: Path, *more: str) -> dict[str, Any]:
    arguments = ("import", str(file), "--account", "Everyday", "--yes", "-o", "json", *more)
    found: dict[str, Any] = json.loads(person.done(*arguments))
    return found


def csv(folder: Path, rows: str, name: str = "bank.csv") -> Path:
    path = folder / name
    path.write_text(f"Date,Description,Amount\n{rows}")
    return path


def test_a_file_is_shown_first_and_imported_then(ann: Person, tmp_path: Path) -> None:
    file = statement(tmp_path)
    looked = ann.done("import", str(file), "--account", "everyday", "--dry-run")
    assert "6 entries for Everyday, 2026-01-02 to 2026-02-05; rows that cannot be imported: 0" in looked
    assert balance(ann) == 0
    done = ann.done("import", str(file), "--account", "everyday", "--yes")
    assert "imported 6 entries; there already: 0; rows that could not be imported: 0" in done
    assert balance(ann) == 2_950
    assert not (ann.data / "log").exists()


def test_nobody_who_could_say_yes_is_a_no(ann: Person, tmp_path: Path) -> None:
    assert ann("import", str(statement(tmp_path)), "--account", "Everyday").code == 2
    assert balance(ann) == 0


def test_a_file_that_overlaps_adds_what_is_new(ann: Person, tmp_path: Path) -> None:
    first = csv(tmp_path, "2026-01-02,Coffee,-2.00\n2026-01-02,Coffee,-2.00\n2026-01-03,Pay,50.00\n")
    assert imported(ann, first)["imported"] == 3
    rows = "2026-01-02,Coffee,-2.00\n2026-01-02,Coffee,-2.00\n2026-01-02,Coffee,-2.00\n2026-01-04,Tea,-1.00\n"
    again = imported(ann, csv(tmp_path, rows, "other.csv"))
    assert (again["imported"], again["duplicates"]) == (2, 2)
    assert balance(ann) == 5_000 - 600 - 100


def test_an_import_is_undone_and_may_be_done_again(ann: Person, tmp_path: Path) -> None:
    done = imported(ann, statement(tmp_path))
    listed = ann.done("imports", "ls").splitlines()
    assert listed[1].split()[-1] == done["import_id"]
    assert ann("imports", "undo", done["import_id"]).code == 2, "nobody there to say yes"
    assert "reversed: 6; kept, since they were corrected: 0" in ann("imports", "undo", done["import_id"], "-y").stderr
    assert balance(ann) == 0
    # With the opening balance, which is for accounts that have nothing yet.
    assert imported(ann, statement(tmp_path))["imported"] == 6
    assert balance(ann) == 2_950


def test_rows_that_cannot_be_read_go_to_a_file(ann: Person, tmp_path: Path) -> None:
    long = "L" * 1_500
    rows = f"2026-01-02,Pay,50.00\n2026-01-03,Nothing,0.00\n2026-01-04,Broken,abc\n2026-01-05,{long},-1.00\n"
    done = imported(ann, csv(tmp_path, rows))
    assert (done["imported"], done["rejected"], done["cut_texts"]) == (2, 2, 1)
    assert [text.partition(": ")[2] for text in done["rejects"]] == [
        "amount: is 0, which is no entry to the bank",
        "amount: 'abc' is not an amount",
    ]
    rejects = Path(done["rejects_file"])
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()[1:]] == ["3", "4"]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_a_row_that_the_bank_refuses_is_named_and_nothing_is_imported(ann: Person, tmp_path: Path) -> None:
    file = csv(tmp_path, "2026-01-02,Pay,50.00\n2026-01-03,Broken,abc\n2300-01-03,Future,1.00\n")
    found = ann("import", str(file), "--account", "Everyday", "--yes")
    assert found.code == 1
    last = found.stderr.splitlines()[-1]
    assert last.startswith("streambank: bank.csv: line 4: booking_date: ")
    assert last.endswith("Nothing was imported")
    assert balance(ann) == 0
    assert not list((ann.data / "rejects").glob("*"))


@pytest.mark.parametrize(
    ("name", "account", "entries"),
    [
        ("sgml.ofx", ("Other", "--currency", "USD", "--number-last4", "2345"), 4),
        ("v02.xml", ("Other", "--currency", "EUR"), 4),
        ("quicken.qif", ("card", "--currency", "USD"), 1),
    ],
)
def test_other_formats_go_the_same_way(ann: Person, name: str, account: tuple[str, ...], entries: int) -> None:
    ann.done("account", "open", *account)
    style = ("--date-style", "mdy") if name.endswith("qif") else ()
    done = ann("import", str(SAMPLES / name), "--account", account[0], "--yes", "-o", "json", *style)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["imported"] == entries


def test_which_account_of_a_file_is_meant_must_be_told(ann: Person) -> None:
    ann.done("account", "open", "Other", "--currency", "USD")
    found = ann("import", str(SAMPLES / "sgml.ofx"), "--account", "Other", "--yes")
    assert found.code == 1
    assert "has entries of several accounts" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--account", "Nope"), 1, "no account 'Nope'"),
        (("--account", "Everyday", "--live"), 2, "--live is for imports with --email"),
        (("--account", "Everyday", "--currency", "USD"), 1, "of another currency than the account, EUR"),
        (("--account", "Everyday", "--format", "berka"), 2, "leave --account out"),
        (("--account", "Mine", "--number", "DE 1234"), 1, "is of the account …1234, and Mine is …9999"),
    ],
)
def test_what_cannot_be(ann: Person, tmp_path: Path, arguments: tuple[str, ...], code: int, expected: str) -> None:
    ann.done("account", "open", "Mine", "--currency", "EUR", "--number-last4", "9999")
    found = ann("import", str(statement(tmp_path)), "--yes", *arguments)
    assert found.code == code, found.stderr
    assert expected in found.stderr


def test_who_is_not_logged_in_is_told_how(stranger: Person, tmp_path: Path) -> None:
    found = stranger("import", str(statement(tmp_path)), "--account", "Everyday", "--yes")
    assert found.code == 1
    assert "Log in with `streambank login`" in found.stderr
