"""Which days the history of a demo's people has: decided once, and kept in the data folder beside the bank.

A later run has to make the same history, whatever the date is by then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import msgspec

from streambank.cli.demo.errors import DemoError

FILE = "demo.json"


@dataclass(frozen=True, slots=True)
class Period:
    """The first day, and the day after the last, UTC."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days there are."""
        return (self.end - self.start).days


def kept_period(folder: Path, seed: int, days: int, today: date) -> Period:
    """The period of the folder's people of that seed; of new ones the ``days`` before ``today``, from now on.

    Raises:
        DemoError: the file cannot be used.
    """
    path = folder / FILE
    try:
        periods = msgspec.json.decode(path.read_bytes(), type=dict[str, Period]) if path.exists() else {}
        known = periods.get(str(seed))
        if known is not None and known.days > 0:
            return known
        period = Period(today - timedelta(days=days), today)
        # Written under another name and moved: half a file would be worse than none.
        made = path.with_suffix(".new")
        with made.open("wb") as file:
            file.write(msgspec.json.encode({**periods, str(seed): period}))
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except OSError as error:
        raise DemoError(f"cannot keep {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise DemoError(f"{path} is damaged ({error}): give the demo another folder with --data") from None
    return period
