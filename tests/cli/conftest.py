"""A small log that was prepared once: Ann's and Bob's accounts, three alerts, one of them without an e-mail."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import structlog
from tests.bank.client.bank import PASSWORD, Bank, running_bank
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
        # What the services log that run beside it is not to stand in the command's output.
        usual = structlog.get_config()
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
        try:
            capsys.readouterr()
            code = run(arguments)
            captured = capsys.readouterr()
        finally:
            structlog.configure(**usual)
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


_NUMBERS = count()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """The users and transactions services, running. Each test takes people of its own."""
    with running_bank(tmp_path_factory.mktemp("services")) as running:
        yield running


@dataclass(frozen=True)
class Person:
    """Somebody at the command line, with a data folder of their own."""

    email: str
    data: Path
    bank: Bank
    call: Call
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str, text: str = "") -> Called:
        """Call a command, with ``text`` on its stdin."""
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return self.call(*arguments, "--server", self.bank.url, "--data", str(self.data))

    def done(self, *arguments: str, text: str = "") -> str:
        """Call a command that does what it should; what it prints."""
        found = self(*arguments, text=text)
        assert found.code == 0, found.stderr
        return found.stdout

    def log_in(self) -> None:
        self.done("login", self.email, "--password-stdin", text=f"{PASSWORD}\n")


@pytest.fixture
def stranger(services: Bank, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody whom the bank does not know."""
    monkeypatch.delenv("STREAMBANK_SERVER", raising=False)
    return Person(f"ann{next(_NUMBERS)}@example.org", tmp_path / "data", services, call, monkeypatch)


@pytest.fixture
def ann(stranger: Person) -> Person:
    """Somebody who is logged in and has an account in euros."""
    stranger.bank.sign_up(stranger.email, "Ann")
    stranger.log_in()
    stranger.done("account", "open", "Everyday", "--currency", "EUR", "--overdraft-limit", "100")
    return stranger
