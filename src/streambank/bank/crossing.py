"""When a threshold fires: on crossing, once, armed again with a margin, and only for what happens live.

              level + margin - - - - - - - - -  arms here (for "below")
                        level -----------------
    balance:  above ... below   above   below ... above level + margin ... below
    alert:              FIRES           -                                  FIRES

A threshold that is new starts by the side the balance is on, so that it never fires for what was so before. An
account's first entry arms it only if that entry itself takes the balance there: no account is "below" for being new.

With a cool-down, a crossing within that time after the threshold's last alert is put off, not lost: the threshold stays
armed, and the first entry after the cool-down that finds the balance still beyond the level fires. Time is that of the
entries; one that is late, from before the last alert, is within its cool-down.

    cool-down:          |-------------|                        |-------------|
    balance:  above ... below  above  below ... below  below   below   above ... above   below
    alert:              FIRES         -         -      (over:) FIRES                     FIRES

What watches the available amount goes by what is booked less pending debits. A pending debit may fire; the end of one
neither fires nor arms by itself, since it is usually booked in the same breath. The entry after it tells which:

                  hold 60  it ends  booked 60         hold 60  it ends (voided)  booked 60
    available 100 ... 40 ... 100 ...... 40      100 ... 40 ... 100 ................ 40
    below 50:       FIRES     -         -             FIRES     -                  FIRES

Of a total, an entry of another account may come in between, and arms it by what the hold no longer takes. The booking
then finds that it was below before: that is no crossing. Only with a cool-down such a booking may be told again, when
that is over, since a crossing that was put off looks the same.

                  hold 60  it ends  another's -10  booked 60
    available 100 ... 40 ... 100 ..... 90 ......... (30) 30
    below 50:       FIRES     -        arms         -
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from streambank.bank.events import AccountThresholds, AlertRaised, Balance, Direction, EntryStatus, Origin, Threshold
from streambank.ids import derived_id


class Watched(msgspec.Struct, frozen=True, gc=False):
    """A balance beside the thresholds on it."""

    balance: Balance
    thresholds: AccountThresholds


class Arming(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Whether a threshold, as it was defined then, is armed, and the time of the entry that last fired it."""

    threshold: Threshold
    armed: bool
    fired_at: datetime | None = None


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
            arming = known.get(threshold.threshold_id)
            if arming is not None and arming.threshold != threshold:
                arming = None
            if concerns(threshold, balance):
                arming, fires = _after(threshold, balance, arming)
                if fires:
                    raised.append(alert(threshold, balance))
            if arming is not None:
                armings.append(arming)
        return Watch(tuple(armings), tuple(raised))

    @staticmethod
    def alerts(watch: Watch) -> tuple[AlertRaised, ...]:
        """The alerts that the last entry raised."""
        return watch.raised


def concerns(threshold: Threshold, balance: Balance) -> bool:
    """Whether the entry is one to look at: for a threshold on the balance, a booked one; not the end of a hold."""
    if balance.entry.status is EntryStatus.BOOKED:
        return True
    return threshold.on_available and balance.entry.signed_minor < 0


def watched_minor(threshold: Threshold, balance: Balance) -> tuple[int, int]:
    """What the threshold watches, before and after the entry: the balance, or what is available."""
    before, after = balance.before_minor, balance.after_minor
    if threshold.on_available:
        if balance.available_before_minor is not None:
            before = balance.available_before_minor
        if balance.available_after_minor is not None:
            after = balance.available_after_minor
    return before, after


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
    before, after = watched_minor(threshold, balance)
    return AlertRaised(
        user_id=balance.user_id,
        occurred_at=balance.occurred_at,
        recorded_at=balance.recorded_at,
        alert_id=derived_id("alert", threshold.threshold_id, balance.scope_id, balance.entry.entry_id),
        scope=balance.scope,
        scope_id=balance.scope_id,
        currency=balance.currency,
        threshold=threshold,
        before_minor=before,
        after_minor=after,
        entry=balance.entry,
    )


def _after(threshold: Threshold, balance: Balance, known: Arming | None) -> tuple[Arming, bool]:
    """How the threshold is armed after an entry that concerns it, and whether the entry fires it."""
    before, after = watched_minor(threshold, balance)
    armed, fired_at = (known.armed, known.fired_at) if known is not None else (False, None)
    # What was so before the entry: for a new threshold, and where a hold has ended since the last one.
    if not armed and _had_entries(balance):
        armed = arms(threshold, before)
    elif armed and threshold.direction is Direction.BELOW and not threshold.cooldown_s and crosses(threshold, before):
        armed = False
    fires = False
    if armed and crosses(threshold, after):
        if balance.entry.origin is not Origin.LIVE:
            armed = False
        elif not _is_cooling(threshold, fired_at, balance.occurred_at):
            armed, fires, fired_at = False, True, balance.occurred_at
    elif not armed:
        armed = arms(threshold, after)
    return Arming(threshold, armed, fired_at if threshold.cooldown_s else None), fires


def _is_cooling(threshold: Threshold, fired_at: datetime | None, moment: datetime) -> bool:
    return fired_at is not None and moment < fired_at + timedelta(seconds=threshold.cooldown_s)


def _had_entries(balance: Balance) -> bool:
    """Whether anything was booked before this entry, which counts itself if it is booked."""
    return balance.entry_count > (1 if balance.entry.status is EntryStatus.BOOKED else 0)
