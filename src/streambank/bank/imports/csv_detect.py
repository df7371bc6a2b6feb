"""Finding out how a CSV file is to be read. Everything found can be seen, and overridden."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from iso4217 import Currency

from streambank.bank.events import MoneyError, parse_currency
from streambank.bank.imports.amounts import SYMBOLS, DecimalMark, MarkEvidence
from streambank.bank.imports.columns import (
    CREDIT_WORDS,
    DEBIT_WORDS,
    Role,
    assign,
    languages_of,
    plain_name,
    plain_word,
)
from streambank.bank.imports.csv_dialect import DELIMITER_NAMES, Dialect, Record, detect_dialect, find_header, records
from streambank.bank.imports.dates import STYLE_NAMES, STYLES, DateStyle, StyleEvidence, looks_like_date
from streambank.bank.imports.entries import Setting
from streambank.bank.imports.errors import ImportFileError
from streambank.bank.imports.files import Encoding, InputFile, detect_encoding

SAMPLE_LINES = 400
SAMPLE_RECORDS = 200
ACCOUNTS_MAX = 10_000

RowOrder: TypeAlias = Literal["oldest-first", "newest-first"]
SignRule: TypeAlias = Literal["signed", "negated", "two-columns", "indicator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOverrides:
    """What the user says about the file; None or empty: find out.

    ``columns`` gives a role's column by its name in the header or its number from 1. ``sign`` ``negated`` is for
    credit cards that show spending as positive. ``currency`` is an ISO 4217 code. ``opening_balance`` is what the
    account held before the first row; without it, it follows from a balance column if there is one.
    ``account`` names the account where the file does not; ``number`` is its number, of which the last four digits
    are kept. ``header_line`` is the line with the column names, 0 for none. ``timezone`` is that of times of day.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    decimal_mark: DecimalMark | None = None
    date_style: DateStyle | None = None
    row_order: RowOrder | None = None
    sign: Literal["signed", "negated"] | None = None
    columns: Mapping[Role, str | int] = field(default_factory=dict)
    debit_words: frozenset[str] = frozenset()
    credit_words: frozenset[str] = frozenset()
    currency: str | None = None
    account: str | None = None
    number: str | None = None
    opening_balance: Decimal | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How a file will be read. ``problems`` must be empty before it can be: each says which override settles it.

    ``settings`` are for showing. ``columns`` are positions from 0. ``accounts`` are the distinct cells of the account
    column with the currency of their rows. ``debit_negative`` says that the debit column has minus signs already.
    """

    path: Path
    encoding: str
    dialect: Dialect
    header: tuple[str, ...]
    first_line: int
    columns: Mapping[Role, int]
    width: int
    decimal_mark: DecimalMark
    date_style: DateStyle
    sign: SignRule
    debit_negative: bool
    row_order: RowOrder
    sorted_by_date: bool
    currency: Currency | None
    accounts: tuple[tuple[str, str], ...]
    rows: int
    settings: tuple[Setting, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    overrides: CsvOverrides


@dataclass(slots=True)
class _Layout:
    """What the beginning of the file tells."""

    path: Path
    overrides: CsvOverrides
    encoding: str = "utf-8"
    dialect: Dialect = field(default_factory=lambda: Dialect(",", '"'))
    header: tuple[str, ...] = ()
    first_line: int = 1
    columns: dict[Role, int] = field(default_factory=dict)
    width: int = 0
    sample: list[Record] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Evidence:
    """What the whole of the file tells."""

    rows: int = 0
    dates: StyleEvidence = field(default_factory=StyleEvidence)
    amount: MarkEvidence = field(default_factory=MarkEvidence)
    debit: MarkEvidence = field(default_factory=MarkEvidence)
    credit: MarkEvidence = field(default_factory=MarkEvidence)
    balance: MarkEvidence = field(default_factory=MarkEvidence)
    words: Counter[str] = field(default_factory=Counter)
    accounts: dict[tuple[str, str], int] = field(default_factory=dict)
    ended: bool = True
    last_line: int = 0


def detect(path: Path, overrides: CsvOverrides | None = None) -> Detection:
    """How the file is written and what its columns mean. Reads all of it, in constant memory; writes nothing.

    Raises:
        ImportFileError: it cannot be read, is empty or no text, has no rows, or an override does not fit it.
    """
    layout = _Layout(path, overrides or CsvOverrides())
    _find_encoding(layout)
    _find_layout(layout)
    _find_columns(layout)
    evidence = _whole_file(layout)
    if evidence.rows == 0:
        raise ImportFileError(f"{path}: there are no rows after the header; export it again")
    return _conclude(layout, evidence)


def _find_encoding(layout: _Layout) -> None:
    found = detect_encoding(layout.path)
    if layout.overrides.encoding:
        try:
            "".encode(layout.overrides.encoding)
        except LookupError:
            raise ImportFileError(
                f"unknown encoding {layout.overrides.encoding!r}: use a name such as cp1250"
            ) from None
        found = Encoding(layout.overrides.encoding, True, "as you said")
    layout.encoding = found.name
    layout.settings.append(Setting("encoding", found.name, found.sure, found.why))


def _find_layout(layout: _Layout) -> None:
    given = layout.overrides
    if given.delimiter is not None and len(given.delimiter) != 1:
        raise ImportFileError(f"delimiter {given.delimiter!r}: use one character such as ';'")
    with InputFile(layout.path) as file:
        lines = list(islice(file.lines(layout.encoding), SAMPLE_LINES))
    if not any(line.text.strip() for line in lines):
        raise ImportFileError(f"{layout.path} has only blank lines; export it again")
    layout.dialect, guess = detect_dialect(lines, given.delimiter)
    name = DELIMITER_NAMES.get(guess.value, repr(guess.value))
    layout.settings.append(Setting("delimiter", name, guess.sure, guess.why))
    sample = list(islice(records(lines, layout.dialect), SAMPLE_RECORDS))
    if given.header_line is None:
        position = find_header(sample)
        why = "it has the column names" if position is not None else "no row looks like column names"
    else:
        position = next((i for i, row in enumerate(sample) if row.line == given.header_line), None)
        why = "as you said"
        if position is None and given.header_line != 0:
            raise ImportFileError(f"{layout.path}: line {given.header_line} is not one of the first rows")
    if position is not None:
        layout.header = tuple(cell.strip() for cell in sample[position].fields)
        layout.first_line = sample[position].line + 1
        layout.sample = sample[position + 1 :]
        layout.settings.append(Setting("header", f"line {sample[position].line}", True, why))
    else:
        layout.sample = sample
        layout.settings.append(Setting("header", "none", given.header_line == 0, why))
    widths = Counter(len(row.fields) for row in layout.sample if row.problem is None)
    layout.width = len(layout.header) or (widths.most_common(1)[0][0] if widths else 0)


def _find_columns(layout: _Layout) -> None:
    columns = assign(layout.header) if layout.header else _columns_by_content(layout)
    given = {role: _column(layout, role, which) for role, which in layout.overrides.columns.items()}
    columns = {role: at for role, at in columns.items() if role not in given and at not in given.values()}
    if {Role.DEBIT, Role.CREDIT} & given.keys():
        columns.pop(Role.AMOUNT, None)
    if Role.AMOUNT in given:
        columns.pop(Role.DEBIT, None)
        columns.pop(Role.CREDIT, None)
    columns.update(given)
    if Role.AMOUNT in columns and {Role.DEBIT, Role.CREDIT} <= columns.keys():
        del columns[Role.DEBIT], columns[Role.CREDIT]
    if Role.DATE not in columns and Role.VALUE_DATE in columns:
        columns[Role.DATE] = columns.pop(Role.VALUE_DATE)
    if Role.AMOUNT in columns and Role.INDICATOR not in columns:
        _indicator_by_content(layout, columns)
    layout.columns = columns
    if Role.DATE not in columns:
        layout.problems.append("no column with the date was recognised: say which it is (columns: date)")
    if Role.AMOUNT not in columns and not {Role.DEBIT, Role.CREDIT} <= columns.keys():
        layout.problems.append("no column with the amount was recognised: say which it is (columns: amount)")
    for role, at in sorted(columns.items(), key=lambda item: item[1]):
        sure, why = (True, "as you said") if role in given else (bool(layout.header), "by its name")
        if not layout.header and role not in given:
            why = "by what it contains"
        layout.settings.append(Setting(f"column {role.value}", _column_name(layout, at), sure, why))


def _column_name(layout: _Layout, at: int) -> str:
    return layout.header[at] if layout.header else f"column {at + 1}"


def _column(layout: _Layout, role: Role, which: str | int) -> int:
    if isinstance(which, str) and not which.isdecimal():
        for position, name in enumerate(layout.header):
            if name == which or plain_name(name) == plain_name(which):
                return position
        known = ", ".join(layout.header) or "none: give its number"
        raise ImportFileError(f"{layout.path} has no column {which!r} for {role.value}; its columns are {known}")
    number = int(which)
    if not 1 <= number <= layout.width:
        raise ImportFileError(f"{layout.path} has no column {number} for {role.value}; it has {layout.width} columns")
    return number - 1


def _columns_by_content(layout: _Layout) -> dict[Role, int]:
    """A file without a header: the first column of dates, the column of amounts with signs, the longest text."""
    rows = [row.fields for row in layout.sample if row.problem is None and len(row.fields) == layout.width]
    columns: dict[Role, int] = {}
    money: list[tuple[int, int]] = []
    texts: list[tuple[float, int]] = []
    for at in range(layout.width):
        cells = [row[at] for row in rows if row[at].strip()]
        if not cells:
            continue
        evidence = MarkEvidence()
        for cell in cells:
            evidence.add(cell)
        if all(looks_like_date(cell) for cell in cells):
            columns.setdefault(Role.VALUE_DATE if Role.DATE in columns else Role.DATE, at)
        elif evidence.seen == len(cells) and (evidence.votes or evidence.negative):
            money.append((-evidence.negative, at))
        elif all(len(cell.strip()) == 3 and cell.strip().isupper() for cell in cells):
            columns.setdefault(Role.CURRENCY, at)
        elif any(char.isalpha() for cell in cells for char in cell):
            texts.append((sum(map(len, cells)) / len(cells), at))
    if money:
        columns[Role.AMOUNT] = min(money)[1]
        if len(money) > 1:
            layout.warnings.append(
                f"columns {' and '.join(str(at + 1) for _, at in sorted(money, key=lambda m: m[1]))} both hold amounts;"
                f" column {columns[Role.AMOUNT] + 1} is taken"
            )
    if texts:
        columns[Role.REMITTANCE] = max(texts)[1]
    return columns


def _indicator_by_content(layout: _Layout, columns: dict[Role, int]) -> None:
    """A column that says in or out beside amounts that have no signs."""
    rows = [row.fields for row in layout.sample if len(row.fields) == layout.width]
    if any("-" in row[columns[Role.AMOUNT]] for row in rows):
        return
    for at in range(layout.width):
        if at in columns.values() and at != columns.get(Role.KIND):
            continue
        words = {plain_word(row[at]) for row in rows}
        if words & DEBIT_WORDS and words <= DEBIT_WORDS | CREDIT_WORDS:
            if columns.get(Role.KIND) == at:
                del columns[Role.KIND]
            columns[Role.INDICATOR] = at
            return


@contextmanager
def open_rows(
    path: Path, encoding: str, dialect: Dialect, first_line: int
) -> Iterator[tuple[InputFile, Iterator[Record]]]:
    """The file's rows from a line on, and the file itself for its position and faults."""
    with InputFile(path) as file:
        yield file, records((line for line in file.lines(encoding) if line.number >= first_line), dialect)


def _whole_file(layout: _Layout) -> _Evidence:
    evidence = _Evidence()
    columns = layout.columns
    watched = [
        (columns[role], found)
        for role, found in (
            (Role.AMOUNT, evidence.amount),
            (Role.DEBIT, evidence.debit),
            (Role.CREDIT, evidence.credit),
            (Role.BALANCE, evidence.balance),
        )
        if role in columns
    ]
    date_at, word_at = columns.get(Role.DATE), columns.get(Role.INDICATOR)
    account_at, currency_at = columns.get(Role.ACCOUNT), columns.get(Role.CURRENCY)
    with open_rows(layout.path, layout.encoding, layout.dialect, layout.first_line) as (file, rows):
        for row in rows:
            evidence.rows += 1
            evidence.ended, evidence.last_line = row.ended, row.line
            fields = row.fields
            if row.problem is not None or len(fields) < layout.width:
                continue
            account = fields[account_at].strip() if account_at is not None else ""
            currency = fields[currency_at].strip().upper() if currency_at is not None else ""
            _count_account(layout, evidence, account, currency)
            if date_at is not None:
                evidence.dates.add(fields[date_at], account)
            for at, found in watched:
                found.add(fields[at])
            if word_at is not None:
                evidence.words[plain_word(fields[word_at])] += 1
        if file.fault is not None:
            layout.warnings.append(
                f"{layout.path.name}: {file.fault} after line {evidence.last_line}; what is there is imported, and"
                " importing the whole file later adds only the rest"
            )
            evidence.ended = True
    if not evidence.ended:
        layout.warnings.append(
            f"{layout.path.name}, line {evidence.last_line}: the last line has no line end; check that it is complete"
        )
    return evidence


def _count_account(layout: _Layout, evidence: _Evidence, account: str, currency: str) -> None:
    key = (account, currency)
    if key in evidence.accounts:
        evidence.accounts[key] += 1
    elif len(evidence.accounts) < ACCOUNTS_MAX:
        evidence.accounts[key] = 1
    else:
        raise ImportFileError(
            f"{layout.path}, line {evidence.last_line}: more than {ACCOUNTS_MAX:,} different accounts; the column"
            f" {_column_name(layout, layout.columns[Role.ACCOUNT])!r} does not seem to name the account"
        )


def _conclude(layout: _Layout, evidence: _Evidence) -> Detection:
    date_style = _date_style(layout, evidence.dates)
    mark = _decimal_mark(layout, evidence)
    sign = _sign_rule(layout, evidence)
    order = _row_order(layout, evidence.dates, date_style)
    currency = _currency(layout, evidence)
    if Role.ACCOUNT not in layout.columns and not layout.overrides.account:
        layout.problems.append("the file does not name the account: give it a name (account)")
    _check_opening(layout)
    given = layout.overrides
    if given.opening_balance is not None and len(evidence.accounts) > 1:
        layout.problems.append("an opening balance can only be given for a file of one account (opening_balance)")
    return Detection(
        path=layout.path,
        encoding=layout.encoding,
        dialect=layout.dialect,
        header=layout.header,
        first_line=layout.first_line,
        columns=dict(layout.columns),
        width=layout.width,
        decimal_mark=mark,
        date_style=date_style,
        sign=sign,
        debit_negative=evidence.debit.negative * 2 > evidence.debit.seen,
        row_order=order,
        sorted_by_date=order == "oldest-first" and date_style not in evidence.dates.unsorted,
        currency=currency,
        accounts=tuple(evidence.accounts),
        rows=evidence.rows,
        settings=tuple(layout.settings),
        problems=tuple(layout.problems),
        warnings=tuple(layout.warnings),
        overrides=given,
    )


def _check_opening(layout: _Layout) -> None:
    opening = layout.overrides.opening_balance
    if opening is not None and not opening.is_finite():
        raise ImportFileError(f"opening balance {opening} is not an amount of money")


def _date_style(layout: _Layout, dates: StyleEvidence) -> DateStyle:
    given = layout.overrides.date_style
    ranked = sorted(STYLES, key=lambda style: (-dates.valid[style], style != "dmy"))
    best = given or ranked[0]
    tied = [style for style in STYLES if dates.valid[style] == dates.valid[best] and dates.seen]
    sure, why = True, f"{dates.valid[best]:,} of {dates.seen:,} dates are dates that way"
    if given:
        why = "as you said"
    elif len(tied) == 3:
        best = "ymd"
        why = "year first or the month's name: there is only one way to read them"
    elif example := dates.only.get(best):
        why = f"{example!r} can only be read that way"
        if others := [style for style in STYLES if style != best and style in dates.only]:
            sure = False
            layout.warnings.append(
                f"dates: {dates.only[others[0]]!r} can only be {STYLE_NAMES[others[0]]}, but {example!r} only"
                f" {STYLE_NAMES[best]}; rows of the first kind are rejected"
            )
    elif {"dmy", "mdy"} <= set(tied):
        best, sure, why = _ambiguous_dates(layout, dates)
    layout.settings.append(Setting("dates", STYLE_NAMES[best], sure, why))
    return best


def _ambiguous_dates(layout: _Layout, dates: StyleEvidence) -> tuple[DateStyle, bool, str]:
    """No date has a day above 12. Dots and languages that never put the month first still decide."""
    if dates.dotted == dates.seen:
        return "dmy", True, "dates with dots have the day first"
    languages = languages_of(layout.header)
    best = max(languages, key=lambda language: languages[language], default="en")
    if languages.get(best, 0) > languages.get("en", 0):
        return "dmy", True, f"the header's language ({best}) puts the day first"
    layout.problems.append(
        "the dates can be read as day-month-year and as month-day-year, no day is above 12: say which (date_style)"
    )
    return "dmy", False, "no day is above 12: it could also be month-day-year"


def _decimal_mark(layout: _Layout, evidence: _Evidence) -> DecimalMark:
    given = layout.overrides.decimal_mark
    found = evidence.amount.merge((evidence.debit, evidence.credit, evidence.balance))
    votes = found.votes
    best: DecimalMark = given or ("," if votes[","] > votes["."] else ".")
    sure, why = True, "no amount has any decimals"
    if given:
        why = "as you said"
    elif votes[best]:
        other = "," if best == "." else "."
        why = f"as in {found.example[best]!r}"
        if votes[other]:
            sure = False
            layout.warnings.append(
                f"amounts: {found.example[other]!r} has the decimal mark {other!r}, but {votes[best]:,} others have"
                f" {best!r}; such rows are rejected"
            )
    elif found.open:
        sure, why = False, f"{found.example['?']!r} could have either"
        layout.problems.append(
            f"the amounts, such as {found.example['?']!r}, can be read with a decimal point and with a decimal comma:"
            " say which (decimal_mark)"
        )
    layout.settings.append(Setting("decimal mark", "point" if best == "." else "comma", sure, why))
    return best


def _sign_rule(layout: _Layout, evidence: _Evidence) -> SignRule:
    columns, given = layout.columns, layout.overrides
    rule: SignRule
    if Role.AMOUNT not in columns:
        rule, sure, why, text = "two-columns", True, "one column for each", "debit and credit columns"
    elif Role.INDICATOR in columns:
        rule, sure, text = "indicator", True, "a column says debit or credit"
        why = ", ".join(repr(word) for word, _ in evidence.words.most_common(4))
        known = DEBIT_WORDS | CREDIT_WORDS | set(map(plain_word, given.debit_words | given.credit_words))
        if unknown := [word for word in evidence.words if word not in known]:
            sure = False
            layout.warnings.append(
                f"the words {', '.join(map(repr, sorted(unknown)[:5]))} in column {columns[Role.INDICATOR] + 1} are"
                " neither debit nor credit: their rows are rejected (debit_words and credit_words settle it)"
            )
    elif given.sign == "negated":
        rule, sure, why, text = "negated", True, "as you said", "positive amounts are spending"
    else:
        rule, text = "signed", "negative amounts are spending"
        sure = given.sign is not None or evidence.amount.negative > 0
        why = f"{evidence.amount.negative:,} of {evidence.amount.seen:,} amounts are negative"
        if not sure:
            layout.warnings.append(
                "no amount is negative, so every row is taken for money that came in; if that is wrong, say"
                " sign=negated, or which column says debit or credit"
            )
    layout.settings.append(Setting("signs", text, sure, why))
    return rule


def _row_order(layout: _Layout, dates: StyleEvidence, style: DateStyle) -> RowOrder:
    rising, falling = dates.rising[style], dates.falling[style]
    given = layout.overrides.row_order
    order: RowOrder = given or ("newest-first" if falling > rising else "oldest-first")
    sure = given is not None or min(rising, falling) == 0
    why = f"the date rises {rising:,} times and falls {falling:,} times"
    layout.settings.append(Setting("row order", order, sure, "as you said" if given else why))
    return order


def _currency(layout: _Layout, evidence: _Evidence) -> Currency | None:
    """The file's currency; None where a column has it."""
    given = layout.overrides.currency
    if given is not None:
        currency = parse_currency(given)
        layout.settings.append(Setting("currency", currency.value, True, "as you said"))
        return currency
    if Role.CURRENCY in layout.columns:
        codes = sorted({code for _, code in evidence.accounts if code})
        layout.settings.append(Setting("currency", ", ".join(codes[:6]), True, "a column has it"))
        return None
    units = evidence.amount.merge((evidence.debit, evidence.credit, evidence.balance)).units
    for unit, count in units.most_common():
        try:
            currency = parse_currency(SYMBOLS.get(unit, unit))
        except MoneyError:
            continue
        layout.settings.append(Setting("currency", currency.value, True, f"{unit!r} stands beside {count:,} amounts"))
        return currency
    layout.problems.append("the file does not name the currency: give its ISO 4217 code (currency)")
    return None
