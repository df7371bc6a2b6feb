"""Everything that the bank knows of somebody, as files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from streambank.bank.client import Client, Versioned
from streambank.cli.errors import CommandError


def write_everything(client: Client, folder: Path) -> dict[str, int]:
    """Write all exports into the folder; for each file how many things are in it. Raises CommandError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder {folder}: {error.strerror}") from None
    contents: dict[str, Iterable[str]] = {
        "user.json": [client.users.export().model_dump_json(indent=2)],
        "accounts.jsonl": _lines(client.accounts.list()),
        "categories.jsonl": _lines(client.categories.list()),
        "rules.jsonl": _lines(client.rules.list()),
        "imports.jsonl": _lines(client.imports.list()),
        "thresholds.jsonl": _lines(client.thresholds.list()),
        "budgets.jsonl": _lines(client.budgets.list()),
        "savings-goals.jsonl": _lines(client.goals.list_savings()),
        "spending-goals.jsonl": _lines(client.goals.list_spending()),
        "payment-limits.jsonl": _lines(client.limits.list()),
        "inbox.jsonl": (notice.model_dump_json() for notice in client.inbox.list()),
        "notification-settings.json": [client.notifications.settings().value.model_dump_json(indent=2)],
        "webhooks.jsonl": _lines(client.notifications.webhooks()),
        "transactions.jsonl": (entry.model_dump_json() for entry in client.transactions.export()),
    }
    return {name: write_lines(folder / name, lines) for name, lines in contents.items()}


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines to a file that only its owner may read, whole or not at all; how many.

    Raises:
        CommandError: it cannot be written.
    """
    made = path.with_name(f"{path.name}.part")
    count = 0
    try:
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for line in lines:
                file.write(f"{line}\n")
                count += 1
        os.replace(made, path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
    finally:
        made.unlink(missing_ok=True)
    return count


def _lines(items: Iterable[Versioned[BaseModel]]) -> Iterator[str]:
    return (item.value.model_dump_json() for item in items)
