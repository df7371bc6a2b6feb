"""The settings of the payments service, checked once when they are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from iso4217 import Currency

from streambank.bank.events import PaymentLimit, parse_currency
from streambank.errors import StreambankError
from streambank.service.backoff import Backoff

Screening: TypeAlias = Literal["limits", "topic"]

DAY_MS = 86_400_000


class SettingsError(StreambankError):
    """A setting that cannot work; the text names it and says what it takes."""


def _limit(code: str, transfer: int, day: int, new_payee: int) -> tuple[Currency, PaymentLimit]:
    currency = parse_currency(code)
    limit = PaymentLimit(
        currency=currency,
        per_transfer_minor=transfer,
        per_day_minor=day,
        per_day_count=DAY_COUNT,
        new_payee_minor=new_payee,
    )
    return currency, limit


DAY_COUNT = 50
"""Transfers of one currency that go out in a day, unless the user says otherwise: many times what people do by hand."""

DEFAULT_LIMITS: Mapping[Currency, PaymentLimit] = dict(
    [
        _limit("EUR", 10_000_00, 20_000_00, 2_000_00),
        _limit("USD", 10_000_00, 20_000_00, 2_000_00),
        _limit("GBP", 10_000_00, 20_000_00, 2_000_00),
        _limit("CHF", 10_000_00, 20_000_00, 2_000_00),
        _limit("CZK", 250_000_00, 500_000_00, 50_000_00),
        _limit("PLN", 40_000_00, 80_000_00, 8_000_00),
        _limit("JPY", 1_500_000, 3_000_000, 300_000),
    ]
)
"""What banks let out in instant payments by default: thousands, and a tenth of a day's sum to whom one never paid."""


REPEAT = Backoff(first_ms=30_000, most_ms=900_000)
"""Instructions get lost nowhere: to ask again is for what nobody foresaw, and a ledger that is down is not flooded."""

WAIT_MS_MAX = round(timedelta(days=90).total_seconds() * 1000)
"""Money that is held for a quarter of a year is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsSettings:
    """How transfers are screened, what they wait for and how long.

    Attributes:
        screening: ``topic``: each transfer waits for a TransferScreened, and is rejected without one. ``limits``: the
            payment limits are all that is looked at.
        limits: those that users have not set themselves, by currency; other currencies have ``day_count`` only.
        day_count: transfers a day in a currency without any limits.
        screening_wait_ms: for screening's answer. A topology answers within a second; one that restarts, within ten.
        ledger_wait_ms: for the first answer of the ledger: a service that restarts is back by then, and a payer who
            waits for longer has gone.
        payee_wait_ms: how long money is held for a payee who has no account yet.
        request_wait_ms: how long a request for money is open.
        hold_margin_ms: how long after that the ledger ends a hold by itself, should payments not ask for it.
        repeat: between repeated instructions, for as long as the ledger does not answer.
        catch_up_ms: an occurrence of a standing order that is later than this is rejected and not made.
    """

    screening: Screening = "limits"
    limits: Mapping[Currency, PaymentLimit] = field(default_factory=lambda: DEFAULT_LIMITS)
    day_count: int = DAY_COUNT
    screening_wait_ms: int = 30_000
    ledger_wait_ms: int = 120_000
    payee_wait_ms: int = 7 * DAY_MS
    request_wait_ms: int = 14 * DAY_MS
    hold_margin_ms: int = DAY_MS
    repeat: Backoff = REPEAT
    catch_up_ms: int = 7 * DAY_MS

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            SettingsError: one cannot work.
        """
        if self.screening not in ("limits", "topic"):
            raise SettingsError(f"screening: {self.screening!r} is neither limits nor topic")
        for name in ("screening_wait_ms", "ledger_wait_ms", "payee_wait_ms", "request_wait_ms", "hold_margin_ms"):
            wait_ms = getattr(self, name)
            if not 0 < wait_ms <= WAIT_MS_MAX:
                raise SettingsError(f"{name}: {wait_ms} is not between 1 and {WAIT_MS_MAX} ms")
        if self.catch_up_ms < 0 or self.day_count < 0:
            raise SettingsError("catch_up_ms and day_count are not less than 0")

    def default_limit(self, currency: Currency) -> PaymentLimit:
        """The limits of a user who has set none of their own in that currency."""
        known = self.limits.get(currency)
        return PaymentLimit(currency=currency, per_day_count=self.day_count) if known is None else known
