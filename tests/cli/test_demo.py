"""The demo as a real process."""

import json
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
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
    # What was booked as it stopped is published with the next start; each payment adds some of the ledger's own.
    paid = re.search(r"^(\d+) payments between people$", done.stdout, re.MULTILINE)
    assert paid is not None, done.stdout
    assert past + live - 50 <= int(records[1].replace(",", "")) <= past + live + 6 * int(paid[1])
    assert live > 20
    assert f"streambank balances --data {data}" in done.stdout
    phases = ("people sign up", "generating the past", "working out the balances", "live")
    # A phase that is over between two looks is not told.
    told = [line for line in done.stdout.splitlines() if line in phases]
    assert told == [phase for phase in phases if phase in told]
    assert told[-1] == "live"


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


def test_one_of_the_people_can_be_logged_in_as_beside_it(tmp_path: Path) -> None:
    with running(tmp_path, "demo", *SMALL) as process:
        wait_until(lambda: "live\n" in process.stdout, "it is live", 2 * START_S)
        shown = re.search(r"streambank login (\S+) --server (\S+)\n +(.+)'s password is (\S+)", process.stdout)
        assert shown is not None, process.stdout
        email, server, name, password = shown.groups()
        there = {"STREAMBANK_SERVER": server}
        logged_in = streambank("login", email, "--password-stdin", data=tmp_path / "me", text=password, env=there)
        assert logged_in.returncode == 0, logged_in.stderr
        assert name in streambank("whoami", data=tmp_path / "me", env=there).stdout
        listed = streambank("tx", "ls", data=tmp_path / "me", env=there).stdout
        assert re.search(r"^api +(http://\S+)/docs$", process.stdout, re.MULTILINE)[1] == server  # type: ignore[index]
        process.stop()
    assert len(listed.splitlines()) > 5


@pytest.mark.parametrize(
    ("phase", "size"),
    [("people sign up", ("500", "10")), ("generating the past", ("2", "20000"))],
    ids=["joining", "past"],
)
@pytest.mark.alone
def test_it_stops_within_a_second_in_the_midst_of_it(tmp_path: Path, phase: str, size: tuple[str, str]) -> None:
    folders = iter("abc")

    def attempt() -> float:
        data = tmp_path / next(folders)
        people, days = size
        with running(tmp_path, "demo", "--people", people, "--days", days, "--data", str(data)) as process:
            wait_until(lambda: phase in process.stdout, phase)
            time.sleep(0.5)
            took_s = process.stop(signal.SIGTERM)
            assert process.process.returncode == 0, process.stderr
        assert "live\n" not in process.stdout
        return took_s

    stops_in_time(attempt)


def test_one_that_was_killed_in_the_midst_of_the_past_is_completed(tmp_path: Path) -> None:
    """Killed once it has booked some; then the same people, accounts and entries as of one that was not."""
    size = ("--people", "4", "--days", "300")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with running(tmp_path, "demo", *size, "--data", str(killed)) as process:
        wait_until(lambda: entries(killed) > 100, "some entries")
        process.process.kill()
        process.process.wait()
    assert "live\n" not in process.stdout
    booked = []
    for data in (killed, whole):
        done = streambank("demo", *size, "--rate", "1", "--duration", "100ms", "--data", str(data))
        assert done.returncode == 0, done.stderr
        listed = json.loads(streambank("balances", "-o", "json", data=data).stdout)["accounts"]
        booked.append(Counter((one["user"], one["account"], one["currency"]) for one in listed))
    assert booked[0] == booked[1]
    past = [Counter(amounts(data)) for data in (killed, whole)]
    # A live entry may have been made in either.
    assert (past[0] - past[1]).total() <= 2
    assert (past[1] - past[0]).total() <= 2


def entries(data: Path) -> int:
    """How many entries the log has."""
    found = re.search(r"balance\.changed +4 +([\d,]+)", streambank("topics", data=data).stdout)
    return int(found[1].replace(",", "")) if found is not None else 0


def amounts(data: Path) -> list[tuple[str, str, int, int]]:
    """What was booked: when, of which currency, its number in its account, and how much."""
    listed = streambank("tail", "balance.changed", "-n", "1000000", "-o", "jsonl", data=data).stdout
    values = (json.loads(line)["value"] for line in listed.splitlines())
    return [(v["occurred_at"], v["currency"], v["account_seq"], v["amount_minor"]) for v in values]


def test_ports_that_are_taken_and_a_second_one_on_the_folder_are_told(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with running(tmp_path, "demo", *SMALL, "--data", str(data)) as process:
        wait_until(lambda: "mailbox" in process.stdout, "it runs")
        found = re.search(r"^api +http://127\.0\.0\.1:(\d+)/docs$", process.stdout, re.MULTILINE)
        assert found is not None
        second = streambank("demo", *SMALL, "--data", str(data))
        assert second.returncode == 1
        assert re.search(r"`streambank demo` \(process \d+\) is already running on .*--data", second.stderr)
        taken = streambank("demo", *SMALL, "--api-port", found[1])
        assert taken.returncode == 1
        assert re.search(r"cannot open the port \d+ of the API: .*--api-port", taken.stderr)


def test_numbers_that_cannot_work_are_wrong_usage() -> None:
    assert streambank("demo", "--people", "0").returncode == 2
    failed = streambank("demo", "--duration", "soon")
    assert failed.returncode == 2
    assert "--duration: 'soon' is not a duration; write it like 30s" in failed.stderr
