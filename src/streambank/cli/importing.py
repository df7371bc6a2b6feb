"""What ``streambank import`` does: open the file, show what it would do, ask, write, and tell what was done."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streambank.bank.addresses import AddressError, parse_address
from streambank.bank.events import Currency, Direction, Origin, to_decimal
from streambank.bank.imports import (
    FORMAT_NAMES,
    BerkaSource,
    BookedOnly,
    CsvOverrides,
    CsvSource,
    ImportedAccount,
    ImportedUser,
    Importer,
    ImportFileError,
    ImportProgress,
    ImportResult,
    Preview,
    Role,
    Setting,
    Source,
    StatementFormat,
    berka_trans,
    detect,
    open_statement,
    preview,
    sniff,
    unfit,
)
from streambank.cli.asking import confirmed
from streambank.cli.errors import EXIT_USAGE, UsageError, say
from streambank.cli.folder import DataFolder
from streambank.cli.formats import amount, counted, money, parse_amount
from streambank.cli.output import Column, Format, print_json, print_json_line, print_table
from streambank.cli.people import People
from streambank.clock import system_clock
from streambank.ids import derived_id
from streambank.log import EventLog, open_log

if TYPE_CHECKING:
    from streambank.cli.commands.import_ import CsvOptions, ImportOptions

PREVIEW_ROWS = 8
PROBLEMS_SHOWN = 5


_NOBODY = ImportedUser(user_id="", email="", name="")
"""The owner of what goes to an account with the bank: the bank knows whose it is."""


def goes_to_api(options: ImportOptions, csv: CsvOptions) -> bool:
    """Whether the file is for an account with the bank, and not for the log."""
    return csv.account is not None and options.email is None


def run_import(file: Path, options: ImportOptions, csv: CsvOptions, folder: DataFolder, output: Format) -> int:
    """Run the command; its exit code."""
    if not file.exists():
        raise ImportFileError(f"there is no file {file}")
    source = _open(file, options, csv, folder)
    if folder.has_log:
        with folder.open_log() as log:
            seen = preview(source, log, rows_max=PREVIEW_ROWS)
    else:
        seen = preview(source, None, rows_max=PREVIEW_ROWS)
    levels = _levels(options, {account.currency for account in seen.accounts})
    if output == "table":
        _show(seen)
    question = f"Import {counted(seen.new, 'new entry', 'new entries')} into {folder}?"
    if not confirmed(question, yes=options.yes, dry_run=options.dry_run):
        if output != "table":
            (print_json if output == "json" else print_json_line)(_preview_item(seen))
        return 0 if options.dry_run or sys.stdin.isatty() else EXIT_USAGE
    folder.create()
    log = open_log(folder.log)
    try:
        if levels:
            _set_thresholds(log, folder, seen, levels)
        result = _write(log, source, seen, options, options.rejects or folder.rejects(source.label))
    finally:
        log.close()
    _tell(result, output)
    return 0


def _open(file: Path, options: ImportOptions, csv: CsvOptions, folder: DataFolder) -> Source:
    wanted = options.format
    if wanted == "berka" or (wanted == "auto" and berka_trans(file) is not None):
        return BerkaSource(file)
    if file.is_dir():
        raise ImportFileError(f"{file} is a folder without the Berka data set; name one file of a bank")
    found = sniff(file) if wanted == "auto" else wanted
    if found == "csv":
        return _open_csv(file, options, csv, folder)
    return _open_statement(file, found, options, csv, folder)


def _open_csv(file: Path, options: ImportOptions, csv: CsvOptions, folder: DataFolder) -> Source:
    detection = detect(file, _overrides(csv))
    if detection.problems:
        for setting in detection.settings:
            say(f"  {setting.name}: {setting.value} ({setting.why})")
        raise ImportFileError(f"{file} is not clear yet: " + "; ".join(map(_with_options, detection.problems)))
    return CsvSource(detection, _owner(options, csv, folder))


def open_for_account(
    file: Path, options: ImportOptions, csv: CsvOptions, folder: DataFolder, currency: Currency
) -> Source:
    """The file, for an account with the bank, whose currency is meant where the file names none.

    Raises:
        ImportFileError: it cannot be read, or is not clear.
    """
    if csv.currency is None and _names_no_currency(file, options, csv):
        csv = replace(csv, currency=currency.value)
    return _open(file, options, csv, folder)


def _names_no_currency(file: Path, options: ImportOptions, csv: CsvOptions) -> bool:
    if file.is_dir() or options.format == "berka":
        raise UsageError("the Berka data set has accounts of its own: leave --account out")
    if (kind := sniff(file) if options.format == "auto" else options.format) != "csv":
        # The others name it themselves.
        return kind == "qif"
    found = detect(file, _overrides(csv))
    return found.currency is None and Role.CURRENCY not in found.columns


def _open_statement(
    file: Path, found: StatementFormat, options: ImportOptions, csv: CsvOptions, folder: DataFolder
) -> Source:
    """A file that is not CSV. What the bank has not booked is in no balance yet, so it is left out."""
    overrides = _overrides(csv)
    if wrong := unfit(found, overrides):
        names = ", ".join(f"--{_option(name)}" for name in wrong)
        raise UsageError(f"{names}: only for CSV files, and {file.name} is {FORMAT_NAMES[found]}; leave it out")
    owner = _owner(options, csv, folder)
    try:
        return BookedOnly(open_statement(file, owner, overrides, found))
    except ImportFileError as error:
        raise ImportFileError(_with_options(str(error))) from error


def _option(name: str) -> str:
    """The option that gives an override."""
    return {"columns": "column", "debit_words": "debit-word", "credit_words": "credit-word"}.get(
        name, name.replace("_", "-")
    )


def _with_options(problem: str) -> str:
    """The problem, with the settings it names written as options of this command."""
    problem = re.sub(r"\(columns: (\w+)\)", r"(--column \1=NAME)", problem)
    return re.sub(
        r"\(([a-z_]+)\)", lambda match: f"(--{_option(match[1])})" if match[1] in _NAMED else match[0], problem
    )


_NAMED = frozenset(field.name for field in fields(CsvOverrides))


def _owner(options: ImportOptions, csv: CsvOptions, folder: DataFolder) -> ImportedUser:
    if goes_to_api(options, csv):
        return _NOBODY
    if options.email is None:
        raise UsageError(
            "give --account NAME, of yours with the bank; or --email ADDRESS: whose accounts these are, and where"
            " their alerts go"
        )
    try:
        parse_address(options.email)
    except AddressError as error:
        raise UsageError(f"--email: {error}") from error
    known = None
    if folder.has_log:
        with folder.open_log() as log:
            profiles = People.read(log).profiles.values()
        known = next((one for one in profiles if one.email.casefold() == options.email.casefold()), None)
    if known is not None:
        name = options.name or known.name
        return ImportedUser(
            user_id=known.user_id, email=known.email, name=name, locale=known.locale, timezone=known.timezone
        )
    return ImportedUser(
        user_id=derived_id("user", options.email.casefold()),
        email=options.email,
        name=options.name or options.email.partition("@")[0],
        timezone=csv.timezone,
    )


def _overrides(csv: CsvOptions) -> CsvOverrides:
    opening: Decimal | None = None
    if csv.opening_balance is not None:
        try:
            opening = Decimal(csv.opening_balance.replace(",", ""))
        except InvalidOperation:
            raise UsageError(f"--opening-balance: {csv.opening_balance!r} is not an amount, such as 1234.50") from None
    return CsvOverrides(
        encoding=csv.encoding,
        delimiter=csv.delimiter,
        header_line=csv.header_line,
        decimal_mark=csv.decimal_mark,
        date_style=csv.date_style,
        row_order=csv.row_order,
        sign=csv.sign,
        columns=dict(map(_column, csv.column)),
        debit_words=frozenset(csv.debit_word),
        credit_words=frozenset(csv.credit_word),
        currency=csv.currency,
        account=csv.account,
        number=csv.number,
        opening_balance=opening,
        timezone=csv.timezone,
    )


def _column(text: str) -> tuple[Role, str | int]:
    role, equals, where = text.partition("=")
    try:
        found = Role(role.strip().replace("-", "_"))
    except ValueError:
        raise UsageError(f"--column: {role!r} is no role; roles: {', '.join(one.value for one in Role)}") from None
    if not equals or not where.strip():
        raise UsageError(f"--column: write {found.value}=NAME, or {found.value}=NUMBER")
    return found, int(where) if where.strip().isdigit() else where.strip()


@dataclass(frozen=True, slots=True)
class _Level:
    """A threshold for every account of a currency."""

    direction: Direction
    level_minor: int
    margin_minor: int


def _levels(options: ImportOptions, currencies: Iterable[Currency]) -> dict[Currency, list[_Level]]:
    wanted = [(Direction.BELOW, options.alert_below), (Direction.ABOVE, options.alert_above)]
    levels: dict[Currency, list[_Level]] = {}
    for currency in currencies:
        margin_minor = parse_amount(options.margin, currency, "--margin")
        if margin_minor < 0:
            raise UsageError(f"--margin: {options.margin} is less than 0")
        found = [
            _Level(direction, parse_amount(text, currency, f"--alert-{direction.value}"), margin_minor)
            for direction, text in wanted
            if text is not None
        ]
        if found:
            levels[currency] = found
    return levels


def _set_thresholds(log: EventLog, folder: DataFolder, seen: Preview, levels: dict[Currency, list[_Level]]) -> None:
    """Before the entries, and dated before them, so that with --live each of them is compared."""
    from streambank.bank.events import Scope
    from streambank.cli import thresholds

    first = seen.first_day
    since_ms = (
        round(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp() * 1000) - 86_400_000
        if first is not None
        else system_clock()
    )
    changes = [
        thresholds.Change(
            on=thresholds.ScopeChoice(
                account.user_id, Scope.ACCOUNT, account.account_id, account.currency, account.name
            ),
            direction=level.direction,
            level_minor=level.level_minor,
            margin_minor=level.margin_minor,
            since_ms=max(0, since_ms),
        )
        for account in seen.accounts
        for level in levels.get(account.currency, [])
    ]
    with thresholds.editing(folder):
        thresholds.put(log, changes)


def _write(log: EventLog, source: Source, seen: Preview, options: ImportOptions, rejects: Path) -> ImportResult:
    with progress_bar("rows") as update:

        def show(progress: ImportProgress) -> None:
            update(progress.fraction, progress.imported + progress.duplicates + progress.rejected)

        return Importer(log, system_clock).run(
            source,
            origin=Origin.LIVE if options.live else Origin.IMPORT,
            rejects_path=rejects,
            progress=show,
        )


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float, int], None]]:
    """A bar on a terminal; the function takes the fraction of the file that is done, and how many of ``what`` are."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("importing"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[count]:,}} {what}, {{task.fields[rate]:,.0f}}/s"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("import", total=1.0, count=0, rate=0.0)

        def update(fraction: float, count: int) -> None:
            elapsed_s = bar.tasks[task].elapsed or 0.0
            bar.update(task, completed=fraction, count=count, rate=count / max(elapsed_s, 0.001))

        yield update


def show_settings(label: str, settings: Sequence[Setting]) -> None:
    """Show how a file is understood."""
    print(f"{label}: how it is understood")
    rows = [(s.name, s.value, "sure" if s.sure else "a guess", s.why) for s in settings]
    print_table([Column("SETTING"), Column("VALUE"), Column("HOW SURE"), Column("WHY")], rows)


def _show(seen: Preview) -> None:
    show_settings(seen.label, seen.settings)
    print("\nFirst entries")
    rows = [
        (
            row.entry.booking_date,
            row.account.name,
            money(row.entry.signed_minor, row.account.currency),
            row.entry.counterparty or row.entry.kind or "",
            row.entry.remittance or "",
            "there already" if row.present else "new",
        )
        for row in seen.rows
    ]
    columns = [Column("DATE"), Column("ACCOUNT"), Column("AMOUNT", right=True), Column("WITH"), Column("TEXT")]
    print_table([*columns, Column("IS")], rows)
    print()
    period = f", {seen.first_day} to {seen.last_day}" if seen.first_day else ""
    print(
        f"{counted(seen.new, 'new entry', 'new entries')} in"
        f" {counted(len(seen.accounts), 'account', 'accounts')}{period};"
        f" there already: {seen.duplicates:,}; rows that cannot be imported: {seen.rejected:,}"
    )
    for currency, total in seen.totals.items():
        print(
            f"{currency.value}: {amount(total.credit_minor, currency)} in, {amount(total.debit_minor, currency)} out,"
            f" {amount(total.net_minor, currency)} in all"
        )
    for label, texts, count in (
        ("not imported", list(map(str, seen.rejects)), seen.rejected),
        ("note", list(seen.warnings), len(seen.warnings)),
    ):
        for text in texts[:PROBLEMS_SHOWN]:
            say(f"{label}: {text}")
        if count > PROBLEMS_SHOWN:
            say(f"{label}: and {count - PROBLEMS_SHOWN:,} more")


def _preview_item(seen: Preview) -> dict[str, Any]:
    return {
        "file": seen.label,
        "settings": [{"name": s.name, "value": s.value, "sure": s.sure, "why": s.why} for s in seen.settings],
        "new": seen.new,
        "duplicates": seen.duplicates,
        "rejected": seen.rejected,
        "accounts": [_account_item(account) for account in seen.accounts],
        "totals": {
            currency.value: {
                "in": str(to_decimal(total.credit_minor, currency)),
                "out": str(to_decimal(total.debit_minor, currency)),
            }
            for currency, total in seen.totals.items()
        },
        "rejects": [str(reject) for reject in seen.rejects],
    }


def _account_item(account: ImportedAccount) -> dict[str, str]:
    return {"account_id": account.account_id, "name": account.name, "currency": account.currency.value}


def _tell(result: ImportResult, output: Format) -> None:
    if output != "table":
        item = {
            "imported": result.imported,
            "duplicates": result.duplicates,
            "rejected": result.rejected,
            "left_out": result.left_out,
            "accounts": [
                {"account_id": a.account_id, "name": a.name, "currency": a.currency.value} for a in result.accounts
            ],
            "rejects": [str(reject) for reject in result.rejects],
            "rejects_file": str(result.rejects_path) if result.rejects_path is not None else None,
        }
        (print_json if output == "json" else print_json_line)(item)
        return
    print(
        f"\nimported {counted(result.imported, 'entry', 'entries')}; there already: {result.duplicates:,};"
        f" rows that could not be imported: {result.rejected:,}"
    )
    if result.rejects_path is not None:
        print(f"those rows, with the reasons: {result.rejects_path}")
