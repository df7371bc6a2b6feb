"""``streambank import``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from streambank.cli.api import DEFAULT_SERVER, Server, ServerOption
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import OutputOption


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file is to be read, where what is detected is not right. Some are for other files too.

    Attributes
    ----------
    currency
        The ISO 4217 code, where the file does not say. Also for QIF and OFX.
    account
        The account with the bank that the entries are for: its name or id. With --email: the account's name, where
        the file does not say.
    number
        The account's number; its last four digits are kept. Also for QIF.
    opening_balance
        What the account held before the first row. For files of every format.
    column
        ROLE=NAME or ROLE=NUMBER (from 1), as often as needed. Roles: date, value_date, amount, debit, credit,
        indicator, currency, balance, counterparty, counterparty_account, remittance, category, kind, id,
        end_to_end_id, account.
    date_style
        The order of day, month and year. Also for QIF.
    decimal_mark
        What is before the cents. Also for QIF.
    sign
        negated for credit cards that show spending as positive. Also for QIF.
    row_order
        Which rows come first.
    encoding
        Such as utf-8 or cp1250. Also for QIF, OFX and MT940.
    delimiter
        What is between the columns.
    header_line
        The line with the columns' names, from 1; 0 for none.
    debit_word
        What the indicator column says for money going out, as often as needed.
    credit_word
        What the indicator column says for money coming in, as often as needed.
    timezone
        The time zone of times of day, such as Europe/Prague.
    """

    currency: str | None = None
    account: str | None = None
    number: str | None = None
    opening_balance: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    column: Annotated[list[str], Parameter(negative="")] = field(default_factory=list)
    date_style: Literal["ymd", "dmy", "mdy"] | None = None
    decimal_mark: Literal[".", ","] | None = None
    sign: Literal["signed", "negated"] | None = None
    row_order: Literal["oldest-first", "newest-first"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    debit_word: Annotated[list[str], Parameter(negative="")] = field(default_factory=list)
    credit_word: Annotated[list[str], Parameter(negative="")] = field(default_factory=list)
    timezone: str = "UTC"


CsvOption: TypeAlias = Annotated[CsvOptions, Parameter(name="*", group="How the file is read")]
Flag: TypeAlias = Annotated[bool, Parameter(negative="")]
NumberOption: TypeAlias = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import, for whom, and how.

    Attributes
    ----------
    format
        auto finds it out by the file's content.
    email
        Straight into the log, without a bank's API: whose accounts these are, and where their alerts go. The Berka
        data set has its own.
    name
        The owner's name.
    live
        Treat the entries as if they happened now, so that alerts are raised.
    alert_below
        Alert when the balance of an imported account falls below this amount.
    alert_above
        Alert when the balance of an imported account rises above this amount.
    margin
        How far the balance must be back before the next alert.
    yes
        Import without a question.
    dry_run
        Show what would be imported, and write nothing.
    rejects
        Where to write the rows that cannot be imported, each with the reason. Without it: a CSV file in the data
        folder, named after FILE.
    """

    format: Literal["auto", "csv", "ofx", "camt", "mt940", "qif", "berka"] = "auto"
    email: str | None = None
    name: str | None = None
    live: Flag = False
    alert_below: NumberOption = None
    alert_above: NumberOption = None
    margin: str = "0"
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False
    dry_run: Flag = False
    rejects: Path | None = None


ImportOption: TypeAlias = Annotated[ImportOptions, Parameter(name="*")]
_DEFAULTS, _CSV_DEFAULTS = ImportOptions(), CsvOptions()


def import_(
    file: Path,
    /,
    *,
    options: ImportOption = _DEFAULTS,
    csv: CsvOption = _CSV_DEFAULTS,
    place: PlaceOption = USUAL_PLACE,
    server: ServerOption = DEFAULT_SERVER,
    output: OutputOption = "table",
) -> int:
    """Read a bank's statements in: CSV of any layout, OFX or QFX, CAMT.053, MT940, QIF, or the Berka data set.

    With --account its entries go to an account of yours with the bank: see `streambank login`. With --email they go
    straight into the log.

    Shows first how the file is understood, and asks before anything is written. Importing a file again, or another
    that overlaps with it, adds only what is new. Works beside a running `streambank up`.

    Parameters
    ----------
    file
        The file, or the Berka data set's folder.
    """
    from streambank.cli.importing import goes_to_api, run_import

    if goes_to_api(options, csv):
        from streambank.cli.api_importing import run_api_import

        return run_api_import(file, options, csv, place.folder(), Server(server, place.data), output)
    return run_import(file, options, csv, place.folder(), output)
