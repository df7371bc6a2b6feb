"""``streambank rates`` and its sub-commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from streambank.cli.errors import CommandError, say
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import Column, OutputOption, print_listing

app = App(
    name="rates",
    help="Exchange rates, by which amounts of several currencies are added up: list, set, import.",
    help_format="plaintext",
)


@app.command(name="ls")
def list_rates(
    pair: str | None = None,
    /,
    *,
    day: str | None = None,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], negative="", help="Those of earlier days, too.")] = False,
    place: PlaceOption = USUAL_PLACE,
    output: OutputOption = "table",
) -> None:
    """List the rates that hold on a day.

    Parameters
    ----------
    pair
        Only this one, such as EUR/USD.
    day
        The day; the latest of all unless you say otherwise.
    """
    from streambank.bank.rates import rate_text
    from streambank.cli import rates
    from streambank.cli.api import parse_day

    wanted, until = rates.parse_pair(pair) if pair is not None else None, parse_day(day, "--day")
    with place.folder().open_log() as log:
        found = rates.known(log, wanted, until)
    if not all_:
        found = list({(one.base, one.quote): one for one in found}.values())
    items = [
        {"base": one.base.value, "quote": one.quote.value, "day": one.day.isoformat(), "rate": rate_text(one.rate_e9)}
        for one in found
    ]
    columns = [Column("PAIR"), Column("DAY"), Column("RATE", right=True)]
    print_listing(output, items, columns, [(f"{i['base']}/{i['quote']}", i["day"], i["rate"]) for i in items])


@app.command(name="set")
def set_rate(pair: str, rate: str, /, *, day: str | None = None, place: PlaceOption = USUAL_PLACE) -> None:
    """Set a rate: how much of the second currency one of the first is worth.

    Parameters
    ----------
    pair
        The two, such as EUR/USD.
    rate
        A decimal number, such as 1.0842.
    day
        From when on it holds; today, UTC, unless you say otherwise.
    """
    from streambank.bank.rates import parse_rate
    from streambank.cli import rates
    from streambank.cli.api import parse_day
    from streambank.clock import system_clock, to_datetime

    of = parse_day(day, "--day") or to_datetime(system_clock()).date()
    told = rates.Told(*rates.parse_pair(pair), of, parse_rate(rate))
    with place.folder().open_log() as log:
        rates.put(log, [told])
    say(f"one {told.base.value} is {rate} {told.quote.value} from {told.day} on")


@app.command(name="import")
def import_rates(file: Path, /, *, since: str | None = None, place: PlaceOption = USUAL_PLACE) -> None:
    """Import the euro's reference rates from a file of the European Central Bank: eurofxref.csv or eurofxref-hist.csv.

    Parameters
    ----------
    file
        The CSV file; what is there already is not written again.
    since
        Leave out what is from before this day.
    """
    from streambank.bank.imports.ecb import read_rates
    from streambank.bank.imports.errors import ImportFileError
    from streambank.cli import rates
    from streambank.cli.api import parse_day
    from streambank.cli.formats import counted

    first = parse_day(since, "--since")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            told = [
                rates.Told(rates.EURO, one.currency, one.day, one.rate_e9)
                for one in read_rates(lines)
                if first is None or one.day >= first
            ]
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise CommandError(f"{file}: not a text file in UTF-8") from None
    except ImportFileError as error:
        raise CommandError(f"{file}: {error}") from None
    with place.folder().open_log() as log:
        new = rates.put(log, told)
    say(f"imported {counted(new, 'rate', 'rates')}; there already: {len(told) - new:,}")
