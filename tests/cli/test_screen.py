"""What the terminal shows: nothing wider or higher than it is, and nothing that jumps."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from rich.console import Console

from streambank.bank.events import (
    AlertRaised,
    Balance,
    Currency,
    Direction,
    EmailSent,
    EntryStatus,
    EntrySummary,
    Scope,
    Threshold,
    UserProfile,
)
from streambank.cli.activity import Activity, ShownBalance, percentile
from streambank.cli.screen import Cell, Screen, Slots, line

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EUR = Currency("EUR")


def entry(number: int) -> EntrySummary:
    return EntrySummary(
        entry_id=f"e{number}", account_id=f"a{number}", signed_minor=-100, occurred_at=NOON, counterparty="Café 東京"
    )


def balance(number: int, after: int = 12_345) -> Balance:
    return Balance(
        user_id=f"u{number}", occurred_at=NOON, recorded_at=NOON, scope=Scope.ACCOUNT, scope_id=f"a{number}",
        currency=EUR, before_minor=after + 100, after_minor=after, entry_count=2, entry=entry(number),
    )  # fmt: skip


def alert(number: int) -> AlertRaised:
    return AlertRaised(
        user_id=f"u{number}", occurred_at=NOON, recorded_at=NOON, alert_id=f"alert{number}", scope=Scope.ACCOUNT,
        scope_id=f"a{number}", currency=EUR, before_minor=10_100, after_minor=9_900, entry=entry(number),
        threshold=Threshold(threshold_id="t", direction=Direction.BELOW, level_minor=10_000),
    )  # fmt: skip


def email(number: int, latency_ms: int) -> EmailSent:
    return EmailSent(
        user_id=f"u{number}", occurred_at=NOON, recorded_at=NOON, alert_id=f"alert{number}", message_id="m", attempt=1,
        sent_at=NOON + timedelta(milliseconds=latency_ms),
    )  # fmt: skip


def filled(now: list[float]) -> Activity:
    activity = Activity(lambda: now[0])
    for number in range(40):
        profile = UserProfile(
            user_id=f"u{number}", occurred_at=NOON, recorded_at=NOON, event_id="p", email="e@example.org",
            name="Wolfeschlegelsteinhausen 東京都庁" if number % 2 else f"Ann {number}",
        )  # fmt: skip
        activity.people.profiles[profile.user_id] = profile
        activity.add_balances([balance(number)])
        activity.add_alert(alert(number))
    activity.add_events(40)
    activity.add_email(email(39, 41))
    return activity


def picture(screen: Screen, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(screen)
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 35), (200, 60), (60, 12)])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    from rich.cells import cell_len

    screen = Screen(filled([0.0]), title="streambank demo")
    screen.footer = ("mailbox http://127.0.0.1:8025/?token=" + "x" * 32, "Ctrl-C stops")
    lines = picture(screen, width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert lines[-1] == "Ctrl-C stops"


def test_numbers_alerts_and_latencies_are_shown() -> None:
    lines = picture(Screen(filled([0.0]), title="streambank demo"), 100, 35)
    assert lines[0].startswith("streambank demo  40 events")
    assert "40 alerts  1 e-mails" in lines[0]
    assert "median 41 ms  p99 41 ms" in lines[1]
    first_alert = next(at for at, text in enumerate(lines) if text.startswith("ALERT")) + 1
    assert "99.00 EUR  below 100.00" in lines[first_alert]
    assert lines[first_alert].endswith("41 ms")
    assert lines[first_alert + 1].endswith("...")


def test_columns_do_not_move_when_values_change() -> None:
    now = [0.0]
    activity = filled(now)
    screen = Screen(activity, title="demo")
    before = picture(screen, 100, 35)
    activity.add_balances([balance(number, -123_456_789) for number in range(40)])
    after = picture(screen, 100, 35)
    where = [(text.index("EUR"), text.index("Café")) for text in before if "Café" in text]
    assert [(text.index("EUR"), text.index("Café")) for text in after if "Café" in text] == where


def test_a_change_is_marked_for_a_second() -> None:
    now = [0.0]
    screen = Screen(filled(now), title="demo")
    assert any(text.startswith("▼") for text in picture(screen, 100, 35))
    now[0] = 1.1
    assert not any(text.startswith("▼") for text in picture(screen, 100, 35))


def test_a_pending_entry_is_named_and_changes_no_balance() -> None:
    activity = filled([0.0])
    held = replace(balance(1), before_minor=12_345, available_after_minor=12_245)
    activity.add_balances([replace(held, entry=replace(held.entry, status=EntryStatus.PENDING))])
    (text,) = [text for text in picture(Screen(activity, title="demo"), 140, 60) if "(pending)" in text]
    assert "123.45 EUR" in text
    assert not text.startswith(("▲", "▼"))
    assert "0.00" not in text


def test_an_account_keeps_its_row_until_it_was_still_for_longest() -> None:
    slots = Slots()

    def chosen(**changed_s: float) -> list[str]:
        shown = [ShownBalance(balance(int(name[1:])), at) for name, at in changed_s.items()]
        return [item.balance.scope_id for item in slots.choose(shown, 2)]

    assert chosen(a1=1.0, a2=2.0) == ["a1", "a2"]
    assert chosen(a1=3.0, a2=2.0) == ["a1", "a2"]
    assert chosen(a1=3.0, a2=2.0, a3=4.0) == ["a1", "a3"]
    assert chosen(a1=3.0, a2=5.0, a3=4.0) == ["a2", "a3"]


@pytest.mark.parametrize(
    ("values", "fraction", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        (list(map(float, range(1, 101))), 0.99, 99.0),
    ],
)
def test_percentile(values: list[float], fraction: float, expected: float | None) -> None:
    assert percentile(values, fraction) == expected


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    activity = Activity(lambda: now[0])
    for second in range(1, 21):
        now[0] = float(second)
        activity.add_events(10)
    assert 8 <= activity.totals().events_per_s <= 12
    now[0] = 100.0
    assert activity.totals().events_per_s == 0


def test_a_cell_is_cut_by_width_not_by_characters() -> None:
    assert line([Cell("東京都庁"), Cell("1")], (5, 3), frozenset({1})).plain == "東京…    1"
