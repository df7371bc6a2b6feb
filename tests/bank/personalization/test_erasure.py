"""What is left of somebody who was erased: that they were."""

import pytest
from tests.bank.personalization.support import BODIES, Bench, account, others_record, profile, refusal, write
from tests.bank.transactions.support import forget, know

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_THRESHOLDS,
    USER_GOALS,
    USER_LIMITS,
    USER_PROFILE,
    Direction,
    Threshold,
)

OLD = Threshold(threshold_id="old", direction=Direction.BELOW, level_minor=3)


def plan_everything(bench: Bench, user_id: str, account_id: str) -> None:
    bench.threshold(user_id, account_id=account_id)
    bench.threshold(user_id, account_id=None, currency="EUR")
    for which in BODIES:
        more = {"account_ids": [account_id]} if which == "savings" else {}
        bench.goal(which, user_id, **more)
    bench.limit("EUR", 0, user_id, per_day_count=1)


def test_everything_goes_and_the_log_is_told(bench: Bench) -> None:
    plan_everything(bench, "ada", "everyday")
    bench.settle()
    plan_everything(bench, "cleo", "cleos")
    bench.settle()
    both = bench.rows()
    forget(bench.log, "ada")
    write(bench.log, ACCOUNT, "everyday", None)
    write(bench.log, ACCOUNT, "dollars", None)
    write(bench.log, USER_PROFILE, "ada", None)
    bench.settle()
    assert bench.thresholds() == []
    assert all(bench.goals(which) == [] for which in BODIES)
    left = bench.rows()
    for table in ("threshold", "threshold_scope", "goal", "payment_limit"):
        assert left[table] == both[table] // 2, table
    assert (left["account"], left["unread_record"]) == (1, 0)
    for scope_id in ("everyday", "ada:EUR"):
        assert bench.levels_published(scope_id)[-1] is None
    assert bench.levels_published("cleos") == [[10_000]]
    assert bench.published(USER_GOALS).count(None) == 1
    assert bench.published(USER_LIMITS).count(None) == 1
    assert refusal(bench.threshold)[:2] == (403, "user-erased")
    assert refusal(lambda: bench.goal("budgets"))[:2] == (403, "user-erased")
    assert refusal(lambda: bench.limit("EUR", 0))[:2] == (403, "user-erased")
    assert refusal(lambda: bench.what_if(account_id=None, currency="EUR"))[:2] == (403, "user-erased")
    assert len(bench.thresholds("cleo")) == 2


def test_who_was_erased_stays_so(bench: Bench) -> None:
    """Topics are read in no order among each other: what was said before may come after."""
    forget(bench.log, "ada")
    bench.settle()
    know(bench.log, "ada")
    write(bench.log, USER_PROFILE, "ada", profile("ada", "Asia/Tokyo"))
    write(bench.log, ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", OLD))
    bench.settle()
    assert refusal(bench.threshold)[:2] == (403, "user-erased")
    assert bench.thresholds() == []
    assert bench.levels_published() == [[3], None]
    forget(bench.log, "ada")
    bench.settle()
    assert bench.published(USER_GOALS) == [None]


def test_somebody_who_never_was_here(bench: Bench) -> None:
    forget(bench.log, "dan")
    bench.settle()
    assert refusal(lambda: bench.threshold("dan", account_id=None, currency="EUR"))[:2] == (403, "user-erased")
    assert bench.published(USER_LIMITS) == [None]


@pytest.mark.parametrize("first", ["profile", "key"])
def test_whichever_is_known_first(bench: Bench, first: str) -> None:
    if first == "profile":
        bench.hear(USER_PROFILE, "dan", profile("dan", "Asia/Tokyo"))
        assert refusal(lambda: bench.threshold("dan", account_id=None, currency="EUR"))[:2] == (
            503,
            "user-not-known-yet",
        )
        know(bench.log, "dan")
    else:
        know(bench.log, "dan")
        bench.hear(USER_PROFILE, "dan", profile("dan", "Asia/Tokyo"))
    bench.hear(ACCOUNT, "dans", account("dans", "dan"))
    bench.clock.now_ms += 4 * 3_600_000
    assert str(bench.goal("savings", "dan", account_ids=["dans"]).starts_on) == "2026-11-25"
