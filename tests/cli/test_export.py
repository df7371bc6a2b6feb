"""Taking everything along, and leaving."""

import json
import stat
from pathlib import Path

from tests.bank.client.bank import PASSWORD
from tests.cli.conftest import Person

FILES = {
    "user.json",
    "accounts.jsonl",
    "categories.jsonl",
    "rules.jsonl",
    "imports.jsonl",
    "thresholds.jsonl",
    "budgets.jsonl",
    "savings-goals.jsonl",
    "spending-goals.jsonl",
    "payment-limits.jsonl",
    "inbox.jsonl",
    "notification-settings.json",
    "webhooks.jsonl",
    "transactions.jsonl",
}


def test_everything_is_exported_for_its_owner_only(ann: Person, tmp_path: Path) -> None:
    ann.done("tx", "add", "Everyday", "5", "--with", "Employer")
    folder = tmp_path / "out"
    told = ann("export", str(folder))
    assert told.code == 0, told.stderr
    assert {path.name for path in folder.iterdir()} == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert json.loads((folder / "user.json").read_text())["profile"]["email"] == ann.email
    assert json.loads((folder / "transactions.jsonl").read_text())["counterparty"] == "Employer"
    assert json.loads((folder / "accounts.jsonl").read_text())["name"] == "Everyday"
    assert f"{folder / 'transactions.jsonl'}: 1" in told.stderr
    ann.done("export", str(folder))


def test_an_export_that_cannot_be_written(ann: Person, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = ann("export", str(tmp_path / "file"))
    assert found.code == 1
    assert "cannot make the folder" in found.stderr


def test_erasure_asks_back_and_for_the_password(ann: Person) -> None:
    assert ann("erase").code == 2
    assert ann("erase", "--yes", "--password-stdin", text="wrong password\n").code == 1
    ann.done("whoami")
    ann.done("erase", "--yes", "--password-stdin", text=f"{PASSWORD}\n")
    assert ann("whoami").code == 1
    assert ann("login", ann.email, "--password-stdin", text=f"{PASSWORD}\n").code == 1
