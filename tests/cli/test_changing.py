"""Commands that change the log: reset, replay and migrate, on a bank that has run."""

import json
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.support import ANY_PORTS, IMPORT_OPTIONS, alerts_become_emails, statement, streambank, up, wait_until

from streambank.log import open_log


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a statement in it that was processed."""
    data = tmp_path / "data"
    with up(data) as process:
        alerts_become_emails(tmp_path, process)
        process.stop()
    return data


def listing(data: Path, *arguments: str) -> list[dict[str, object]]:
    done = streambank(*arguments, "-o", "json", data=data)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def value(record: dict[str, object]) -> str:
    return json.dumps(record["value"], sort_keys=True)


def test_an_application_is_computed_anew(data: Path, tmp_path: Path) -> None:
    before = listing(data, "tail", "account.balance", "-n", "100")
    looked = streambank("reset", "balances", "--dry-run", data=data)
    assert "balances-account-balance-changelog" in looked.stderr
    assert streambank("reset", "balances", data=data).returncode == 2, "nobody there to say yes"
    assert "balances-topology" in {topic["topic"] for topic in listing(data, "topics")}

    done = streambank("reset", "balances", "--yes", data=data)
    assert done.returncode == 0, done.stderr
    assert "balances-topology" not in {topic["topic"] for topic in listing(data, "topics")}
    with up(data) as process:
        options = (*IMPORT_OPTIONS, "--live", "--yes")
        assert streambank("import", str(statement(tmp_path)), *options, data=data).returncode == 0
        refused = streambank("reset", "balances", "--yes", data=data)
        assert refused.returncode == 1
        assert "stop them first" in refused.stderr
        process.stop()
    after = listing(data, "tail", "account.balance", "-n", "100")
    # Records of one moment may be listed in another order.
    assert sorted(map(value, after)) == sorted(map(value, before * 2))


def test_what_cannot_be_reset(data: Path) -> None:
    for group, complaint in (("nobody", "no group 'nobody'"), ("notifications", "a database of its own")):
        done = streambank("reset", group, "--yes", data=data)
        assert done.returncode == 1
        assert complaint in done.stderr
    done = streambank("reset", "balances", "--to", "yesterday", data=data)
    assert done.returncode == 2
    assert "--to: 'yesterday' is none of start" in done.stderr


def test_records_are_written_again(data: Path) -> None:
    topic = "balance.changed"
    done = streambank("replay", topic, "--into", "copy", "--from", "-3", "--grep", "Rent", "--yes", data=data)
    assert done.returncode == 0, done.stderr
    original = listing(data, "tail", topic, "-n", "100", "--headers", "--grep", "Rent")
    copies = listing(data, "tail", "copy", "-n", "100", "--headers")
    assert 0 < len(copies) <= len(original)
    by_place = {f"{record['topic']}-{record['partition']}-{record['offset']}": record for record in original}
    for copy in copies:
        headers = copy["headers"]
        assert isinstance(headers, list)
        name, place = headers.pop()
        assert name == "replayed-from"
        source = by_place[place]
        for part in ("key", "value", "timestamp", "partition", "headers"):
            assert copy[part] == source[part]


def test_a_dry_run_writes_nothing_and_a_topic_is_not_its_own_copy(data: Path) -> None:
    done = streambank("replay", "balance.changed", "--into", "copy", "--dry-run", data=data)
    assert done.returncode == 0
    assert "of balance.changed, into copy" in done.stderr
    assert "copy" not in {topic["topic"] for topic in listing(data, "topics")}
    assert streambank("replay", "copy", "--into", "copy", data=data).returncode == 2


def test_a_replay_keeps_to_its_rate(data: Path) -> None:
    began = time.monotonic()
    done = streambank("replay", "balance.changed", "--into", "copy", "--rate", "2.5", "--yes", data=data)
    assert done.returncode == 0, done.stderr
    records = len(listing(data, "tail", "copy", "-n", "100"))
    assert time.monotonic() - began >= records / 2.5


def test_a_bank_moves_to_another_log_and_goes_on(data: Path, tmp_path: Path) -> None:
    target = ("--log", f"embedded:{tmp_path / 'other'}")
    moves_and_goes_on(data, tmp_path, target)


def moves_and_goes_on(data: Path, tmp_path: Path, target: tuple[str, str]) -> None:
    """Used for Kafka too."""
    balances = streambank("balances", "-o", "json", data=data).stdout
    done = streambank("migrate", target[1], "-o", "json", data=data)
    assert done.returncode == 0, done.stderr
    moved = {topic["topic"]: topic for topic in json.loads(done.stdout)}
    assert moved["alert.raised"]["records"] == 2
    assert streambank("balances", "-o", "json", *target, data=data).stdout == balances

    again = streambank("migrate", target[1], data=data)
    assert again.returncode == 1
    assert "has records in topic" in again.stderr
    wrong = streambank("up", *ANY_PORTS, data=data)
    assert wrong.returncode == 1
    assert "belongs to the log" in wrong.stderr

    more = tmp_path / "more.csv"
    more.write_text("Date,Description,Amount,Balance\n2026-02-06,Bonus,100.00,129.50\n2026-02-07,Shoes,-80.00,49.50\n")
    with up(data, *target) as process:
        options = (*IMPORT_OPTIONS, "--live", "--yes")
        imported = streambank("import", str(more), *options, *target, data=data)
        assert imported.returncode == 0, imported.stderr
        wait_until(lambda: len(process.logged("e-mail sent")) == 1, "one e-mail, and the earlier ones not again")
        found = json.loads(streambank("balances", "-o", "json", *target, data=data).stdout)
        assert [account["balance"] for account in found["accounts"]] == ["49.50"]
        process.stop()
    assert len(json.loads(streambank("mailbox", "-o", "json", data=data).stdout)) == 3


def test_a_bank_that_runs_is_not_moved(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data):
        done = streambank("migrate", f"embedded:{tmp_path / 'other'}", data=data)
        assert done.returncode == 1
        assert "is already running" in done.stderr
    with closing(open_log(tmp_path / "other")) as log:
        assert log.topics() == {}
