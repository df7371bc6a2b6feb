"""The demo as a real process."""

import re
import signal
from pathlib import Path

from tests.cli.support import START_S, running, stops_in_time, streambank, wait_until

SMALL = ("--people", "3", "--days", "10", "--rate", "100")


def test_it_stops_by_itself_and_tells_what_happened(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    done = streambank("demo", *SMALL, "--duration", "2s", "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    summary = re.search(r"([\d,]+) entries of the past, and (\d+) live in 0:02", done.stdout)
    assert summary is not None, done.stdout
    past, live = (int(number.replace(",", "")) for number in summary.groups())
    records = re.search(r"balance\.changed +4 +([\d,]+)", streambank("topics", data=data).stdout)
    assert records is not None
    assert int(records[1].replace(",", "")) == past + live
    assert live > 100
    assert f"streambank balances --data {data}" in done.stdout


def test_each_alert_is_followed_by_its_e_mail_and_how_long_it_took(tmp_path: Path) -> None:
    with running(tmp_path, "demo", "--people", "20", "--days", "5", "--rate", "500") as process:
        wait_until(lambda: "  e-mail  to " in process.stdout, "an e-mail", 2 * START_S)
        process.stop()
        assert process.process.returncode == 0, process.stderr
    assert re.search(r"^\d\d:\d\d:\d\d  alert   .+: .+ is (below|above) [\d,.-]+$", process.stdout, re.MULTILINE)
    assert re.search(r"e-mail  to .+, after [\d.]+ m?s$", process.stdout, re.MULTILINE)
    assert re.search(r"e-mail: [\d.]+ m?s median, [\d.]+ m?s p99", process.stdout)
    assert "The data was temporary and is gone" in process.stdout


def test_the_same_folder_goes_on_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    streambank("demo", *SMALL, "--duration", "1s", "--data", str(data))
    again = streambank("demo", *SMALL, "--duration", "1s", "--data", str(data))
    assert again.returncode == 0, again.stderr
    assert re.search(r"^0 entries of the past, and \d+ live", again.stdout, re.MULTILINE), again.stdout


def test_it_stops_within_a_second_in_the_midst_of_the_past(tmp_path: Path) -> None:
    folders = iter("abc")

    def attempt() -> float:
        data = tmp_path / next(folders)
        with running(tmp_path, "demo", "--people", "500", "--days", "1000", "--data", str(data)) as process:
            wait_until(lambda: "generating the past" in process.stdout, "the past")
            took_s = process.stop(signal.SIGTERM)
            assert process.process.returncode == 0, process.stderr
        assert "live\n" not in process.stdout
        return took_s

    stops_in_time(attempt)


def test_numbers_that_cannot_work_are_wrong_usage() -> None:
    assert streambank("demo", "--people", "0").returncode == 2
    failed = streambank("demo", "--duration", "soon")
    assert failed.returncode == 2
    assert "--duration: 'soon' is not a duration; write it like 30s" in failed.stderr
