"""When a threshold fires, as tables: the balances that an account goes through, and the entries that raise an alert."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.bank.topologies.samples import MOMENT, balance, end, entry, hold, thresholds

from streambank.bank.crossing import Watch, Watched
from streambank.bank.events import Balance, BalanceChanged, Direction, Origin, Threshold
from streambank.bank.topologies.balances import account_balance, counts

BELOW, ABOVE = Direction.BELOW, Direction.ABOVE


def raised(threshold: Threshold, path: list[int], origins: dict[int, Origin] | None = None) -> list[int]:
    """Which entries (0 is the first) of an account that goes through the balances ``path`` raise an alert."""
    watch, alerts, before = Watch(), [], 0
    for number, after in enumerate(path):
        event = balance(number + 1, before, after, (origins or {}).get(number, Origin.LIVE))
        watch = Watch.after("account", Watched(event, thresholds(threshold)), watch)
        alerts += [number] if watch.raised else []
        before = after
    return alerts


@pytest.mark.parametrize(
    ("direction", "level", "margin", "path", "alerts"),
    [
        pytest.param(BELOW, 100, 0, [150, 99], [1], id="fires on crossing"),
        pytest.param(BELOW, 100, 0, [150, 100], [], id="at the level is not below it"),
        pytest.param(BELOW, 100, 0, [150, 90, 80, 70], [1], id="once while it stays below"),
        pytest.param(BELOW, 100, 0, [150, 90, 100, 90], [1, 3], id="again after being back at the level"),
        pytest.param(BELOW, 100, 20, [150, 90, 119, 90, 120, 90], [1, 5], id="again only after the margin"),
        pytest.param(BELOW, 100, 0, [50, 40], [], id="a new account below was never above"),
        pytest.param(BELOW, 0, 0, [10, -1, -5, 5, -1], [1, 4], id="overdrawn"),
        pytest.param(BELOW, 100, 20, [110, 90], [], id="armed only once at level and margin"),
        pytest.param(ABOVE, 100, 0, [50, 101], [1], id="above fires on crossing"),
        pytest.param(ABOVE, 100, 0, [50, 100], [], id="at the level is not above it"),
        pytest.param(ABOVE, 100, 20, [50, 110, 81, 110, 80, 110], [1, 5], id="above again after the margin"),
        pytest.param(ABOVE, 100, 0, [150, 160], [], id="a new account above was never below"),
    ],
)
def test_crossings(direction: Direction, level: int, margin: int, path: list[int], alerts: list[int]) -> None:
    threshold = Threshold(threshold_id="t", direction=direction, level_minor=level, rearm_margin_minor=margin)
    assert raised(threshold, path) == alerts


def test_history_never_fires_but_counts_for_the_side() -> None:
    threshold = Threshold(threshold_id="t", direction=BELOW, level_minor=100)
    imported = dict.fromkeys(range(4), Origin.IMPORT)
    assert raised(threshold, [150, 90, 150, 90, 80], imported) == []
    assert raised(threshold, [150, 90, 150, 140, 80], imported) == [4]


@pytest.mark.parametrize(("before", "alerts"), [(150, 1), (90, 0)])
def test_a_new_threshold_starts_by_the_side_the_balance_is_on(before: int, alerts: int) -> None:
    threshold = Threshold(threshold_id="new", direction=BELOW, level_minor=100)
    event = balance(7, before, 80, Origin.LIVE)
    assert len(Watch.after("account", Watched(event, thresholds(threshold)), Watch()).raised) == alerts


def test_a_changed_level_starts_anew() -> None:
    low = Threshold(threshold_id="t", direction=BELOW, level_minor=100)
    watch = Watch.after("account", Watched(balance(1, 0, 150, Origin.LIVE), thresholds(low)), Watch())
    high = Threshold(threshold_id="t", direction=BELOW, level_minor=200)
    watch = Watch.after("account", Watched(balance(2, 150, 140, Origin.LIVE), thresholds(high)), watch)
    assert watch.raised == ()


# Balances with the minute of their entry. The cool-down is ten minutes.
#
#   minute:  0     1     5     6            11
#   balance: 150   90    150   90           90
#   alert:         FIRES       (cools down) FIRES
@pytest.mark.parametrize(
    ("path", "alerts"),
    [
        pytest.param([(0, 150), (1, 90), (5, 150), (6, 90)], [1], id="no second one within it"),
        pytest.param([(0, 150), (1, 90), (5, 150), (11, 90)], [1, 3], id="its end is outside"),
        pytest.param([(0, 150), (1, 90), (5, 150), (6, 90), (10, 80), (11, 90)], [1, 5], id="put off, not lost"),
        pytest.param([(0, 150), (1, 90), (5, 150), (6, 90), (11, 150), (12, 90)], [1, 5], id="over before it is told"),
        pytest.param([(0, 150), (1, 90), (11, 80), (30, 70)], [1], id="nothing is told again by time alone"),
        pytest.param([(0, 150), (1, 90), (5, 150), (12, 90), (13, 150), (21, 90)], [1, 3], id="from the last alert on"),
        pytest.param([(0, 150), (9, 90), (9, 150), (2, 90), (18, 90), (19, 90)], [1, 5], id="an entry that is late"),
    ],
)
def test_cool_down(path: list[tuple[int, int]], alerts: list[int]) -> None:
    threshold = Threshold(threshold_id="t", direction=BELOW, level_minor=100, cooldown_s=600)
    watch, found, before = Watch(), [], 0
    for number, (minute, after) in enumerate(path):
        moment = MOMENT + timedelta(minutes=minute)
        event = replace(balance(number + 1, before, after, Origin.LIVE), occurred_at=moment)
        watch = Watch.after("account", Watched(event, thresholds(threshold)), watch)
        found += [number] if watch.raised else []
        before = after
    assert found == alerts


def test_history_disarms_and_starts_no_cool_down() -> None:
    threshold = Threshold(threshold_id="t", direction=BELOW, level_minor=100, cooldown_s=600)
    assert raised(threshold, [150, 90, 150, 90], {1: Origin.IMPORT}) == [3]
    assert raised(threshold, [150, 90, 150, 90, 80], {3: Origin.IMPORT}) == [1]


HOLD = hold(2, 60)
BOOKED = replace(entry(4, -60), held_minor=60)
EXPECTED = hold(2, -60)


@pytest.mark.parametrize(
    ("changes", "on_balance", "on_available"),
    [
        # The entries after a first one of 100, and the places of those that fire "below 50".
        pytest.param([HOLD], [], [1], id="a hold"),
        pytest.param([HOLD, end(HOLD, 3), BOOKED], [3], [1], id="a hold that is booked fires once"),
        pytest.param([HOLD, end(HOLD, 3), entry(4, -60)], [3], [1, 3], id="a hold that is voided, then a debit"),
        pytest.param([HOLD, end(HOLD, 3), hold(4, 60)], [], [1, 3], id="a hold that is voided, then another"),
        pytest.param([hold(2, 30), hold(3, 30)], [], [2], id="two holds together"),
        pytest.param([hold(2, 30), entry(3, -40)], [], [2], id="a hold and a debit"),
        pytest.param([entry(2, -60), hold(3, 10)], [1], [1], id="a hold after the alert"),
        pytest.param([EXPECTED, entry(3, -60)], [2], [2], id="what is expected does not count"),
        pytest.param([EXPECTED, end(EXPECTED, 3), entry(4, -40)], [], [], id="nor that it no longer is"),
        pytest.param([HOLD, entry(3, 10), entry(4, 30), entry(5, -31)], [], [1, 4], id="armed again by money"),
    ],
)
def test_what_is_watched(changes: list[BalanceChanged], on_balance: list[int], on_available: list[int]) -> None:
    below_50 = Threshold(threshold_id="balance", direction=BELOW, level_minor=50)
    both = (below_50, Threshold(threshold_id="available", direction=BELOW, level_minor=50, on_available=True))
    alerts: dict[str, list[int]] = {"balance": [], "available": []}
    for number, watch in enumerate(watches([entry(1, 100), *changes], both)):
        for alert in watch.raised:
            alerts[alert.threshold.threshold_id].append(number)
            assert alert.after_minor < 50
    assert alerts == {"balance": on_balance, "available": on_available}


OTHERS = entry(9, -10, account_id="other")


@pytest.mark.parametrize(
    ("changes", "alerts"),
    [
        # The entries of a total after a first one of 100, and the places of those that fire "below 50".
        pytest.param([HOLD, OTHERS, end(HOLD, 3), BOOKED], [1], id="before the end"),
        pytest.param([HOLD, end(HOLD, 3), OTHERS, BOOKED], [1], id="between the end and the booking"),
        pytest.param([HOLD, end(HOLD, 3), OTHERS, replace(BOOKED, amount_minor=70)], [1], id="and more is booked"),
        pytest.param([HOLD, end(HOLD, 3), BOOKED, OTHERS], [1], id="after the booking"),
        pytest.param([HOLD, end(HOLD, 3), OTHERS, entry(4, -60)], [1, 4], id="the hold was voided"),
        pytest.param([HOLD, end(HOLD, 3), entry(9, -60, account_id="other")], [1, 3], id="and another takes as much"),
    ],
)
def test_a_hold_that_is_booked_is_told_once_whatever_another_account_does(
    changes: list[BalanceChanged], alerts: list[int]
) -> None:
    below_50 = Threshold(threshold_id="t", direction=BELOW, level_minor=50, on_available=True)
    found = watches([entry(1, 100), *changes], (below_50,))
    assert [number for number, watch in enumerate(found) if watch.raised] == alerts


def test_above_a_hold_that_is_voided_is_told_by_the_next_entry() -> None:
    above_80 = Threshold(threshold_id="t", direction=ABOVE, level_minor=80, on_available=True)
    found = watches([entry(1, 100), HOLD, end(HOLD, 3), entry(4, 5)], (above_80,))
    assert [number for number, watch in enumerate(found) if watch.raised] == [3]


@pytest.mark.parametrize("on_available", [False, True])
def test_the_first_hold_on_a_new_account_arms_nothing(on_available: bool) -> None:
    threshold = Threshold(threshold_id="t", direction=BELOW, level_minor=0, on_available=on_available)
    path = [hold(1, 60), end(hold(1, 60), 2), replace(entry(3, -60), held_minor=60), entry(4, -10)]
    assert [watch.raised for watch in watches(path, (threshold,))] == [(), (), (), ()]


def watches(changes: list[BalanceChanged], watched: tuple[Threshold, ...]) -> list[Watch]:
    """The watch after each of an account's entries, as the topologies make it."""
    found, watch, before = [], Watch(), None
    for change in changes:
        watch = replace(watch, raised=())
        if counts("account", change):
            after: Balance = account_balance("account", change, before)
            watch, before = Watch.after("account", Watched(after, thresholds(*watched)), watch), after
        found.append(watch)
    return found


def test_the_alert_derives_from_threshold_scope_and_entry() -> None:
    def alert_id(threshold_id: str, number: int) -> str:
        threshold = Threshold(threshold_id=threshold_id, direction=BELOW, level_minor=100)
        event = balance(number, 150, 80, Origin.LIVE)
        (alert,) = Watch.after("account", Watched(event, thresholds(threshold)), Watch()).raised
        assert (alert.before_minor, alert.after_minor, alert.entry) == (150, 80, event.entry)
        return alert.alert_id

    assert alert_id("t", 2) == alert_id("t", 2)
    assert len({alert_id("t", 2), alert_id("t", 3), alert_id("other", 2)}) == 3
