"""When a threshold would have fired, as a table, and from the log."""

from datetime import timedelta
from typing import Any

import pytest
from tests.bank.personalization.support import Bench, balance, refusal, write
from tests.bank.transactions.support import NOON

from streambank.bank.events import ACCOUNT_BALANCE, USER_BALANCE, Balance, Direction, Origin, Scope, Threshold, total_id
from streambank.bank.personalization import what_if
from streambank.bank.personalization.what_if import replay

BELOW = Threshold(threshold_id="t", direction=Direction.BELOW, level_minor=100)
ABOVE = Threshold(threshold_id="t", direction=Direction.ABOVE, level_minor=100)
MARGIN = Threshold(threshold_id="t", direction=Direction.BELOW, level_minor=100, rearm_margin_minor=50)


def walk(*levels: int, first: int = 0, origin: Origin = Origin.LIVE, **more: Any) -> list[Balance]:
    """Balances of an account from ``first`` on, an entry a day, the last one yesterday."""
    befores = (first, *levels)
    count = len(levels)
    return [
        balance(n, before, after, days_ago=count + 1 - n, origin=origin, **more)
        for n, (before, after) in enumerate(zip(befores, levels, strict=False), start=1)
    ]


# The threshold, the balances, and after which entries it would have fired.
#
#   100 - - - o - - - - - o - - - - - - -
#            / \         / \
#           /   o   o---o   o
TABLE: list[tuple[Threshold, list[Balance], list[int]]] = [
    (BELOW, [], []),
    (BELOW, walk(200, 50), [2]),
    (BELOW, walk(200, 50, 40, 30), [2]),
    (BELOW, walk(200, 50, 200, 50), [2, 4]),
    (BELOW, walk(200, 100), []),
    (MARGIN, walk(200, 50, 120, 50, 150, 50), [2, 6]),
    (ABOVE, walk(200, 50, 200), [3]),
    # An account is not below for being new, but the side that the balance is on when the question begins counts.
    (BELOW, walk(50, 40), []),
    (BELOW, [balance(7, 200, 50)], [7]),
    (BELOW, [balance(7, 90, 50)], []),
    # Imported history is asked about too, although no live alert came of it.
    (BELOW, walk(200, 50, origin=Origin.IMPORT), [2]),
]


@pytest.mark.parametrize(("threshold", "balances", "expected"), TABLE, ids=range(len(TABLE)))
def test_when_it_would_have_fired(threshold: Threshold, balances: list[Balance], expected: list[int]) -> None:
    fired, seen = replay(balances, threshold, NOON - timedelta(days=30), NOON)
    assert [one.entry_id for one in fired] == [f"everyday/{n}" for n in expected]
    by_id = {one.entry.entry_id: one for one in balances}
    for one in fired:
        of = by_id[one.entry_id]
        assert (one.before_minor, one.after_minor, one.occurred_at) == (of.before_minor, of.after_minor, of.occurred_at)
        assert one.imported is (of.entry.origin is Origin.IMPORT)
    assert seen == len(balances)


def test_what_lies_outside_of_the_time_moves_the_balance_and_is_not_told_of() -> None:
    balances = walk(200, 50, 200, 50, 200, 50)
    since = balances[2].occurred_at
    fired, seen = replay(balances, BELOW, since, balances[4].occurred_at)
    assert ([one.entry_id for one in fired], seen) == (["everyday/4"], 3)
    # An old entry that came late, in the midst of others.
    late = [*walk(200, 150), balance(3, 150, 50, days_ago=300), balance(4, 50, 40, days_ago=0.5)]
    fired, seen = replay(late, BELOW, NOON - timedelta(days=30), NOON)
    assert ([one.entry_id for one in fired], seen) == ([], 3)


def put(bench: Bench, *balances: Balance, topic: Any = ACCOUNT_BALANCE) -> None:
    for one in balances:
        write(bench.log, topic, one.scope_id, one, one.timestamp)


def test_from_the_log(bench: Bench) -> None:
    put(bench, *walk(20_000, 5_000, first=0))
    put(bench, *walk(1, 2, 3, scope_id="another"))
    put(bench, balance(3, 5_000, 20_000, days_ago=0.5), balance(4, 20_000, 5_000, days_ago=0.2, origin=Origin.IMPORT))
    found = bench.what_if()
    assert (found.count, found.entry_count, found.complete, found.currency) == (2, 4, True, "EUR")
    assert [(one.before_minor, one.after_minor, one.imported) for one in found.fired] == [
        (20_000, 5_000, False),
        (20_000, 5_000, True),
    ]
    assert (found.to_time, found.from_time) == (NOON, NOON - timedelta(days=366))
    later = bench.what_if(from_time=NOON - timedelta(hours=10))
    assert (later.count, later.entry_count) == (1, 1)
    assert bench.what_if(to_time=NOON - timedelta(days=1), from_time=NOON - timedelta(days=9)).count == 1


def test_a_total(bench: Bench) -> None:
    scope: dict[str, Any] = {"scope": Scope.TOTAL, "scope_id": total_id("ada", balance(1, 0, 1).currency)}
    put(bench, *walk(20_000, 5_000, **scope), topic=USER_BALANCE)
    assert bench.what_if(account_id=None, currency="EUR").count == 1
    assert bench.what_if(account_id=None, currency="USD").count == 0
    assert bench.what_if("bob", account_id=None, currency="EUR").count == 0


def test_only_so_much_is_read_and_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bench, *walk(20_000, 5_000, 20_000, 5_000, 20_000, 5_000))
    monkeypatch.setattr(what_if, "READ_RECORDS", 1)
    assert (bench.what_if().count, bench.what_if().complete) == (3, True)
    monkeypatch.setattr(what_if, "FIRED_MAX", 2)
    answer = bench.what_if()
    assert (answer.count, [one.entry_id for one in answer.fired]) == (3, ["everyday/4", "everyday/6"])
    monkeypatch.setattr(what_if, "RECORDS_MAX", 3)
    answer = bench.what_if()
    assert answer.complete is False
    assert answer.count < 3


#   log:  from 6 days ago on, one a day: 20,000  5,000  20,000  5,000  20,000  5,000 | one that is late | nine of today
def test_a_time_long_ago_is_found_whatever_came_since(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bench, *walk(20_000, 5_000, 20_000, 5_000, 20_000, 5_000))
    put(bench, balance(7, 5_000, 4_000, days_ago=2.5))
    put(bench, *(balance(n, 4_000, 4_000, days_ago=0.5) for n in range(8, 17)))
    monkeypatch.setattr(what_if, "READ_RECORDS", 1)
    monkeypatch.setattr(what_if, "RECORDS_MAX", 3)
    answer = bench.what_if(from_time=NOON - timedelta(days=6), to_time=NOON - timedelta(days=4))
    assert ([one.entry_id for one in answer.fired], answer.entry_count, answer.complete) == (["everyday/2"], 3, True)
    # More than can be read: the end of the time.
    answer = bench.what_if(from_time=NOON - timedelta(days=6), to_time=NOON - timedelta(days=1))
    assert ([one.entry_id for one in answer.fired], answer.complete) == (["everyday/6"], False)
    # What came late is found behind it, if not too late.
    monkeypatch.setattr(what_if, "RECORDS_MAX", 4)
    late = bench.what_if(from_time=NOON - timedelta(days=3), to_time=NOON - timedelta(days=1.5))
    assert (late.entry_count, late.complete) == (3, True)


def test_only_a_few_ask_at_once(bench: Bench) -> None:
    for _ in range(2):
        assert bench.service._what_ifs.acquire(blocking=False)
    assert refusal(bench.what_if) == (503, "busy", [])
    bench.service._what_ifs.release()
    assert bench.what_if().count == 0
    # One that is refused for another reason takes no place.
    assert refusal(lambda: bench.what_if(account_id="cleos"))[0] == 422
    assert bench.what_if().count == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"account_id": "cleos"}, (422, "unknown-account", ["/account_id"])),
        ({"account_id": "nowhere"}, (422, "unknown-account", ["/account_id"])),
        ({"account_id": None}, (422, "invalid-field", ["/currency"])),
        ({"from_time": NOON, "to_time": NOON - timedelta(days=1)}, (422, "invalid-field", ["/to_time"])),
        ({"to_time": NOON.replace(year=1)}, (422, "invalid-field", ["/to_time"])),
        ({"from_time": NOON.replace(year=9_999)}, (422, "invalid-field", ["/from_time"])),
    ],
)
def test_what_cannot_be_asked(bench: Bench, body: dict[str, Any], expected: tuple[int, str, list[str]]) -> None:
    assert refusal(lambda: bench.what_if(**body)) == expected


def test_who_shares_an_account_is_told_why_not(bench: Bench) -> None:
    assert refusal(lambda: bench.what_if("bob"))[:2] == (403, "forbidden")
