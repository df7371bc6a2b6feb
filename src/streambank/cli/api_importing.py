"""What ``streambank import FILE --account NAME`` does: send a file's entries to an account with the bank."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streambank.bank.client import ApiError, Client, ClientError
from streambank.bank.events import Currency
from streambank.bank.imports import ImportedAccount, ImportedEntry, ImportFileError, Source
from streambank.bank.imports.entries import Tally
from streambank.bank.imports.rejects import KeptTally, RejectsFile
from streambank.bank.transactions.schemas import AccountView, ImportView
from streambank.cli.api import Server, connected, currency_of, find_account
from streambank.cli.asking import confirmed
from streambank.cli.errors import EXIT_USAGE, CommandError, UsageError, say
from streambank.cli.folder import DataFolder
from streambank.cli.formats import amount, counted, money
from streambank.cli.imported_lines import ImportedLines
from streambank.cli.importing import PREVIEW_ROWS, PROBLEMS_SHOWN, open_for_account, progress_bar, show_settings
from streambank.cli.output import Column, Format, print_json, print_json_line, print_table

if TYPE_CHECKING:
    from streambank.cli.commands.import_ import CsvOptions, ImportOptions

LINES_NAMED_MAX = 10


@dataclass(slots=True)
class Seen:
    """What is in the file for the account."""

    entries: int = 0
    credit_minor: int = 0
    debit_minor: int = 0
    first: date | None = None
    last: date | None = None
    rows: list[ImportedEntry] = field(default_factory=list)

    def add(self, entry: ImportedEntry) -> None:
        """Count an entry; keep it while there are few."""
        self.entries += 1
        self.credit_minor += max(0, entry.signed_minor)
        self.debit_minor += max(0, -entry.signed_minor)
        day = entry.booking_date
        self.first = min(self.first or day, day)
        self.last = max(self.last or day, day)
        if len(self.rows) < PREVIEW_ROWS:
            self.rows.append(entry)


def run_api_import(
    file: Path, options: ImportOptions, csv: CsvOptions, folder: DataFolder, server: Server, output: Format
) -> int:
    """Run the command; its exit code."""
    if not file.exists():
        raise ImportFileError(f"there is no file {file}")
    for given, option in (
        (options.live, "--live"),
        (options.name, "--name"),
        (options.alert_below, "--alert-below"),
        (options.alert_above, "--alert-above"),
    ):
        if given:
            raise UsageError(f"{option} is for imports with --email, straight into the log; leave it out")
    with connected(server) as client:
        account = find_account(client, csv.account or "").value
        currency = currency_of(account)
        source = open_for_account(file, options, replace(csv, account=account.name), folder, currency)
        source_id = _account_in(source, account, currency)
        tally, seen = Tally(), Seen()
        for entry in _entries(source, source_id, tally):
            seen.add(entry)
        if output == "table":
            _show(source, account, currency, seen, tally)
        question = f"Import {counted(seen.entries, 'entry', 'entries')} into {account.name} at {server.url}?"
        if not confirmed(question, yes=options.yes, dry_run=options.dry_run):
            if output != "table":
                _print(output, {"file": source.label, "entries": seen.entries, "rejected": tally.rejected})
            return 0 if options.dry_run or sys.stdin.isatty() else EXIT_USAGE
        rejects = RejectsFile(options.rejects or folder.rejects(source.label), source.header)
        done = KeptTally(rejects)
        lines = ImportedLines(source.label, account.id, currency, is_new=_is_new(client, account), report=done)
        try:
            view = _send(client, account, lines, _entries(source, source_id, done), done)
        except BaseException:
            rejects.abandon()
            raise
    _tell(view, lines, done, rejects.finish(), output)
    return 0


def _account_in(source: Source, account: AccountView, currency: Currency) -> str:
    """The account of the file whose entries are meant. Raises CommandError where that is not clear, or another."""
    there = ", ".join(sorted(f"{one.name} in {one.currency.value}" for one in source.accounts.values()))
    fitting = [one for one in source.accounts.values() if one.currency is currency]
    if not fitting:
        raise CommandError(f"{source.label} is of another currency than the account, {currency.value}: {there}")
    if len(fitting) > 1:
        fitting = _same(fitting, account)
    if len(fitting) != 1:
        raise CommandError(
            f"{source.label} has entries of several accounts: {there}. Which of them {account.name} is cannot be told:"
            " open it with --number-last4, or rename it to what the file calls it"
        )
    told, known = fitting[0].number_last4, account.number_last4
    if told is not None and known is not None and told != known:
        raise CommandError(f"{source.label} is of the account …{told}, and {account.name} is …{known}")
    return fitting[0].account_id


def _same(candidates: list[ImportedAccount], account: AccountView) -> list[ImportedAccount]:
    """Those that have the account's number, or else its name."""
    numbered = [one for one in candidates if one.number_last4 is not None and one.number_last4 == account.number_last4]
    return numbered or [one for one in candidates if one.name.casefold() == account.name.casefold()]


def _is_new(client: Client, account: AccountView) -> bool:
    """Whether there is nothing on the account, or only imports that were undone and what undid them."""
    if account.balance.last_seq == 0:
        return True
    if account.balance.booked_minor != 0:
        return False
    imports = (one.value for one in client.imports.list() if one.value.account_id == account.id)
    undone = sum(one.booked + one.reversed for one in imports if one.undone_at is not None and one.kept == 0)
    return undone == account.balance.last_seq


def _entries(source: Source, account_id: str, tally: Tally) -> Iterator[ImportedEntry]:
    for entry in source.entries(tally):
        if entry.account_id == account_id:
            yield entry
        else:
            tally.leave_out()


def _send(
    client: Client, account: AccountView, lines: ImportedLines, entries: Iterator[ImportedEntry], tally: Tally
) -> ImportView | None:
    view: ImportView | None = None
    with progress_bar("entries") as update:
        try:
            for found in client.imports.send(account.id, lines.lines(entries)):
                view = found.value
                update(tally.fraction, _taken(view))
        except ClientError as error:
            raise _broken_off(error, view, lines) from None
    return view


def _broken_off(error: ClientError, view: ImportView | None, lines: ImportedLines) -> CommandError:
    """The error, with the lines of the file that it is about, and what became of those before them."""
    text = str(error)
    if isinstance(error, ApiError) and error.errors:
        taken = _taken(view) if view is not None else 0
        told = [_at_line(lines, taken, one.pointer, one.detail) for one in error.errors[:LINES_NAMED_MAX]]
        more = len(error.errors) - len(told)
        text = f"{lines.label}: {'; '.join(told)}{f'; and {more:,} more' if more > 0 else ''}"
    if view is None:
        return CommandError(f"{text}. Nothing was imported")
    return CommandError(
        f"{text}. {_taken(view):,} entries before were imported: run it again to go on, or take them back with"
        f" `streambank imports undo {view.id}`"
    )


def _at_line(lines: ImportedLines, taken: int, pointer: str, detail: str) -> str:
    index, _, where = pointer.lstrip("/").partition("/")
    if not index.isdigit() or taken + int(index) >= len(lines.rows):
        return f"{pointer}: {detail}"
    return f"line {lines.rows[taken + int(index)]}: {f'{where}: ' if where else ''}{detail}"


def _taken(view: ImportView) -> int:
    return view.booked + view.duplicates + view.differing


def _show(source: Source, account: AccountView, currency: Currency, seen: Seen, tally: Tally) -> None:
    show_settings(source.label, source.settings)
    print("\nFirst entries")
    rows = [
        (
            entry.booking_date,
            money(entry.signed_minor, currency),
            entry.counterparty or entry.kind or "",
            entry.remittance or "",
        )
        for entry in seen.rows
    ]
    print_table([Column("DATE"), Column("AMOUNT", right=True), Column("WITH"), Column("TEXT")], rows)
    period = f", {seen.first} to {seen.last}" if seen.first else ""
    print(
        f"\n{counted(seen.entries, 'entry', 'entries')} for {account.name}{period}; rows that cannot be imported:"
        f" {tally.rejected:,}; of other accounts: {tally.left_out:,}"
    )
    print(
        f"{currency.value}: {amount(seen.credit_minor, currency)} in, {amount(seen.debit_minor, currency)} out,"
        f" {amount(seen.credit_minor - seen.debit_minor, currency)} in all"
    )
    for label, texts, count in (
        ("not imported", list(map(str, tally.rejects)), tally.rejected),
        ("note", tally.warnings, len(tally.warnings)),
    ):
        for text in texts[:PROBLEMS_SHOWN]:
            say(f"{label}: {text}")
        if count > PROBLEMS_SHOWN:
            say(f"{label}: and {count - PROBLEMS_SHOWN:,} more")


def _tell(view: ImportView | None, lines: ImportedLines, tally: Tally, rejects: Path | None, output: Format) -> None:
    booked, duplicates, differing = (view.booked, view.duplicates, view.differing) if view is not None else (0, 0, 0)
    if output != "table":
        item = {
            "import_id": view.id if view is not None else None,
            "imported": booked,
            "duplicates": duplicates,
            "differing": differing,
            "rejected": tally.rejected,
            "cut_texts": lines.cut_texts,
            "rejects": [str(reject) for reject in tally.rejects],
            "rejects_file": str(rejects) if rejects is not None else None,
        }
        _print(output, item)
        return
    print(
        f"\nimported {counted(booked, 'entry', 'entries')}; there already: {duplicates:,};"
        f" rows that could not be imported: {tally.rejected:,}"
    )
    if differing:
        print(f"there already, but with another text or amount, and left as they are: {differing:,}")
    if lines.cut_texts:
        print(f"texts longer than the bank takes, and cut: {lines.cut_texts:,}")
    if rejects is not None:
        print(f"those rows, with the reasons: {rejects}")
    if booked and view is not None:
        print(f"to take it back: streambank imports undo {view.id}")


def _print(output: Format, item: dict[str, Any]) -> None:
    (print_json if output == "json" else print_json_line)(item)
