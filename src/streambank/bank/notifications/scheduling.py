"""When a notice is e-mailed: at once, or gathered with others. Pure; times are ms since the epoch.

              22:00    quiet hours     07:00       08:00
    ------------|========================|-----------|------
    noticed:  A      B       C               D
    no digest:  A at once; B and C at 07:00, in one e-mail; D at once
    daily:      all at 08:00, in one e-mail
    critical:   each at once, whatever is wished

Whoever got as many e-mails in an hour as they may gets what follows in one, once that hour is over.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from streambank.bank.events import Digest, QuietHours
from streambank.bank.zones import zone_of
from streambank.clock import to_datetime, to_millis

HOUR_MS = 3_600_000

DIGEST_MINUTE = 8 * 60
"""Digests come at eight in the morning of the user's time: before the day, and when most are up."""

DIGEST_WEEKDAY = 0
"""Weekly ones on a Monday, where ISO 8601 begins the week, and :data:`streambank.bank.events.Period` too."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a user wants to be e-mailed."""

    timezone: str = "UTC"
    quiet_hours: QuietHours | None = None
    digest: Digest = Digest.NONE


@dataclass(frozen=True, slots=True)
class Window:
    """How many e-mails somebody got in the hour since then."""

    started_at: int = 0
    count: int = 0

    def counted(self, now_ms: int) -> "Window":
        """The window after one more e-mail; the first after the hour begins another."""
        if now_ms - self.started_at >= HOUR_MS:
            return Window(now_ms, 1)
        return Window(self.started_at, self.count + 1)

    def is_full(self, now_ms: int, emails_max: int) -> bool:
        """Whether one more now would be too many."""
        return now_ms - self.started_at < HOUR_MS and self.count >= emails_max


def held_until(now_ms: int, wishes: Wishes, window: Window, emails_max: int, *, critical: bool) -> int | None:
    """When the notice's digest is due at the latest; None: it goes at once, by itself."""
    if critical:
        return None
    if wishes.digest is not Digest.NONE:
        weekday = DIGEST_WEEKDAY if wishes.digest is Digest.WEEKLY else None
        due_at = next_local(now_ms, wishes.timezone, DIGEST_MINUTE, weekday)
        return quiet_until(due_at, wishes) or due_at
    ends_at = quiet_until(now_ms, wishes)
    if ends_at is None and window.is_full(now_ms, emails_max):
        ends_at = window.started_at + HOUR_MS
        ends_at = quiet_until(ends_at, wishes) or ends_at
    return ends_at


def quiet_until(at_ms: int, wishes: Wishes) -> int | None:
    """When the quiet hours end that it is in; None if it is in none."""
    quiet = wishes.quiet_hours
    if quiet is None or quiet.from_minute == quiet.to_minute:
        return None
    local = to_datetime(at_ms).astimezone(zone_of(wishes.timezone))
    minute = local.hour * 60 + local.minute
    if quiet.from_minute < quiet.to_minute:
        is_quiet = quiet.from_minute <= minute < quiet.to_minute
    else:
        is_quiet = minute >= quiet.from_minute or minute < quiet.to_minute
    return next_local(at_ms, wishes.timezone, quiet.to_minute) if is_quiet else None


def next_local(after_ms: int, timezone: str, minute: int, weekday: int | None = None) -> int:
    """The next moment at which the clocks of the zone show that minute of the day, on that weekday (0: Monday) if any.

    Where clocks are put back they show it twice, and either will do. Where they are put forward and leave it out, it is
    as long after midnight as on other days.
    """
    zone = zone_of(timezone)
    today = to_datetime(after_ms).astimezone(zone).date()
    for days in range(9):
        day = today + timedelta(days=days)
        if weekday is not None and day.weekday() != weekday:
            continue
        wall = datetime.combine(day, time(minute // 60, minute % 60))
        for fold in (0, 1):
            at_ms = _moment_ms(wall.replace(fold=fold), zone)
            if at_ms is not None and at_ms > after_ms:
                return at_ms
    raise AssertionError("every week has each of its days")


def _moment_ms(wall: datetime, zone: ZoneInfo) -> int | None:
    """The moment; None for the second of two that are not there: clocks were put forward over both."""
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    is_there = at.astimezone(zone).replace(tzinfo=None, fold=0) == wall.replace(fold=0)
    return to_millis(at) if is_there or wall.fold == 0 else None
