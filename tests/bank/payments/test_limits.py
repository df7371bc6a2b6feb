import pytest
from iso4217 import Currency

from streambank.bank.events import PaymentLimit
from streambank.bank.payments.limits import DAY_MS, HOUR_MS, Used, counts_from_ms, exceeded, is_new_payee

EUR = Currency("EUR")
ALL = PaymentLimit(
    currency=EUR,
    per_transfer_minor=100,
    per_day_minor=250,
    per_day_count=3,
    new_payee_minor=60,
    new_payee_hours=24,
)
NOW_MS = 1_000 * HOUR_MS
OLD_MS = NOW_MS - 24 * HOUR_MS
"""The payee is known from here on."""


@pytest.mark.parametrize(
    ("limit", "amount", "used", "over"),
    [
        (PaymentLimit(currency=EUR), 10**15, Used(10**15, 10**6, 10**15, None), None),
        (ALL, 100, Used(first_to_payee_ms=OLD_MS), None),
        (ALL, 101, Used(first_to_payee_ms=OLD_MS), "per-transfer"),
        (ALL, 50, Used(200, 2, 0, OLD_MS), None),
        (ALL, 51, Used(200, 2, 0, OLD_MS), "per-day"),
        (ALL, 1, Used(3, 3, 0, OLD_MS), "per-day-count"),
        (ALL, 60, Used(), None),
        (ALL, 61, Used(), "new-payee"),
        (ALL, 30, Used(30, 1, 30, NOW_MS - 1), None),
        (ALL, 31, Used(30, 1, 30, NOW_MS - 1), "new-payee"),
        (ALL, 31, Used(0, 0, 30, OLD_MS + 1), "new-payee"),
        (ALL, 31, Used(0, 0, 30, OLD_MS), None),
        (PaymentLimit(currency=EUR, per_transfer_minor=0), 1, Used(), "per-transfer"),
        (PaymentLimit(currency=EUR, per_day_count=0), 1, Used(), "per-day-count"),
        (PaymentLimit(currency=EUR, new_payee_minor=0, new_payee_hours=0), 1, Used(first_to_payee_ms=NOW_MS), None),
    ],
)
def test_limits(limit: PaymentLimit, amount: int, used: Used, over: str | None) -> None:
    found = exceeded(limit, amount, used, NOW_MS)
    assert (None if found is None else found.limit) == over


@pytest.mark.parametrize(
    ("day_start_ms", "zone_changed_ms", "counts_from"),
    [
        (NOW_MS - 5, None, NOW_MS - 5),
        (NOW_MS - 5, NOW_MS, NOW_MS - DAY_MS),
        (NOW_MS - 5, NOW_MS - DAY_MS + 1, NOW_MS - DAY_MS),
        (NOW_MS - 5, NOW_MS - DAY_MS, NOW_MS - 5),
        # The clocks were put back: this day has 25 hours.
        (NOW_MS - 25 * HOUR_MS + 1, NOW_MS, NOW_MS - 25 * HOUR_MS + 1),
    ],
)
def test_a_new_day_does_not_begin_by_moving(day_start_ms: int, zone_changed_ms: int | None, counts_from: int) -> None:
    assert counts_from_ms(day_start_ms, zone_changed_ms, NOW_MS) == counts_from


def test_a_limit_is_said_in_words() -> None:
    found = exceeded(ALL, 51, Used(200, 2, 0, OLD_MS), NOW_MS)
    assert found is not None
    assert found.detail == "at most 2.50 EUR a day, of which 2.00 EUR have gone out or are on their way"


def test_a_payee_is_new_until_the_hours_are_over() -> None:
    assert is_new_payee(ALL, Used(), NOW_MS)
    assert is_new_payee(ALL, Used(first_to_payee_ms=OLD_MS + 1), NOW_MS)
    assert not is_new_payee(ALL, Used(first_to_payee_ms=OLD_MS), NOW_MS)
