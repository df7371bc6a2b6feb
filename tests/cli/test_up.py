"""The whole bank as a real process: alerts to e-mails, one at a time, and gone within a second."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.support import (
    ANY_PORTS,
    IMPORT_OPTIONS,
    START_S,
    running,
    statement,
    stops_in_time,
    streambank,
    up,
    wait_until,
)


def mailbox_url(data: Path) -> str:
    return streambank("mailbox", "--open-url", data=data).stdout.strip()


def test_an_imported_entry_becomes_an_alert_and_an_e_mail_while_up_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as process:
        imported = streambank(
            "import", str(statement(tmp_path)), *IMPORT_OPTIONS, "--live", "--alert-below", "100", "--yes", data=data
        )
        assert imported.returncode == 0, imported.stderr
        wait_until(lambda: len(process.logged("e-mail sent")) == 2, "two e-mails")

        listed = json.loads(streambank("alerts", "-o", "json", data=data).stdout)
        assert [alert["balance"] for alert in listed] == ["29.50", "49.50"]
        assert all(alert["email_sent_at"] and alert["email_latency_ms"] > 0 for alert in listed)
        mails = json.loads(streambank("mailbox", "-o", "json", data=data).stdout)
        assert {mail["to"] for mail in mails} == {"ann@example.org"}
        shown = streambank("mailbox", "show", mails[0]["id"], data=data).stdout
        assert "Everyday fell below 100.00 EUR" in shown
        lag = json.loads(streambank("lag", "-o", "json", "--fail-above", "0", data=data).stdout)
        assert {group["group"]: group["lag"] for group in lag if group["members"]} == {
            "alerts": 0,
            "balances": 0,
            "figures": 0,
            "goals": 0,
            "notifications": 0,
            "payments": 0,
            "personalization": 0,
            "screening": 0,
            "transactions": 0,
            "views": 0,
        }


def test_a_second_one_on_the_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as process:
        second = streambank("up", *ANY_PORTS, data=data)
        assert second.returncode == 1
        assert f"`streambank up` (process {process.process.pid}) is already running on {data}" in second.stderr
        assert "Traceback" not in second.stderr
        assert process.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.alone
def test_a_signal_ends_it_within_a_second_with_open_connections(tmp_path: Path, number: int) -> None:
    data = tmp_path / "data"

    def attempt() -> float:
        with up(data) as process, ExitStack() as connections:
            port = int(mailbox_url(data).split(":")[2].split("/")[0])
            for _ in range(3):
                connection = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert b"200" in connection.recv(100)
            took_s = process.stop(number)
            assert process.process.returncode == 0, process.stderr
            assert process.logged("stopped")
            return took_s

    stops_in_time(attempt)


def test_after_a_kill_the_next_one_starts_and_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as process:
        process.stop(signal.SIGKILL)
    imported = streambank(
        "import", str(statement(tmp_path)), *IMPORT_OPTIONS, "--live", "--alert-below", "100", "--yes", data=data
    )
    assert imported.returncode == 0, imported.stderr
    assert "nothing runs" in streambank("mailbox", "--open-url", data=data).stderr
    with up(data) as process:
        wait_until(lambda: len(process.logged("e-mail sent")) == 2, "two e-mails")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = streambank("up", "--port", str(port), "--mailbox-smtp-port", "0", data=tmp_path / "data")
    assert failed.returncode == 1
    assert str(port) in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_mailbox_page_needs_the_token_that_is_only_told_on_request(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as process:
        url = mailbox_url(data)
        token = url.partition("token=")[2]
        assert len(token) >= 16
        assert token not in process.stdout
        assert token not in process.stderr
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url.partition("?")[0], timeout=START_S)
        refused.value.close()
        assert refused.value.code == 401
    assert os.stat(data / "mailbox.secret").st_mode & 0o077 == 0


def test_a_tail_follows_what_another_process_writes_and_stops_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data), running(tmp_path / "tail", "tail", "account.balance", "-f", "-o", "jsonl", data=data) as tail:
        time.sleep(1.0)
        streambank("import", str(statement(tmp_path)), *IMPORT_OPTIONS, "--yes", data=data)
        wait_until(lambda: len(tail.stdout.splitlines()) == 6, "six balances")
        tail.stop()
        assert tail.process.returncode == 0
        assert tail.stderr == ""
    last = json.loads(tail.stdout.splitlines()[-1])
    assert last["topic"] == "account.balance"
    assert last["value"]["after_minor"] == 2950


def test_smtp_options_that_cannot_work_are_wrong_usage(tmp_path: Path) -> None:
    for arguments, expected in (
        (("--smtp-host", "mail.example.org"), "--mail-from"),
        (("--mail-from", "bank@example.org"), "--smtp-host"),
        (("--smtp-host", "h", "--mail-from", "b@example.org", "--smtp-user", "u"), "STREAMBANK_SMTP_PASSWORD"),
    ):
        failed = streambank("up", *arguments, data=tmp_path / "data")
        assert failed.returncode == 2, failed.stderr
        assert expected in failed.stderr
