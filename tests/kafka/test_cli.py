"""The command line with the event log on Kafka: the same commands, the same bank."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.support import (
    ANY_PORTS,
    alerts_become_emails,
    members,
    streambank,
    topologies_and_notifications,
    up,
    wait_until,
)
from tests.cli.test_changing import moves_and_goes_on
from tests.kafka.cluster import cluster_or_skip
from tests.kafka.torture import SETTINGS


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The option for a Kafka of its own, since the bank's topics have fixed names."""
    with cluster_or_skip(tmp_path / "kafka", settings=SETTINGS) as cluster:
        yield "--log", cluster.url


@pytest.mark.alone
def test_everything_in_one_process(tmp_path: Path, log: tuple[str, str]) -> None:
    data = tmp_path / "data"
    with up(data, *log) as process:
        assert f"log      {log[1]}" in process.stdout
        alerts_become_emails(tmp_path, process, *log)

        alerts = json.loads(streambank("alerts", "-o", "json", *log, data=data).stdout)
        assert [alert["balance"] for alert in alerts] == ["29.50", "49.50"]
        balances = json.loads(streambank("balances", "-o", "json", *log, data=data).stdout)
        assert [account["balance"] for account in balances["accounts"]] == ["29.50"]
        raised = streambank("tail", "alert.raised", "-o", "jsonl", *log, data=data).stdout.splitlines()
        assert len(raised) == 2
        topics = json.loads(streambank("topics", "-o", "json", *log, data=data).stdout)
        assert {"account.balance", "alert.raised", "email.sent"} <= {topic["topic"] for topic in topics}
        # Marks of transactions lie behind the last positions; they are no lag.
        wait_until(lambda: _lag(data, log) == 0, "no lag")
        process.stop()
    assert members(data, *log) == {}, "it has left its groups at once"


@pytest.mark.slow
@pytest.mark.alone
def test_topologies_in_processes_of_their_own_with_one_killed(tmp_path: Path, log: tuple[str, str]) -> None:
    with topologies_and_notifications(tmp_path, *log) as (topologies, notifications):
        os.kill(topologies.logged("process started")[0]["pid"], signal.SIGKILL)
        alerts_become_emails(tmp_path, notifications, *log)
        topologies.stop()
        notifications.stop()
    wait_until(lambda: members(tmp_path / "data", *log) == {}, "the killed one is forgotten")


@pytest.mark.slow
def test_a_bank_moves_from_the_embedded_log_and_goes_on(tmp_path: Path, log: tuple[str, str]) -> None:
    data = tmp_path / "data"
    with up(data) as process:
        alerts_become_emails(tmp_path, process)
        process.stop()
    moves_and_goes_on(data, tmp_path, log)

    # What works on the embedded log works here.
    replayed = streambank("replay", "alert.raised", "--into", "copy", "--yes", *log, data=data)
    assert replayed.returncode == 0, replayed.stderr
    assert len(streambank("tail", "copy", "-n", "9", "-o", "jsonl", *log, data=data).stdout.splitlines()) == 3
    balances = streambank("balances", "-o", "json", *log, data=data).stdout
    reset = streambank("reset", "balances", "--yes", *log, data=data)
    assert reset.returncode == 0, reset.stderr
    with up(data, *log) as process:
        wait_until(lambda: _lag(data, log) == 0 and members(data, *log).keys() >= {"balances"}, "computed anew")
        process.stop()
    assert streambank("balances", "-o", "json", *log, data=data).stdout == balances


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    for command in (("topics",), ("up", *ANY_PORTS), ("run", "balances")):
        done = streambank(*command, "--log", "kafka://127.0.0.1:1", data=tmp_path)
        assert done.returncode == 1
        assert "127.0.0.1:1" in done.stderr
        assert "Traceback" not in done.stderr


def test_secrets_in_the_address_are_not_shown(tmp_path: Path) -> None:
    secret = "not-for-anybody"
    url = f"kafka://127.0.0.1:1?sasl.password={secret}&sasl.username=me&sasl.mechanism=PLAIN&security.protocol=SASL_PLAINTEXT"
    done = streambank("topics", "--log", url, data=tmp_path)
    assert done.returncode == 1
    assert secret not in done.stderr + done.stdout


def _lag(data: Path, log: tuple[str, str]) -> int:
    return sum(group["lag"] for group in json.loads(streambank("lag", "-o", "json", *log, data=data).stdout))
