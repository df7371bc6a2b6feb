"""When a threshold fires, as tables: the balances that an account goes through, and the entries that raise an alert."""

import pytest
from tests.bank.topologies.samples import balance, thresholds

from streambank.bank.crossing import Watch, Watched
from streambank.bank.events import Direction, Origin, Threshold

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


def test_the_alert_derives_from_threshold_scope_and_entry() -> None:
    def alert_id(threshold_id: str, number: int) -> str:
        threshold = Threshold(threshold_id=threshold_id, direction=BELOW, level_minor=100)
        event = balance(number, 150, 80, Origin.LIVE)
        (alert,) = Watch.after("account", Watched(event, thresholds(threshold)), Watch()).raised
        assert (alert.before_minor, alert.after_minor, alert.entry) == (150, 80, event.entry)
        return alert.alert_id

    assert alert_id("t", 2) == alert_id("t", 2)
    assert len({alert_id("t", 2), alert_id("t", 3), alert_id("other", 2)}) == 3
