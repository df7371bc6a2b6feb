"""``streambank mailbox`` and its sub-command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.folder import DataFolder, DataOption, data_folder
from streambank.cli.output import Column, OutputOption, print_json, print_json_line, print_listing, printable

if TYPE_CHECKING:
    from streambank.bank.mailbox import MailboxStore

app = App(name="mailbox", help="The e-mails caught by the built-in mailbox.", help_format="plaintext")


@app.default
def list_messages(
    *,
    query: Annotated[str, Parameter(name=["--query", "-q"])] = "",
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 20,
    open_url: Annotated[bool, Parameter(name="--open-url", negative="")] = False,
    data: DataOption = None,
    output: OutputOption = "table",
) -> None:
    """List the e-mails, newest first.

    Parameters
    ----------
    query
        Words that must occur; also to:, subject:, is:unread and the like.
    lines
        How many to list, 1 to 1,000.
    open_url
        Print the address of the mailbox's page instead, with the token that lets a browser in.
    """
    folder = data_folder(data)
    if open_url:
        print(_url(folder))
        return
    if not 1 <= lines <= 1000:
        raise UsageError(f"--lines: {lines} is not within 1 to 1,000")
    from streambank.clock import to_datetime

    with _store(folder) as store:
        messages = store.messages(limit=lines, query=query)
        total = store.count(query)
    items = [
        {
            "id": message.id,
            "received_at": to_datetime(message.received_at).isoformat(),
            "read": message.is_read,
            "from": message.sender,
            "to": message.recipients,
            "subject": message.subject,
            "size": message.size,
        }
        for message in messages
    ]
    from streambank.cli.formats import local_time

    rows = [
        (local_time(to_datetime(message.received_at)), message.recipients, message.subject, message.id)
        for message in messages
    ]
    print_listing(output, items, [Column("RECEIVED"), Column("TO"), Column("SUBJECT"), Column("ID")], rows)
    if output == "table" and total > len(messages):
        say(f"{total - len(messages):,} older ones are not shown; see -n and -q")


@app.command(name="show")
def show_message(message_id: str, /, *, data: DataOption = None, output: OutputOption = "table") -> None:
    """Show one e-mail: its headers and its text.

    Parameters
    ----------
    message_id
        Its id as `streambank mailbox` lists it, or latest.
    """
    from email import message_from_bytes, policy

    with _store(data_folder(data)) as store:
        found = store.get(message_id)
    if found is None:
        raise CommandError(f"there is no e-mail {message_id!r}; `streambank mailbox` lists them")
    message = message_from_bytes(found.raw, policy=policy.default)
    body = message.get_body(("plain", "html"))
    text = str(body.get_content()) if body is not None else ""
    if output != "table":
        item: dict[str, Any] = {
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": text,
        }
        (print_json if output == "json" else print_json_line)(item)
        return
    for name in ("Date", "From", "To", "Subject", "Message-ID"):
        print(f"{name}: {printable(str(message[name] or ''))}")
    print()
    for line in text.splitlines():
        print(printable(line))


def _url(folder: DataFolder) -> str:
    from streambank.cli.running import who_runs

    running = who_runs(folder)
    if running is None:
        raise CommandError(f"nothing runs on {folder.path}, so that the mailbox has no page; start `streambank up`")
    if running.mailbox_url is None:
        raise CommandError(f"process {running.pid} sends through a real SMTP server, and has no mailbox")
    return running.mailbox_url


@contextmanager
def _store(folder: DataFolder) -> Iterator[MailboxStore]:
    if not folder.mailbox.is_file():
        raise CommandError(f"there is no mailbox in {folder.path} yet; `streambank up` and `streambank demo` make one")
    from streambank.bank.mailbox import MailboxStore

    store = MailboxStore.open(folder.mailbox)
    try:
        yield store
    finally:
        store.close()
