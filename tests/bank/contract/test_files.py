"""The committed files are those of the code, and are not replaced by what does not fit them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bank.contract.support import CONTRACTS

from streambank.bank.contract import ContractError, IncompatibleContractError, compare, export, render
from streambank.cli import contracts

NAME = "schemas/bank.balance.changed.v1.json"


@pytest.fixture(scope="module")
def wanted() -> dict[str, str]:
    return contracts.files()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the committed files."""
    return Path(shutil.copytree(CONTRACTS, tmp_path / "contracts"))


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(render(document))


def test_the_committed_files_are_up_to_date(wanted: dict[str, str]) -> None:
    found = compare(CONTRACTS, wanted)
    assert (found.incompatible, found.stale) == ((), ()), "run `streambank schemas export contracts`, and commit"
    there = {str(path.relative_to(CONTRACTS)) for path in CONTRACTS.rglob("*") if path.is_file()}
    assert there == wanted.keys()


def test_they_are_made_alike_every_time(wanted: dict[str, str]) -> None:
    assert contracts.files() == wanted
    assert list(wanted) == sorted(wanted)


def test_export_into_nothing_writes_all_and_then_nothing(tmp_path: Path, wanted: dict[str, str]) -> None:
    assert export(tmp_path / "new", wanted) == list(wanted)
    assert export(tmp_path / "new", wanted) == []
    assert {path: (tmp_path / "new" / path).read_bytes().decode() for path in wanted} == wanted


def test_what_the_code_adds_is_stale_until_it_is_exported(folder: Path, wanted: dict[str, str]) -> None:
    # As if the code had just got them: a field with a default, a text, and an event type.
    edit(folder / NAME, lambda old: old["properties"].pop("kind"))
    edit(folder / "schemas/bank.account.v1.json", lambda old: old.update(description="Otherwise."))
    (folder / "schemas/bank.email.sent.v1.json").unlink()
    edit(folder / "asyncapi.json", lambda old: old["channels"].clear())
    found = compare(folder, wanted)
    assert found.incompatible == ()
    assert found.stale == (
        "asyncapi.json: differs",
        "schemas/bank.account.v1.json: differs",
        f"{NAME}: differs",
        "schemas/bank.email.sent.v1.json: is not there yet",
    )
    assert export(folder, wanted) == [line.partition(": ")[0] for line in found.stale]
    assert compare(folder, wanted).stale == ()


def test_what_does_not_fit_is_refused_and_nothing_is_written(folder: Path, wanted: dict[str, str]) -> None:
    # As if the code had just lost a field and changed a default.
    edit(folder / NAME, lambda old: old["properties"].update(branch={"type": "string", "default": ""}))
    edit(folder / NAME, lambda old: old["properties"]["origin"].update(default="import"))
    edit(folder / "schemas/bank.account.v1.json", lambda old: old["properties"].pop("number_last4"))
    before = {path: (folder / path).read_text() for path in wanted}
    found = compare(folder, wanted)
    assert [line.partition(": ")[0] for line in found.incompatible] == [
        f"{NAME}#/properties/branch",
        f"{NAME}#/properties/origin/default",
    ]
    with pytest.raises(IncompatibleContractError, match="#/properties/branch: is gone") as caught:
        export(folder, wanted)
    assert "new version of the event type" in str(caught.value)
    assert {path: (folder / path).read_text() for path in wanted} == before


def test_an_event_type_that_is_gone_is_refused_until_its_file_is_deleted(folder: Path, wanted: dict[str, str]) -> None:
    fewer = {path: text for path, text in wanted.items() if path != NAME}
    with pytest.raises(IncompatibleContractError, match=f"{NAME}: no topic carries this event type any more"):
        export(folder, fewer)
    (folder / NAME).unlink()
    assert export(folder, fewer) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not a JSON Schema that export wrote"),
        (b"[]", "is not a JSON Schema that export wrote"),
        (
            b'{"type": "object", "properties": {"kind": {"$ref": "#/$defs/Nowhere"}}}',
            "is not a JSON Schema that export wrote",
        ),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named(folder: Path, wanted: dict[str, str], content: bytes, says: str) -> None:
    (folder / NAME).write_bytes(content)
    with pytest.raises(ContractError, match=says) as caught:
        compare(folder, wanted)
    assert str(folder / NAME) in str(caught.value)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, wanted: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ContractError, match="file"):
        export(tmp_path / "file", wanted)
