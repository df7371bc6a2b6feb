"""``streambank schemas``."""

import json
import shutil
from pathlib import Path

import pytest
from tests.bank.contract.support import CONTRACTS
from tests.cli.conftest import Call

from streambank.bank.events import TOPICS


def test_the_list_tells_who_sends_and_who_receives(call: Call) -> None:
    found = {item["topic"]: item for item in json.loads(call("schemas", "ls", "-o", "json").stdout)}
    assert list(found) == [topic.name for topic in TOPICS]
    assert found["account.balance"] == {
        "type": "bank.account.balance.v1",
        "topic": "account.balance",
        "key": "scope_id",
        "schema": "/schemas/bank.account.balance.v1.json",
        "fields": 12,
        "sent_by": ["balances"],
        "received_by": ["views", "alerts", "figures"],
    }
    assert found["alert.notification"]["received_by"] == ["notifications"]
    header, *rows = call("schemas", "ls").stdout.splitlines()
    assert header.split("  ")[0] == "EVENT TYPE"
    assert len(rows) == len(TOPICS)


@pytest.mark.parametrize(
    "name", ["bank.balance.changed.v1", "balance.changed", "/schemas/bank.balance.changed.v1.json"]
)
def test_show_prints_the_committed_schema(call: Call, name: str) -> None:
    assert call("schemas", "show", name).stdout == (CONTRACTS / "schemas/bank.balance.changed.v1.json").read_text()


def test_show_of_what_there_is_not(call: Call) -> None:
    found = call("schemas", "show", "nope")
    assert (found.code, found.stdout) == (1, "")
    assert "there is no event type 'nope'" in found.stderr


def test_asyncapi_prints_the_committed_document(call: Call) -> None:
    assert call("schemas", "asyncapi").stdout == (CONTRACTS / "asyncapi.json").read_text()


def test_check_and_export(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no folder contracts" in call("schemas", "check").stderr
    exported = call("schemas", "export")
    assert exported.code == 0
    assert "contracts/asyncapi.json" in exported.stdout.splitlines()
    checked = call("schemas", "check")
    assert (checked.code, checked.stderr) == (0, "")
    assert "files are up to date" in checked.stdout
    assert call("schemas", "export").stdout == ""


def test_check_fails_on_what_is_stale_and_says_what_to_do(call: Call, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CONTRACTS, tmp_path / "copy"))
    (folder / "schemas/bank.account.v1.json").unlink()
    found = call("schemas", "check", str(folder))
    assert (found.code, found.stdout) == (1, "")
    assert found.stderr.splitlines() == [
        "stale: schemas/bank.account.v1.json: is not there yet",
        f"streambank: stale: run `streambank schemas export {folder}`, and commit what it writes",
    ]


def test_check_and_export_refuse_what_does_not_fit(call: Call, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CONTRACTS, tmp_path / "copy"))
    path = folder / "schemas/bank.account.v1.json"
    document = json.loads(path.read_text())
    document["properties"]["branch"] = {"type": "string", "default": ""}
    path.write_text(json.dumps(document))
    checked = call("schemas", "check", str(folder))
    first, second = checked.stderr.splitlines()
    assert checked.code == 1
    assert first.startswith("incompatible: schemas/bank.account.v1.json#/properties/branch: is gone")
    assert "make a new version of the event type" in second
    exported = call("schemas", "export", str(folder))
    assert (exported.code, exported.stdout) == (1, "")
    assert "schemas/bank.account.v1.json#/properties/branch: is gone" in exported.stderr
    assert json.loads(path.read_text()) == document


@pytest.mark.parametrize("command", ["ls", "show", "check", "export", "asyncapi"])
def test_each_explains_itself(call: Call, command: str) -> None:
    found = call("schemas", command, "--help")
    assert found.code == 0
    assert f"Usage: streambank schemas {command}" in found.stdout
