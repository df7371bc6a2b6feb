"""When a threshold fires: on crossing, once, armed again with a margin, and only for what happens live.

              level + margin - - - - - - - - -  arms here (for "below")
                        level -----------------
    balance:  above ... below   above   below ... above level + margin ... below
    alert:              FIRES           -                                  FIRES

A threshold that is new starts by the side the balance is on, so that it never fires for what was so before. An
account's first entry arms it only if that entry itself takes the balance there: no account is "below" for being new.
"""

from __future__ import annotations

import msgspec

from streambank.bank.events import AccountThresholds, AlertRaised, Balance, Direction, Origin, Threshold
from streambank.ids import derived_id


class Watched(msgspec.Struct, frozen=True, gc=False):
    """A balance beside the thresholds on it."""

    balance: Balance
    thresholds: AccountThresholds


class Arming(msgspec.Struct, frozen=True, gc=False):
    """Whether a threshold, as it was defined then, is armed."""

    threshold: Threshold
    armed: bool


class Watch(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is remembered of one balance: which thresholds are armed, and the alerts of the last entry."""

    armings: tuple[Arming, ...] = ()
    raised: tuple[AlertRaised, ...] = ()

    @staticmethod
    def after(_scope_id: str, watched: Watched, watch: Watch) -> Watch:
        """The watch after a further entry."""
        balance = watched.balance
        known = {arming.threshold.threshold_id: arming for arming in watch.armings}
        armings, raised = [], []
        for threshold in watched.thresholds.thresholds:
            armed = _armed_before(threshold, balance, known.get(threshold.threshold_id))
            if armed and crosses(threshold, balance.after_minor):
                armed = False
                if balance.entry.origin is Origin.LIVE:
                    raised.append(alert(threshold, balance))
            elif not armed:
                armed = arms(threshold, balance.after_minor)
            armings.append(Arming(threshold, armed))
        return Watch(tuple(armings), tuple(raised))

    @staticmethod
    def alerts(watch: Watch) -> tuple[AlertRaised, ...]:
        """The alerts that the last entry raised."""
        return watch.raised


def crosses(threshold: Threshold, balance_minor: int) -> bool:
    """Whether the balance is on the far side of the level: strictly below it, or strictly above."""
    if threshold.direction is Direction.BELOW:
        return balance_minor < threshold.level_minor
    return balance_minor > threshold.level_minor


def arms(threshold: Threshold, balance_minor: int) -> bool:
    """Whether the balance is back by the margin, at least."""
    if threshold.direction is Direction.BELOW:
        return balance_minor >= threshold.level_minor + threshold.rearm_margin_minor
    return balance_minor <= threshold.level_minor - threshold.rearm_margin_minor


def alert(threshold: Threshold, balance: Balance) -> AlertRaised:
    """The alert of a crossing; its id derives from threshold, scope and entry, so that a replay repeats nothing."""
    return AlertRaised(
        user_id=balance.user_id,
        occurred_at=balance.occurred_at,
        recorded_at=balance.recorded_at,
        alert_id=derived_id("alert", threshold.threshold_id, balance.scope_id, balance.entry.entry_id),
        scope=balance.scope,
        scope_id=balance.scope_id,
        currency=balance.currency,
        threshold=threshold,
        before_minor=balance.before_minor,
        after_minor=balance.after_minor,
        entry=balance.entry,
    )


def _armed_before(threshold: Threshold, balance: Balance, known: Arming | None) -> bool:
    if known is not None and known.threshold == threshold:
        return known.armed
    return balance.entry_count > 1 and arms(threshold, balance.before_minor)
