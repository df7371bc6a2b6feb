"""Dates and times as RFC 3339 writes them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from streambank.service.http.moments import Day, Moment


def test_what_is_taken() -> None:
    assert TypeAdapter(Day).validate_python("2026-11-24") == date(2026, 11, 24)
    assert TypeAdapter(Day).validate_python(date(2026, 11, 24)) == date(2026, 11, 24)
    for text in ("2026-11-24T13:00:00+01:00", "2026-11-24T12:00:00Z", "2026-11-24t12:00:00z"):
        assert TypeAdapter(Moment).validate_python(text) == datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [0, 0.0, True, "0", "1700000000", "2026-11-24T00:00:00", "20261124", " 2026-11-24", ""]
)
def test_what_is_no_day(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(value)


@pytest.mark.parametrize("value", [0, 0.0, True, "0", "1700000000", "2026-11-24", "2026-11-24T12:00:00", "12:00", ""])
def test_what_is_no_moment(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(value)
