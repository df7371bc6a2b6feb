"""When a notice is e-mailed, as tables of inputs and outputs."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.events import Digest, QuietHours
from streambank.bank.notifications.scheduling import HOUR_MS, Window, Wishes, held_until, next_local, quiet_until

NIGHT = QuietHours(from_minute=22 * 60, to_minute=7 * 60)
LUNCH = QuietHours(from_minute=12 * 60, to_minute=13 * 60)


def ms(text: str, zone: str = "Europe/Berlin") -> int:
    """A moment as the clocks of a zone show it; ``+01:00`` and the like instead, where they show it twice."""
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)


def shown(at_ms: int | None, zone: str = "Europe/Berlin") -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M%z")


@pytest.mark.parametrize(
    ("now", "wishes", "until"),
    [
        # No wishes: at once. Thursday, 2026-11-26.
        ("2026-11-26T03:00", Wishes("Europe/Berlin"), None),
        # Quiet hours over midnight: from their first minute on, until their last is over.
        ("2026-11-26T21:59", Wishes("Europe/Berlin", NIGHT), None),
        ("2026-11-26T22:00", Wishes("Europe/Berlin", NIGHT), "Fri 2026-11-27 07:00+0100"),
        ("2026-11-27T00:00", Wishes("Europe/Berlin", NIGHT), "Fri 2026-11-27 07:00+0100"),
        ("2026-11-27T06:59", Wishes("Europe/Berlin", NIGHT), "Fri 2026-11-27 07:00+0100"),
        ("2026-11-27T07:00", Wishes("Europe/Berlin", NIGHT), None),
        # Within a day.
        ("2026-11-26T11:59", Wishes("Europe/Berlin", LUNCH), None),
        ("2026-11-26T12:00", Wishes("Europe/Berlin", LUNCH), "Thu 2026-11-26 13:00+0100"),
        ("2026-11-26T13:00", Wishes("Europe/Berlin", LUNCH), None),
        # In the user's time zone: at 22:00 in Berlin it is noon in Los Angeles (13:00), and morning in Auckland.
        ("2026-11-26T22:00", Wishes("America/Los_Angeles", NIGHT), None),
        ("2026-11-26T12:30", Wishes("Pacific/Auckland", NIGHT), "Thu 2026-11-26 19:00+0100"),
        # From midnight to midnight is no time.
        ("2026-11-26T00:00", Wishes("Europe/Berlin", QuietHours(from_minute=0, to_minute=0)), None),
        # Clocks go forward on 2026-03-29 at 2:00, back on 2026-10-25 at 3:00: seven o'clock is seven o'clock.
        ("2026-03-28T23:00", Wishes("Europe/Berlin", NIGHT), "Sun 2026-03-29 07:00+0200"),
        ("2026-10-24T23:00", Wishes("Europe/Berlin", NIGHT), "Sun 2026-10-25 07:00+0100"),
        # They end when no clock shows 2:30: as long after midnight as on other days.
        (
            "2026-03-29T01:00",
            Wishes("Europe/Berlin", QuietHours(from_minute=60, to_minute=150)),
            "Sun 2026-03-29 03:30+0200",
        ),
        # They end at 2:30, which clocks show twice: the next of the two.
        (
            "2026-10-25T01:00",
            Wishes("Europe/Berlin", QuietHours(from_minute=60, to_minute=150)),
            "Sun 2026-10-25 02:30+0200",
        ),
        (
            "2026-10-25T02:10+01:00",
            Wishes("Europe/Berlin", QuietHours(from_minute=60, to_minute=150)),
            "Sun 2026-10-25 02:30+0100",
        ),
        # Digests: at eight, also on the days when clocks change.
        ("2026-11-26T07:59", Wishes("Europe/Berlin", digest=Digest.DAILY), "Thu 2026-11-26 08:00+0100"),
        ("2026-11-26T08:00", Wishes("Europe/Berlin", digest=Digest.DAILY), "Fri 2026-11-27 08:00+0100"),
        ("2026-03-28T12:00", Wishes("Europe/Berlin", digest=Digest.DAILY), "Sun 2026-03-29 08:00+0200"),
        ("2026-11-26T12:00", Wishes("Europe/Berlin", digest=Digest.WEEKLY), "Mon 2026-11-30 08:00+0100"),
        ("2026-11-30T07:59", Wishes("Europe/Berlin", digest=Digest.WEEKLY), "Mon 2026-11-30 08:00+0100"),
        ("2026-11-30T08:00", Wishes("Europe/Berlin", digest=Digest.WEEKLY), "Mon 2026-12-07 08:00+0100"),
        # A digest that would come in quiet hours comes after them.
        (
            "2026-11-26T12:00",
            Wishes("Europe/Berlin", QuietHours(from_minute=23 * 60, to_minute=9 * 60), Digest.DAILY),
            "Fri 2026-11-27 09:00+0100",
        ),
        # A zone that is none is UTC.
        ("2026-11-26T12:00", Wishes("Mars/Olympus", digest=Digest.DAILY), "Fri 2026-11-27 09:00+0100"),
    ],
)
def test_when(now: str, wishes: Wishes, until: str | None) -> None:
    assert shown(held_until(ms(now), wishes, Window(), 20, critical=False)) == until


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes("Europe/Berlin", NIGHT),
        Wishes("Europe/Berlin", digest=Digest.WEEKLY),
        Wishes("Europe/Berlin", NIGHT, Digest.DAILY),
    ],
)
def test_what_is_critical_waits_for_nothing(wishes: Wishes) -> None:
    now = ms("2026-11-26T23:00")
    assert held_until(now, wishes, Window(now, 1_000), 20, critical=True) is None


NOW = 1_000 * HOUR_MS


@pytest.mark.parametrize(
    ("window", "until"),
    [
        (Window(), None),
        (Window(NOW - HOUR_MS + 1, 2), None),
        (Window(NOW - HOUR_MS + 1, 3), NOW + 1),
        (Window(NOW, 3), NOW + HOUR_MS),
        (Window(NOW, 4), NOW + HOUR_MS),
        (Window(NOW - HOUR_MS, 3), None),
    ],
)
def test_how_many_in_an_hour(window: Window, until: int | None) -> None:
    assert held_until(NOW, Wishes(), window, 3, critical=False) == until


def test_a_full_hour_that_ends_in_quiet_hours_is_waited_for_longer() -> None:
    now = ms("2026-11-26T21:30")
    assert shown(held_until(now, Wishes("Europe/Berlin", NIGHT), Window(now, 3), 3, critical=False)) == (
        "Fri 2026-11-27 07:00+0100"
    )


def test_a_window_counts_and_begins_anew() -> None:
    window = Window().counted(NOW)
    assert window == Window(NOW, 1)
    assert window.counted(NOW + HOUR_MS - 1) == Window(NOW, 2)
    assert window.counted(NOW + HOUR_MS) == Window(NOW + HOUR_MS, 1)


ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
MINUTES = st.integers(0, 1439)
MOMENTS = st.integers(ms("2020-01-01T00:00", "UTC"), ms("2040-01-01T00:00", "UTC"))


@given(MOMENTS, ZONES, MINUTES, st.none() | st.integers(0, 6))
def test_the_next_such_moment_is_within_days_and_not_now(now: int, zone: str, minute: int, weekday: int | None) -> None:
    at = next_local(now, zone, minute, weekday)
    assert now < at <= now + (1 if weekday is None else 7) * 25 * HOUR_MS + HOUR_MS
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone))
    # Clocks are put forward by an hour at most.
    assert (local.hour * 60 + local.minute - minute) % 1440 in {0, 30, 60}
    assert weekday is None or local.weekday() == weekday


@given(MOMENTS, ZONES, MINUTES, MINUTES)
def test_quiet_hours_end_when_they_are_over(now: int, zone: str, begin: int, end: int) -> None:
    wishes = Wishes(zone, QuietHours(from_minute=begin, to_minute=end))
    until = quiet_until(now, wishes)
    if until is not None:
        assert now < until <= now + 26 * HOUR_MS
