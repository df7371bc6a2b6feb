"""Which days the history has: decided once for each folder and seed."""

from datetime import date
from pathlib import Path

import pytest

from streambank.cli.demo.errors import DemoError
from streambank.cli.demo.period import FILE, Period, kept_period

TODAY, LATER = date(2026, 3, 1), date(2026, 3, 9)


def test_a_new_folder_has_the_days_before_today_and_keeps_them(tmp_path: Path) -> None:
    first = kept_period(tmp_path, 1, 30, TODAY)
    assert first == Period(date(2026, 1, 30), TODAY)
    assert first.days == 30
    assert kept_period(tmp_path, 1, 99, LATER) == first
    assert kept_period(tmp_path, 2, 5, LATER) == Period(date(2026, 3, 4), LATER)
    assert kept_period(tmp_path, 1, 99, LATER) == first
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"1": {"start": "soon", "end": "2026-03-01"}}'])
def test_a_damaged_file_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DemoError, match=r"demo\.json is damaged .*another folder with --data"):
        kept_period(tmp_path, 1, 30, TODAY)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "demo.new").mkdir()
    with pytest.raises(DemoError, match=r"cannot keep .*demo\.json: "):
        kept_period(tmp_path, 1, 30, TODAY)
