"""Payment limits: versions that go on, and what is published."""

import pytest
from tests.bank.personalization.support import EUR, USD, Bench, caller, refusal

from streambank.bank.events import USER_LIMITS, PaymentLimit
from streambank.bank.personalization.schemas import PaymentLimitList, PaymentLimitView


def now(bench: Bench, currency: str = "EUR", user_id: str = "ada") -> PaymentLimitView:
    body = bench.look(lambda c: bench.service.get_limit(c, caller(user_id), currency)).body
    assert isinstance(body, PaymentLimitView)
    return body


def currencies(bench: Bench, user_id: str = "ada") -> list[str]:
    body = bench.look(lambda c: bench.service.list_limits(c, caller(user_id))).body
    assert isinstance(body, PaymentLimitList)
    return [one.currency for one in body.items]


def test_limits_are_set_and_taken_away(bench: Bench) -> None:
    assert (now(bench).version, now(bench).per_day_minor, currencies(bench)) == (0, None, [])
    first = bench.limit("EUR", 0, per_transfer_minor=50_000, per_day_count=3)
    assert (first.version, first.per_transfer_minor, first.per_day_count, first.new_payee_hours) == (1, 50_000, 3, 24)
    bench.limit("USD", 0, new_payee_minor=0, new_payee_hours=48)
    second = bench.limit("EUR", 1, per_day_minor=90_000)
    assert (second.version, second.per_transfer_minor, second.per_day_minor) == (2, None, 90_000)
    assert currencies(bench) == ["EUR", "USD"]
    assert currencies(bench, "bob") == []
    assert now(bench, user_id="bob").version == 0
    bench.do(lambda c: bench.service.remove_limit(c, caller(), "EUR", 2))
    assert (now(bench).version, now(bench).per_day_minor, currencies(bench)) == (3, None, ["USD"])
    bench.settle()
    dollars = PaymentLimit(currency=USD, new_payee_minor=0, new_payee_hours=48)
    assert [event.limits for event in bench.published(USER_LIMITS) if event is not None] == [
        (PaymentLimit(currency=EUR, per_transfer_minor=50_000, per_day_count=3),),
        (PaymentLimit(currency=EUR, per_transfer_minor=50_000, per_day_count=3), dollars),
        (PaymentLimit(currency=EUR, per_day_minor=90_000), dollars),
        (dollars,),
    ]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_change_of_another_version_is_refused(bench: Bench, expected: int) -> None:
    bench.limit("EUR", 0, per_day_count=1)
    bench.limit("EUR", 1, per_day_count=2)
    assert refusal(lambda: bench.limit("EUR", expected, per_day_count=9))[:2] == (412, "version-mismatch")
    # A limit that was taken away and set again is not what it was.
    bench.do(lambda c: bench.service.remove_limit(c, caller(), "EUR", 2))
    assert refusal(lambda: bench.limit("EUR", 0, per_day_count=9))[:2] == (412, "version-mismatch")
    assert now(bench).per_day_count is None


def test_a_currency_that_is_none(bench: Bench) -> None:
    for code in ("ZZZ", "XAU"):
        assert refusal(lambda code=code: now(bench, code)) == (404, "not-found", [])  # type: ignore[misc]
        assert refusal(lambda code=code: bench.limit(code, 0)) == (404, "not-found", [])  # type: ignore[misc]
    assert refusal(lambda: bench.limit("EUR", 0, "nobody"))[:2] == (503, "user-not-known-yet")
