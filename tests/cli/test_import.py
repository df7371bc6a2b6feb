"""``streambank import``: what it shows, what it asks, what it writes."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Call
from tests.cli.support import IMPORT_OPTIONS, START_S, environment, statement, streambank

BERKA_TRANS = """\
"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"
1;7;930101;"PRIJEM";"VKLAD";1000.00;1000.00;"";;
2;7;930105;"VYDAJ";"VYBER";900.00;100.00;"";;
"""
BERKA_ACCOUNT = '"account_id";"district_id";"frequency";"date"\n7;1;"POPLATEK MESICNE";930101\n'
BERKA_DISP = '"disp_id";"client_id";"account_id";"type"\n1;1;7;"OWNER"\n'


def berka(folder: Path) -> Path:
    folder.mkdir()
    (folder / "trans.asc").write_text(BERKA_TRANS)
    (folder / "account.asc").write_text(BERKA_ACCOUNT)
    (folder / "disp.asc").write_text(BERKA_DISP)
    return folder


def test_without_a_terminal_and_without_yes_it_only_shows(call: Call, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shown = streambank("import", str(statement(tmp_path)), *IMPORT_OPTIONS, data=data)
    assert shown.returncode == 2
    assert "run it again with --yes" in shown.stderr
    assert re.search(r"^column amount +Amount +sure +by its name$", shown.stdout, re.MULTILINE)
    assert re.search(r"^2026-01-15 +Everyday +-1,200\.00 EUR +Rent +new$", shown.stdout, re.MULTILINE)
    assert "6 new entries in 1 account, 2026-01-02 to 2026-02-05; there already: 0" in shown.stdout
    assert "EUR: 3,200.00 in, 3,170.50 out, 29.50 in all" in shown.stdout
    assert not data.exists()


def test_a_dry_run_only_shows_and_succeeds(call: Call, tmp_path: Path) -> None:
    found = call(
        "import", str(statement(tmp_path)), *IMPORT_OPTIONS, "--dry-run", "-o", "json", "--data", str(tmp_path / "data")
    )
    assert found.code == 0
    assert json.loads(found.stdout)["new"] == 6
    assert not (tmp_path / "data").exists()


def test_a_second_import_adds_nothing_and_an_overlapping_one_the_rest(call: Call, tmp_path: Path) -> None:
    path = statement(tmp_path)
    arguments = (*IMPORT_OPTIONS, "--yes", "-o", "json", "--data", str(tmp_path / "data"))
    results = [json.loads(call("import", str(path), *arguments).stdout)]
    results.append(json.loads(call("import", str(path), *arguments).stdout))
    path.write_text(path.read_text() + "2026-02-07,Coffee,-2.50,27.00\n")
    results.append(json.loads(call("import", str(path), *arguments).stdout))
    assert [(r["imported"], r["duplicates"]) for r in results] == [(6, 0), (0, 6), (1, 6)]


def test_history_raises_no_alert_and_live_does(call: Call, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    origins = []
    for name, live in (("one", ()), ("two", ("--live",))):
        options = [*IMPORT_OPTIONS[:-1], name]
        call("import", str(statement(tmp_path)), *options, *live, "--yes", *data)
    for line in call("tail", "balance.changed", "--from", "start", "-o", "jsonl", *data).stdout.splitlines():
        origins.append(json.loads(line)["value"].get("origin", "live"))
    assert sorted(origins) == ["import"] * 6 + ["live"] * 6


def test_thresholds_hold_from_before_the_first_entry(call: Call, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    options = ("--alert-below", "100", "--alert-above", "1,600", "--margin", "10")
    assert call("import", str(statement(tmp_path)), *IMPORT_OPTIONS, *options, "--yes", *data).code == 0
    found = json.loads(call("alerts", "thresholds", "-o", "json", *data).stdout)
    assert [(t["direction"], t["level"], t["margin"]) for t in found] == [
        ("below", "100.00", "10.00"),
        ("above", "1600.00", "10.00"),
    ]
    (record,) = json.loads(call("tail", "account.thresholds", "-o", "json", *data).stdout)
    assert record["timestamp"] < "2026-01-02"


def test_rows_that_cannot_be_read_are_kept_with_the_reason(call: Call, tmp_path: Path) -> None:
    path = statement(tmp_path)
    path.write_text(path.read_text() + "2026-02-30,Nonsense,-2.50,27.00\n" * 7)
    rejects = tmp_path / "rejects.csv"
    found = call(
        "import", str(path), *IMPORT_OPTIONS, "--yes", "--rejects", str(rejects), "--data", str(tmp_path / "data")
    )
    assert found.code == 0
    assert "rows that could not be imported: 7" in found.stdout
    assert str(rejects) in found.stdout
    assert found.stderr.count("not imported: statement.csv, line ") == 5
    assert "not imported: and 2 more" in found.stderr
    assert "2026-02-30,Nonsense" in rejects.read_text()


def test_without_a_name_the_rejects_file_is_in_the_data_folder(call: Call, tmp_path: Path) -> None:
    path = statement(tmp_path)
    path.write_text(path.read_text() + "2026-02-30,Nonsense,-2.50,27.00\n")
    found = call("import", str(path), *IMPORT_OPTIONS, "--yes", "--data", str(tmp_path / "data"))
    rejects = tmp_path / "data" / "rejects" / "statement.csv.rejects.csv"
    assert str(rejects) in found.stdout
    assert "2026-02-30,Nonsense" in rejects.read_text()


def test_the_berka_files_are_recognised(call: Call, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    done = call("import", str(berka(tmp_path / "berka")), "--yes", "--alert-below", "200", *data)
    assert done.code == 0, done.stderr
    assert "Berka bank files" in done.stdout
    assert "imported 2 entries" in done.stdout


SAMPLES = Path(__file__).parents[1] / "bank/imports/samples"
WHO = ("--email", "ann@example.org", "--name", "Ann Lee")


@pytest.mark.parametrize(
    ("name", "options", "format_", "imported"),
    [
        ("sgml.ofx", (), "OFX", 5),
        ("v02.xml", ("--account", "Giro"), "CAMT.053", 4),
        ("german.sta", (), "MT940", 8),
        ("quicken.qif", ("--currency", "USD", "--date-style", "mdy"), "QIF", 4),
    ],
)
def test_statements_are_recognised(
    call: Call, tmp_path: Path, name: str, options: tuple[str, ...], format_: str, imported: int
) -> None:
    arguments = ("import", str(SAMPLES / name), *WHO, *options, "--yes", "--data", str(tmp_path / "data"))
    done, again = call(*arguments), call(*arguments)
    assert (done.code, again.code) == (0, 0), done.stderr
    assert re.search(rf"^format +{re.escape(format_)} +sure +by its content$", done.stdout, re.MULTILINE)
    assert f"imported {imported} entries" in done.stdout
    assert f"imported 0 entries; there already: {imported}" in again.stdout


def test_what_the_bank_has_not_booked_is_left_out_and_said(call: Call, tmp_path: Path) -> None:
    found = call("import", str(SAMPLES / "v02.xml"), *WHO, "--dry-run", "--data", str(tmp_path / "data"))
    assert "note: v02.xml: entries that the bank has not booked yet: 1; left out until it has" in found.stderr


def test_a_wrong_transaction_of_a_statement_is_kept_with_the_reason(call: Call, tmp_path: Path) -> None:
    path, rejects = tmp_path / "bank.ofx", tmp_path / "rejects.csv"
    path.write_text((SAMPLES / "sgml.ofx").read_text().replace("-12,50", "much"))
    options = ("--yes", "--rejects", str(rejects), "--data", str(tmp_path / "data"))
    done = call("import", str(path), *WHO, *options)
    assert "not imported: bank.ofx, line 29: TRNAMT: 'much' is not an amount (transaction 2)" in done.stderr
    assert rejects.read_text().splitlines()[0] == "rejected line,rejected because,DTPOSTED,TRNAMT,NAME,MEMO,FITID"
    assert "much,,Coffee <3 beans,2024011500004" in rejects.read_text()


@pytest.mark.parametrize(
    ("name", "arguments", "code", "expected"),
    [
        ("sgml.ofx", (), 2, "--email ADDRESS"),
        ("sgml.ofx", (*WHO, "--delimiter", ";"), 2, "--delimiter: only for CSV files, and sgml.ofx is OFX"),
        ("v02.xml", (*WHO, "--column", "date=1", "--sign", "negated"), 2, "--sign, --column: only for CSV files"),
        ("german.sta", (*WHO, "--header-line", "0"), 2, "--header-line: only for CSV files"),
        ("quicken.qif", WHO, 1, "a QIF file does not say its currency: give it (--currency)"),
        ("sgml.ofx", (*WHO, "--opening-balance", "5"), 1, "only for a file of one account (--opening-balance)"),
        ("sgml.ofx", (*WHO, "--format", "mt940"), 1, "no account (:25:)"),
        ("sgml.ofx", (*WHO, "--format", "berka"), 1, "Berka"),
    ],
)
def test_a_statement_that_cannot_be(
    call: Call, tmp_path: Path, name: str, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    found = call("import", str(SAMPLES / name), *arguments, "--yes", "--data", str(tmp_path / "data"))
    assert (found.code, expected in found.stderr) == (code, True), found.stderr
    assert not (tmp_path / "data" / "log").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 1, "--currency"),
        (("--currency", "EUR", "--account", "Main"), 1, "streambank login"),
        (("--currency", "EUR", "--account", "Main", "--email", "nobody"), 2, "--email: "),
        ((*IMPORT_OPTIONS, "--column", "colour=Date"), 2, "'colour' is no role"),
        ((*IMPORT_OPTIONS, "--column", "date"), 2, "write date=NAME"),
        ((*IMPORT_OPTIONS, "--opening-balance", "much"), 2, "--opening-balance"),
        ((*IMPORT_OPTIONS, "--alert-below", "low"), 2, "--alert-below"),
        ((*IMPORT_OPTIONS, "--format", "berka"), 1, "Berka"),
    ],
)
def test_what_cannot_be(call: Call, tmp_path: Path, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = call("import", str(statement(tmp_path)), *arguments, "--yes", "--data", str(tmp_path / "data"))
    assert found.code == code, found.stderr
    assert expected in found.stderr
    assert not (tmp_path / "data" / "log").exists()


def test_a_file_that_is_not_there(call: Call, tmp_path: Path) -> None:
    found = call("import", str(tmp_path / "no.csv"), "--data", str(tmp_path / "data"))
    assert (found.code, found.stderr) == (1, f"streambank: there is no file {tmp_path / 'no.csv'}\n")


@pytest.mark.parametrize(("answer", "imported"), [(b"y\n", True), (b"\n", False)])
def test_on_a_terminal_it_asks(tmp_path: Path, answer: bytes, imported: bool) -> None:
    data = tmp_path / "data"
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "streambank", "import", str(statement(tmp_path)), *IMPORT_OPTIONS],
        env=environment(data),
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    os.close(end)
    os.write(terminal, answer)
    output, _ = process.communicate(timeout=START_S)
    os.close(terminal)
    assert process.returncode == 0
    assert f"Import 6 new entries into {data}? [y/N]" in output.decode()
    assert ("imported 6 entries" in output.decode()) is imported
    assert (data / "log").is_dir() is imported
