"""A small log that was prepared once: Ann's and Bob's accounts, three alerts, one of them without an e-mail."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.support import IMPORT_OPTIONS, statement

from streambank.bank.events import TOPICS
from streambank.bank.topologies import alerts, balances
from streambank.cli.app import run
from streambank.log import EventLog, open_log
from streambank.streams import StreamRunner, StreamsConfig

BOB = ("--email", "bob@example.org", "--name", "Bob Ray", "--currency", "JPY", "--account", "Reise")


@dataclass(frozen=True)
class Called:
    """What a command did."""

    code: int
    stdout: str
    stderr: str


Call = Callable[..., Called]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a command in this process."""
    for name in ("STREAMBANK_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def do(*arguments: str) -> Called:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Called(code, captured.out, captured.err)

    return do


def process_all(log: EventLog) -> None:
    """Let the topologies process what is in the log."""
    runners = [
        StreamRunner(build(), log, StreamsConfig(application_id=name, on_error="dead-letter"))
        for name, build in (("balances", balances.build), ("alerts", alerts.build))
    ]
    idle = 0
    while idle < 3:
        idle = 0 if sum(runner.step() for runner in runners) else idle + 1
    for runner in runners:
        runner.close()


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder. Tests only read it."""
    folder = tmp_path_factory.mktemp("bank")
    data = folder / "data"
    data.mkdir()
    log = open_log(data / "log")
    log.create_topics(topic.config for topic in TOPICS)
    log.close()
    where = ("--yes", "--live", "--data", str(data))
    assert run(["import", str(statement(folder)), *IMPORT_OPTIONS, "--alert-below", "100", *where]) == 0
    yen = folder / "yen.csv"
    yen.write_text("Date,Text,Amount\n2026-03-01,Pay,250000\n2026-03-02,Trip,-260000\n")
    assert run(["import", str(yen), *BOB, "--alert-below", "0", *where]) == 0
    log = open_log(data / "log")
    process_all(log)
    log.close()
    return data
