"""The committed files: what is in them, whether they are up to date, and whether they may be replaced."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streambank.bank.contract.asyncapi import asyncapi, schema_path
from streambank.bank.contract.compatibility import incompatibilities
from streambank.bank.contract.errors import ContractError, IncompatibleContractError
from streambank.bank.contract.event_types import EventType
from streambank.bank.contract.participants import Participant
from streambank.bank.contract.schemas import schema

ASYNCAPI_FILE = "asyncapi.json"
SCHEMAS_FOLDER = "schemas"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the committed files stand to the code, one line each.

    ``incompatible`` is what keeps them from being replaced; ``stale`` is what an export would write.
    """

    incompatible: tuple[str, ...]
    stale: tuple[str, ...]


def files(event_types: Sequence[EventType], participants: Iterable[Participant]) -> dict[str, str]:
    """The contract's files by their paths. Raises ContractError for a type that no schema can be made of."""
    documents = {schema_path(event_type): schema(event_type) for event_type in event_types}
    documents[ASYNCAPI_FILE] = asyncapi(event_types, participants)
    return {path: render(documents[path]) for path in sorted(documents)}


def render(document: Mapping[str, Any]) -> str:
    """A document as a file has it: sorted, so that it depends on nothing but its content."""
    return json.dumps(_sorted(document), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def compare(folder: Path, wanted: Mapping[str, str]) -> Comparison:
    """The folder's files beside those that the code makes. What is not there yet is stale.

    Raises:
        ContractError: a committed schema cannot be read.
    """
    incompatible, stale = [], []
    for path, text in wanted.items():
        committed = _read(folder / path)
        if committed is None:
            stale.append(f"{path}: is not there yet")
        elif committed != text:
            found = _against(folder / path, committed, text) if path != ASYNCAPI_FILE else []
            incompatible += [f"{path}{reason}" for reason in found]
            if not found:
                stale.append(f"{path}: differs")
    for committed_path in sorted((folder / SCHEMAS_FOLDER).glob("*.json")):
        path = f"{SCHEMAS_FOLDER}/{committed_path.name}"
        if path not in wanted:
            incompatible.append(
                f"{path}: no topic carries this event type any more, but a log may hold its events."
                " Keep it, or delete the file if no log has any"
            )
    return Comparison(tuple(incompatible), tuple(stale))


def export(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Write what is stale; the paths written.

    Raises:
        IncompatibleContractError: a schema does not fit the committed one; nothing is written.
        ContractError: a committed schema cannot be read, or the folder not be written to.
    """
    comparison = compare(folder, wanted)
    if comparison.incompatible:
        what = f"nothing was written to {folder}, since a new version of the event type is needed:"
        raise IncompatibleContractError("\n  ".join([what, *comparison.incompatible]))
    written = [path for path, text in wanted.items() if _read(folder / path) != text]
    for path in written:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(wanted[path], encoding="utf-8", newline="\n")
        except OSError as error:
            raise ContractError(f"{folder / path} cannot be written: {error.strerror}") from None
    return written


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path} cannot be read: {error}") from None


def _against(path: Path, committed: str, text: str) -> list[str]:
    try:
        old = json.loads(committed)
        return [str(found) for found in incompatibilities(old, json.loads(text))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{path} is not a JSON Schema that export wrote ({error}); restore it") from None


def _sorted(value: Any) -> Any:
    """With the lists whose order means nothing in order, so that to move a field is no change."""
    if isinstance(value, dict):
        return {
            key: sorted(part) if key == "required" and isinstance(part, list) else _sorted(part)
            for key, part in value.items()
        }
    return [_sorted(part) for part in value] if isinstance(value, list) else value
