"""``streambank schemas`` and its sub-commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from streambank.cli.errors import EXIT_FAILED, CommandError, say
from streambank.cli.output import Column, OutputOption, print_json, print_listing

if TYPE_CHECKING:
    from streambank.bank.contract import EventType

FOLDER = Path("contracts")

app = App(name="schemas", help="The event contract: JSON Schemas and AsyncAPI.", help_format="plaintext")


@app.command(name="ls")
def list_types(*, output: OutputOption = "table") -> None:
    """List the event types: the topic, key and fields of each, and who sends and who receives it."""
    from streambank.bank.contract import schema
    from streambank.cli import contracts

    everyone = contracts.participants()
    items: list[dict[str, Any]] = [
        {
            "type": event_type.name,
            "topic": event_type.topic.name,
            "key": event_type.key,
            "schema": event_type.schema_uri,
            "fields": len(schema(event_type)["properties"]),
            "sent_by": [one.name for one in everyone if event_type.topic.name in one.sends],
            "received_by": [one.name for one in everyone if event_type.topic.name in one.receives],
        }
        for event_type in contracts.event_types()
    ]
    columns = [
        Column("EVENT TYPE"),
        Column("TOPIC"),
        Column("KEY"),
        Column("FIELDS", right=True),
        Column("SENT BY"),
        Column("RECEIVED BY"),
    ]
    rows = [
        (
            item["type"],
            item["topic"],
            item["key"],
            item["fields"],
            _listed(item["sent_by"]),
            _listed(item["received_by"]),
        )
        for item in items
    ]
    print_listing(output, items, columns, rows)


@app.command(name="show")
def show_schema(name: str, /) -> None:
    """Print the JSON Schema of an event type.

    Parameters
    ----------
    name
        The event type, such as bank.balance.changed.v1, its topic, or the address of its schema.
    """
    import json

    from streambank.bank.contract import render, schema
    from streambank.cli import contracts

    print_json(json.loads(render(schema(_find(contracts.event_types(), name)))))


@app.command(name="check")
def check_folder(folder: Path = FOLDER, /) -> int:
    """Compare the committed files with the code: exit 1 if they are incompatible, or out of date.

    Parameters
    ----------
    folder
        Where `streambank schemas export` wrote them.
    """
    from streambank.bank.contract import compare
    from streambank.cli import contracts

    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder}; `streambank schemas export {folder}` makes it")
    wanted = contracts.files()
    comparison = compare(folder, wanted)
    for line in comparison.incompatible:
        say(f"incompatible: {line}")
    for line in comparison.stale:
        say(f"stale: {line}")
    if comparison.incompatible:
        say("streambank: the code breaks the committed contract: undo it, or make a new version of the event type")
    elif comparison.stale:
        say(f"streambank: stale: run `streambank schemas export {folder}`, and commit what it writes")
    else:
        print(f"{len(wanted)} files are up to date")
    return EXIT_FAILED if comparison.incompatible or comparison.stale else 0


@app.command(name="export")
def export_folder(folder: Path = FOLDER, /) -> None:
    """Write the schemas and the AsyncAPI document; refused where a schema does not fit the one that is there.

    Parameters
    ----------
    folder
        Where to: schemas/*.json and asyncapi.json within it.
    """
    from streambank.bank.contract import export
    from streambank.cli import contracts

    wanted = contracts.files()
    written = export(folder, wanted)
    for path in written:
        print(folder / path)
    say(f"wrote {len(written)} of {len(wanted)} files; the others are up to date")


@app.command(name="asyncapi")
def show_asyncapi() -> None:
    """Print the AsyncAPI document; it refers to the schemas as files beside it, as export writes them."""
    import sys

    from streambank.bank.contract.files import ASYNCAPI_FILE
    from streambank.cli import contracts

    sys.stdout.write(contracts.files()[ASYNCAPI_FILE])


def _find(event_types: tuple[EventType, ...], name: str) -> EventType:
    for event_type in event_types:
        if name in (event_type.name, event_type.topic.name, event_type.schema_uri):
            return event_type
    raise CommandError(f"there is no event type {name!r}; `streambank schemas ls` lists them")


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "-"
