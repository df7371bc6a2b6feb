"""Setting the same threshold on many accounts at once."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from iso4217 import Currency

from streambank.bank.events import AccountThresholds, Direction, Scope, Threshold
from streambank.bank.events.money import within_int64
from streambank.errors import StreambankError
from streambank.ids import derived_id


class AccountLike(Protocol):
    """What a threshold needs to know of an account."""

    @property
    def account_id(self) -> str:
        """The account's id."""

    @property
    def user_id(self) -> str:
        """The owner's id."""

    @property
    def currency(self) -> Currency:
        """The account's currency."""


def thresholds_for(
    accounts: Iterable[AccountLike],
    direction: Direction,
    level_minor: int,
    rearm_margin_minor: int,
    valid_from: datetime,
) -> list[AccountThresholds]:
    """The record for ``account.thresholds`` of every account, to be written with its ``timestamp``, ``valid_from``.

    Levels and margins are minor units of each account's own currency. Ids follow from account, direction and level:
    setting the same again is the same threshold.

    Raises:
        MoneyError: the level is beyond 64 bits.
        StreambankError: the margin is negative, or ``valid_from`` has no time zone.
    """
    within_int64(level_minor)
    if rearm_margin_minor < 0:
        raise StreambankError(f"re-arm margin {rearm_margin_minor}: use 0 or more minor units")
    if valid_from.tzinfo is None:
        raise StreambankError(f"valid_from {valid_from} has no time zone: give one, such as UTC")
    return [
        AccountThresholds(
            user_id=account.user_id,
            occurred_at=valid_from,
            recorded_at=valid_from,
            event_id=derived_id("thresholds", account.account_id, direction.value, str(level_minor), str(valid_from)),
            scope=Scope.ACCOUNT,
            scope_id=account.account_id,
            currency=account.currency,
            thresholds=(
                Threshold(
                    threshold_id=derived_id("threshold", account.account_id, direction.value, str(level_minor)),
                    direction=direction,
                    level_minor=level_minor,
                    rearm_margin_minor=rearm_margin_minor,
                ),
            ),
        )
        for account in accounts
    ]
