"""The command as a whole: help, versions, and how errors end."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Call
from tests.cli.support import START_S, environment, streambank

from streambank.cli import app
from streambank.cli.errors import DETAILS_FILE

COMMANDS = ("up", "demo", "import", "topics", "tail", "lag", "balances", "alerts", "mailbox", "version")
SUBCOMMANDS = (
    *(("alerts", name) for name in ("set", "thresholds", "remove")),
    ("mailbox", "show"),
    *((name,) for name in ("signup", "verify", "login", "logout", "whoami", "export", "erase")),
    *(("account", name) for name in ("ls", "open", "show", "rename", "close", "share", "unshare", "statement")),
    *(("tx", name) for name in ("ls", "search", "add", "show", "edit", "reverse", "book", "void", "export")),
    *(("category", name) for name in ("ls", "add")),
    *(("rule", name) for name in ("ls", "add", "preview", "apply", "rm")),
    *(("alert", name) for name in ("ls", "add", "rm", "what-if")),
    *(("budget", name) for name in ("ls", "add", "change", "rm")),
    *(("goal", name) for name in ("ls", "save", "spend", "change", "rm")),
    *(("limit", name) for name in ("ls", "set", "rm")),
    *(("imports", name) for name in ("ls", "undo")),
    *((name,) for name in ("worth", "spending", "cashflow", "recurring", "watch")),
    *(("rates", name) for name in ("ls", "set", "import")),
    *(("api-key", name) for name in ("ls", "new", "rm")),
)


def test_the_help_names_every_command_in_an_order_that_makes_sense(call: Call) -> None:
    found = call("--help")
    assert found.code == 0
    places = [found.stdout.index(f"│ {command} ") for command in COMMANDS]
    assert all(place > 0 for place in places)
    titles = [
        found.stdout.index(title)
        for title in ("─ Run it", "─ Use the bank", "─ Look at the bank", "─ Look at the log", "─ About")
    ]
    assert titles == sorted(titles)


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), *SUBCOMMANDS], ids=" ".join)
def test_each_command_explains_itself_and_its_options(call: Call, command: tuple[str, ...]) -> None:
    found = call(*command, "--help")
    assert found.code == 0, found.stderr
    assert f"Usage: streambank {' '.join(command)}" in found.stdout
    if command != ("version",):
        assert "--data" in found.stdout
    # An option without an explanation is a line that ends after its type.
    bare = [line for line in found.stdout.splitlines() if line.startswith("│ --") and len(line.strip("│ ").split()) < 3]
    assert bare == []


def test_nothing_heavy_is_imported_for_the_help() -> None:
    code = (
        "import sys; from streambank.cli.app import run; run(['--help']);"
        "print([name for name in ('sqlalchemy', 'starlette', 'uvicorn', 'structlog', 'streambank.log', 'msgspec')"
        " if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=START_S, check=True
    )
    assert done.stderr.strip() == "[]"


def test_version_in_each_format(call: Call) -> None:
    assert call("--version").stdout == "0.1.0\n"
    assert json.loads(call("version", "-o", "json").stdout)["streambank"] == "0.1.0"
    assert call("version").stdout.splitlines()[0] == "COMPONENT   VERSION"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nope",), "nope"),
        (("topics", "--nope"), "--nope"),
        (("tail",), "TOPIC"),
        (("topics", "-o", "xml"), "xml"),
        (("lag", "--fail-above", "many"), "many"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(call: Call, arguments: tuple[str, ...], expected: str) -> None:
    found = call(*arguments)
    assert (found.code, found.stdout) == (2, "")
    first, second = found.stderr.splitlines()
    assert expected in first
    assert second.startswith("See: streambank ")
    assert second.endswith("--help")


def test_an_unexpected_error_has_an_incident_id_and_its_details_are_in_a_file(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("the details")

    monkeypatch.setattr(app, "build_app", lambda: lambda _arguments: broken())
    found = call("topics", "--data", str(tmp_path))
    assert (found.code, found.stdout) == (1, "")
    assert len(found.stderr.splitlines()) == 1
    assert "the details" not in found.stderr
    incident = found.stderr.partition("incident ")[2].partition(")")[0]
    details = tmp_path / DETAILS_FILE
    assert str(details) in found.stderr
    assert f"incident {incident}" in details.read_text()
    assert "ZeroDivisionError: the details" in details.read_text()
    assert details.stat().st_mode & 0o077 == 0


def test_a_damaged_log_is_an_expected_error(call: Call, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "log.db").write_bytes(b"not a database at all" * 100)
    found = call("topics", "--data", str(tmp_path))
    assert found.code == 1
    assert "is damaged" in found.stderr
    assert "incident" not in found.stderr


def test_the_module_runs_too() -> None:
    assert streambank("--version").stdout == "0.1.0\n"


def test_no_colours_go_into_a_pipe_and_none_with_no_color(bank: Path) -> None:
    assert "\x1b" not in streambank("balances", data=bank).stdout
    assert "\x1b" not in streambank("--help", env={"NO_COLOR": "1"}).stdout


def test_it_starts_fast() -> None:
    """By the processor's time, of which other programs on the machine take nothing."""
    times_s: list[float] = []
    while not times_s or (min(times_s) > 0.5 and len(times_s) < 5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert streambank("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # 0.3 s on an idle machine.
    assert min(times_s) <= 0.5
