"""Thresholds: who may set which, what is published, and what becomes of what others write to the topic."""

from random import Random
from typing import Any

import pytest
from tests.bank.personalization.support import EUR, USD, Bench, account, caller, others_record, refusal, write
from tests.bank.transactions.support import NOON, forget, records

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_THRESHOLDS,
    AccountThresholds,
    Currency,
    Direction,
    Scope,
    Threshold,
    total_id,
)
from streambank.bank.personalization import thresholds
from streambank.bank.personalization.schemas import ThresholdBody
from streambank.bank.reading import latest
from streambank.service.http.answers import Answer


def other(level_minor: int, threshold_id: str | None = None) -> Threshold:
    """A threshold that another wrote."""
    name = threshold_id or f"theirs-{level_minor}"
    return Threshold(threshold_id=name, direction=Direction.BELOW, level_minor=level_minor)


def levels(bench: Bench, user_id: str = "ada") -> list[int]:
    return sorted(one.level_minor for one in bench.thresholds(user_id))


def test_a_threshold_is_set_published_changed_and_removed(bench: Bench) -> None:
    made = bench.threshold(rearm_margin_minor=2_000, cooldown_s=3_600, on_available=True)
    assert (made.scope, made.account_id, made.currency, made.version) == (Scope.ACCOUNT, "everyday", "EUR", 1)
    bench.settle()
    [event] = bench.published(ACCOUNT_THRESHOLDS)
    assert isinstance(event, AccountThresholds)
    threshold = Threshold(
        threshold_id=made.id,
        direction=Direction.BELOW,
        level_minor=10_000,
        rearm_margin_minor=2_000,
        cooldown_s=3_600,
        on_available=True,
    )
    assert (event.user_id, event.scope_id, event.currency) == ("ada", "everyday", EUR)
    assert event.thresholds == (threshold,)
    second = bench.threshold(level_minor=50_000, direction="above")
    assert [one.id for one in bench.thresholds()] == [made.id, second.id]
    bench.remove(made.id, 1)
    bench.settle()
    bench.remove(second.id)
    bench.settle()
    assert bench.levels_published() == [[10_000], [10_000, 50_000], [50_000], []]
    assert bench.thresholds() == []


def test_a_total_in_each_currency(bench: Bench) -> None:
    made = [bench.threshold(account_id=None, currency=code) for code in ("EUR", "USD")]
    assert [(one.scope, one.account_id, one.currency) for one in made] == [
        (Scope.TOTAL, None, "EUR"),
        (Scope.TOTAL, None, "USD"),
    ]
    bench.settle()
    assert bench.levels_published(total_id("ada", USD)) == [[10_000]]


def test_a_change_is_refused_where_somebody_was_faster(bench: Bench) -> None:
    made = bench.threshold()
    service = bench.service
    body = ThresholdBody(account_id="everyday", direction=Direction.BELOW, level_minor=7)

    def change(to: ThresholdBody, expected: int) -> Answer:
        return bench.do(lambda c: service.replace_threshold(c, caller(), made.id, to, expected))

    assert change(body, 1).version == 2
    assert refusal(lambda: change(body, 1))[0] == 412
    assert refusal(lambda: bench.remove(made.id, 1))[0] == 412
    moved = body.model_copy(update={"account_id": "dollars"})
    assert refusal(lambda: change(moved, 2)) == (422, "invalid-field", ["/account_id"])
    bench.settle()
    assert bench.levels_published() == [[10_000], [7]]


@pytest.mark.parametrize(
    ("user_id", "body", "expected"),
    [
        ("ada", {"account_id": "cleos"}, (422, "unknown-account", ["/account_id"])),
        ("ada", {"account_id": "nowhere"}, (422, "unknown-account", ["/account_id"])),
        ("bob", {}, (403, "forbidden", [])),
        ("cleo", {}, (422, "unknown-account", ["/account_id"])),
        ("ada", {"currency": "USD"}, (422, "currency-mismatch", ["/currency"])),
        ("ada", {"account_id": None}, (422, "invalid-field", ["/currency"])),
        ("ada", {"account_id": None, "currency": "ZZZ"}, (422, "invalid-field", ["/currency"])),
        ("nobody", {}, (503, "user-not-known-yet", [])),
    ],
)
def test_what_cannot_be_set(
    bench: Bench, user_id: str, body: dict[str, Any], expected: tuple[int, str, list[str]]
) -> None:
    assert refusal(lambda: bench.threshold(user_id, **body)) == expected
    bench.settle()
    assert bench.levels_published() == []


def test_a_closed_account(bench: Bench) -> None:
    made = bench.threshold()
    bench.hear(ACCOUNT, "everyday", account("everyday", closed_at=NOON))
    assert refusal(lambda: bench.threshold(level_minor=5)) == (422, "account-closed", ["/account_id"])
    assert [one.id for one in bench.thresholds()] == [made.id]
    bench.hear(ACCOUNT, "everyday", account("everyday"))
    bench.threshold(level_minor=5)


def test_there_are_only_so_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.threshold()
    assert refusal(bench.threshold)[:2] == (409, "threshold-exists")
    bench.threshold(on_available=True)
    monkeypatch.setattr(thresholds, "SCOPE_THRESHOLDS_MAX", 2)
    assert refusal(lambda: bench.threshold(level_minor=1))[:2] == (409, "too-many-thresholds")
    bench.threshold(account_id="dollars")
    monkeypatch.setattr(thresholds, "USER_THRESHOLDS_MAX", 3)
    assert refusal(lambda: bench.threshold(account_id=None, currency="EUR"))[:2] == (409, "too-many-thresholds")
    bench.threshold("cleo", account_id="cleos")


def test_nobody_sees_those_of_others(bench: Bench) -> None:
    made = bench.threshold()
    assert bench.thresholds("bob") == []
    assert refusal(lambda: bench.remove(made.id, user_id="bob"))[:2] == (404, "not-found")


# What others write to the topic.
#
#   seen: the service has read all that it wrote itself when it reads theirs.


def test_a_record_of_another_is_taken_over(bench: Bench) -> None:
    """As on a log where `streambank alerts set` was used before there was a service."""
    bench.hear(ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", other(1), other(2)))
    assert levels(bench) == [1, 2]
    # It was not said again, and what is set from now on keeps it.
    assert bench.levels_published() == [[1, 2]]
    bench.threshold(level_minor=3)
    bench.settle()
    assert bench.levels_published() == [[1, 2], [1, 2, 3]]
    assert levels(bench) == [1, 2, 3]


def test_what_another_wrote_after_us_is_what_holds(bench: Bench) -> None:
    mine = bench.threshold(level_minor=1)
    bench.settle()
    kept = Threshold(threshold_id=mine.id, direction=Direction.BELOW, level_minor=5)
    bench.hear(ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", kept, other(2), event_id="x1"))
    assert [(one.level_minor, one.version) for one in bench.thresholds() if one.id == mine.id] == [(5, 2)]
    bench.hear(ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", other(2), event_id="x2"))
    assert levels(bench) == [2]
    bench.hear(ACCOUNT_THRESHOLDS, "everyday", None)
    assert levels(bench) == []
    assert bench.levels_published() == [[1], [2, 5], [2], None]


def test_what_ours_would_hide_is_said_again_with_it(bench: Bench) -> None:
    """log: theirs, ours -> both, in a third record."""
    write(bench.log, ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", other(2)))
    bench.threshold(level_minor=1)
    bench.settle()
    assert levels(bench) == [1, 2]
    assert bench.levels_published() == [[2], [1], [1, 2]]
    # Now all of ours has been read back, so that theirs holds again as it comes.
    bench.hear(ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", other(3), event_id="x2"))
    assert levels(bench) == [3]


def test_a_tombstone_that_ours_stands_behind_says_nothing(bench: Bench) -> None:
    write(bench.log, ACCOUNT_THRESHOLDS, "everyday", None)
    bench.threshold(level_minor=1)
    bench.settle()
    assert levels(bench) == [1]


def test_a_restart_reads_nothing_twice(bench: Bench) -> None:
    bench.threshold(level_minor=1)
    bench.settle()
    bench.service.close()
    bench.settle()
    assert bench.levels_published() == [[1]]
    assert bench.rows()["unread_record"] == 0


@pytest.mark.parametrize(
    "record",
    [
        others_record("x" * 300, other(1)),
        others_record("everyday", other(1, "t" * 300)),
        others_record("everyday", other(1, "a\x00b")),
        others_record("everyday", other(1, "twice"), other(2, "twice")),
        others_record("everyday", other(1), user_id="u" * 300),
    ],
    ids=range(5),
)
def test_what_cannot_be_stored_is_a_dead_letter_and_stops_nothing(bench: Bench, record: AccountThresholds) -> None:
    write(bench.log, ACCOUNT_THRESHOLDS, record.scope_id, record)
    write(bench.log, ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", other(7), event_id="a\x00b"))
    bench.settle()
    assert levels(bench) == [7]
    [dead] = records(bench.log, "personalization.dlq")
    assert dead.value == ACCOUNT_THRESHOLDS.value.serialize(record)


def test_an_account_that_passes_on_takes_no_thresholds_along(bench: Bench) -> None:
    bench.threshold(level_minor=1)
    bench.settle()
    bench.hear(ACCOUNT, "everyday", account("everyday", "bob"))
    assert bench.thresholds() == []
    bench.threshold("bob", level_minor=2)
    bench.settle()
    # What the former owner's program still says counts no more.
    bench.hear(ACCOUNT_THRESHOLDS, "everyday", others_record("everyday", other(9)))
    forget(bench.log, "ada")
    bench.settle()
    assert levels(bench, "bob") == [2]
    assert bench.levels_published() == [[1], None, [2], [9], [2]]


def test_an_account_that_is_gone(bench: Bench) -> None:
    bench.threshold(level_minor=1)
    bench.settle()
    bench.hear(ACCOUNT, "everyday", None)
    assert bench.thresholds() == []
    assert bench.levels_published() == [[1], None]
    assert refusal(bench.threshold)[:2] == (422, "unknown-account")


CODES = ("EUR", "USD", "CZK", "GBP", "CHF", "PLN", "HUF", "SEK", "NOK", "DKK", "JPY", "CAD", "AUD", "NZD", "INR")


def test_whoever_writes_when_nothing_that_was_set_is_lost(bench: Bench) -> None:
    """Ours and theirs, published and read at random moments: in the end the log and the database say the same, all."""
    for seed, code in enumerate(CODES):
        random, currency = Random(seed), Currency(code)
        scope_id, added = total_id("ada", currency), set()
        for level in range(12):
            match random.choice(["ours", "theirs", "publish", "read"]):
                case "ours":
                    bench.threshold(account_id=None, currency=code, level_minor=level)
                    added.add(level)
                case "theirs":
                    # As `streambank alerts set --add` does: what the log says, and one more.
                    there = latest(bench.log, ACCOUNT_THRESHOLDS).get(scope_id)
                    before = there.thresholds if there is not None else ()
                    record = others_record(
                        scope_id, *before, other(level), event_id=f"x-{seed}-{level}", currency=currency
                    )
                    write(bench.log, ACCOUNT_THRESHOLDS, scope_id, record)
                    added.add(level)
                case "publish":
                    bench.service.relay.step()
                case "read":
                    bench.service.projection.step(0)
        bench.settle()
        last = latest(bench.log, ACCOUNT_THRESHOLDS)[scope_id].thresholds
        assert {one.level_minor for one in last} == added, seed
        assert {one.level_minor for one in bench.thresholds() if one.currency == code} == added, seed
    assert bench.rows()["unread_record"] == 0
