"""Payment limits: whether a transfer may go out, beside those that went out or are still on their way.

             |<----- the payer's day, in their time zone ----->|
day:         0:00 . . . . t . . t . . . . . . . now            24:00
                          what was asked for today and has not failed counts

moved:       |<--- 24 h --->|   until a day after a change of the time zone the last 24 hours count too, so that a new
             t . 0:00 . t . now day does not begin by moving

new payee:   first transfer to them |--- new_payee_hours ---| from here on only the day counts
                                    what goes to them in this time has a limit of its own
"""

from dataclasses import dataclass

from iso4217 import Currency

from streambank.bank.events import PaymentLimit, to_decimal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Used:
    """What counts already: transfers of the day, and all to this payee. Those that failed do not.

    But ``day_count`` has those to an address that failed once the money was held for it: to pay and to cancel tells
    whether somebody has the address, and would do so for any number of them.

    ``first_to_payee_ms``: when the first transfer to the payee was asked for; None: this is it.
    """

    day_minor: int = 0
    day_count: int = 0
    payee_minor: int = 0
    first_to_payee_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The limit that would be passed, and how that is said to the payer."""

    limit: str
    detail: str


def counts_from_ms(day_start_ms: int, zone_changed_ms: int | None, now_ms: int) -> int:
    """From when on a transfer counts into the day's limits. ``zone_changed_ms``: when the payer last moved."""
    if zone_changed_ms is not None and now_ms < zone_changed_ms + DAY_MS:
        return min(day_start_ms, now_ms - DAY_MS)
    return day_start_ms


def is_new_payee(limit: PaymentLimit, used: Used, now_ms: int) -> bool:
    """Whether the payee is still new to the payer."""
    first_ms = used.first_to_payee_ms
    return first_ms is None or now_ms < first_ms + limit.new_payee_hours * HOUR_MS


def exceeded(limit: PaymentLimit, amount_minor: int, used: Used, now_ms: int) -> Exceeded | None:
    """The first limit that the transfer would pass; None: it may go out."""
    currency = limit.currency
    if _passes(amount_minor, limit.per_transfer_minor):
        return Exceeded("per-transfer", f"one transfer is at most {_money(limit.per_transfer_minor, currency)}")
    if limit.per_day_count is not None and used.day_count + 1 > limit.per_day_count:
        return Exceeded("per-day-count", f"at most {limit.per_day_count} transfers a day in {currency.value}")
    if _passes(used.day_minor + amount_minor, limit.per_day_minor):
        return Exceeded(
            "per-day",
            f"at most {_money(limit.per_day_minor, currency)} a day, of which"
            f" {_money(used.day_minor, currency)} have gone out or are on their way",
        )
    if is_new_payee(limit, used, now_ms) and _passes(used.payee_minor + amount_minor, limit.new_payee_minor):
        return Exceeded(
            "new-payee",
            f"at most {_money(limit.new_payee_minor, currency)} to a payee who is new, in their first"
            f" {limit.new_payee_hours} hours",
        )
    return None


def _passes(amount_minor: int, limit_minor: int | None) -> bool:
    return limit_minor is not None and amount_minor > limit_minor


def _money(minor: int | None, currency: Currency) -> str:
    return f"{to_decimal(minor or 0, currency)} {currency.value}"
