"""Dates and times in requests: as RFC 3339 writes them, and in no other way.

Pydantic alone takes a number for the seconds since 1970 as well, so that ``booking_date: 0`` were a day.
"""

import re
from datetime import date
from typing import Annotated, TypeAlias

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date_text(value: object) -> object:
    if isinstance(value, str) and not _DATE.fullmatch(value):
        raise PydanticCustomError("date_text", "a date is written YYYY-MM-DD")
    return _text(value)


def _moment_text(value: object) -> object:
    if isinstance(value, str) and not _DATE.match(value):
        raise PydanticCustomError("moment_text", "a time is written YYYY-MM-DDThh:mm:ss+hh:mm, or with Z for UTC")
    return _text(value)


def _text(value: object) -> object:
    if isinstance(value, (int, float)):
        raise PydanticCustomError("not_text", "a date or a time is text, not a number")
    return value


Day: TypeAlias = Annotated[date, BeforeValidator(_date_text)]
Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_moment_text)]
"""With its offset from UTC."""
