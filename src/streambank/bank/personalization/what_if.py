"""When a threshold would have fired: the rule of the alerts, on the balances that the log holds.

                from                        to
    log:   o  o  | o  o  x  o  o  x  x  o  | o          x: below the level
    fires:       |       ^        ^        |            on crossing, once, as :mod:`streambank.bank.crossing` has it

The threshold starts at ``from`` as a new one does: by the side that the balance is on. What was imported is looked at
like everything else, although no live alert comes of it when it arrives: the question is what there would have been.

Balances are followed in the order of the log, which is theirs: each begins where the one before ended. An entry whose
time lies outside of the question still moves the balance, and is not told of.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from streambank.bank.crossing import Watch, Watched
from streambank.bank.events import AccountThresholds, Balance, Currency, Origin, Threshold
from streambank.bank.personalization.schemas import Firing, WhatIfAnswer
from streambank.clock import to_millis
from streambank.log import EventLog, TopicPartition, partition_for
from streambank.streams.topic import Topic

RECORDS_MAX = 1_000_000
"""Records that one question reads, those of other balances too: a second or two on the embedded log, some on Kafka."""

READ_RECORDS = 20_000

FIRED_MAX = 1_000
"""Firings in one answer: a threshold that would have fired more often is none to set."""


class Question(msgspec.Struct, frozen=True, gc=False):
    """A threshold on an account or a total, and the time in which it is to be tried."""

    topic: Topic[str, Balance]
    scope_id: str
    currency: Currency
    threshold: Threshold
    from_time: datetime
    to_time: datetime


class Past(msgspec.Struct, frozen=True, gc=False):
    """Where the balances of a scope lie in the log. ``complete``: from the beginning of the time that was asked of.

                since            until                   high
    log:   . . . |---- the time ---|. . late ones . . . . |
                 |- start                       end -|          at most ``RECORDS_MAX`` records

    Entries that came later than that many records are not looked for.
    """

    place: TopicPartition
    start: int
    end: int
    complete: bool


def answer(log: EventLog, question: Question) -> WhatIfAnswer:
    """When the threshold would have fired."""
    past = past_of(log, question)
    balances = [] if past is None else balances_of(log, question.topic, question.scope_id, past)
    fired, seen = replay(balances, question.threshold, question.from_time, question.to_time)
    return WhatIfAnswer(
        from_time=question.from_time,
        to_time=question.to_time,
        currency=question.currency.value,
        count=len(fired),
        fired=fired[-FIRED_MAX:],
        entry_count=seen,
        complete=past is None or past.complete,
    )


def replay(
    balances: Iterable[Balance], threshold: Threshold, from_: datetime, to: datetime
) -> tuple[list[Firing], int]:
    """When the threshold would have fired, in the order of the log, and how many balances of that time there were."""
    fired, seen, watch = [], 0, Watch()
    for balance in balances:
        asked = from_ <= balance.occurred_at <= to
        imported = balance.entry.origin is not Origin.LIVE
        live = msgspec.structs.replace(balance, entry=msgspec.structs.replace(balance.entry, origin=Origin.LIVE))
        watch = Watch.after(balance.scope_id, Watched(live, _thresholds(balance, threshold)), watch)
        seen += asked
        fired += [
            Firing(
                occurred_at=alert.occurred_at,
                before_minor=alert.before_minor,
                after_minor=alert.after_minor,
                entry_id=alert.entry.entry_id,
                imported=imported,
            )
            for alert in Watch.alerts(watch)
            if asked
        ]
    return fired, seen


def past_of(log: EventLog, question: Question) -> Past | None:
    """Where the balances of that time are; None where the topic is not there yet."""
    topic = question.topic
    config = log.topics().get(topic.name)
    if config is None:
        return None
    place = TopicPartition(topic.name, partition_for(topic.key.serialize(question.scope_id), config.partitions))
    low, high = log.watermarks(place)
    # All that lies before it is older, however late it came.
    since = max(log.offset_for_time(place, to_millis(question.from_time)), low)
    until = max(log.offset_for_time(place, to_millis(question.to_time) + 1), since)
    start = max(since, until - RECORDS_MAX)
    return Past(place, start, min(high, start + RECORDS_MAX), complete=start == since)


def balances_of(log: EventLog, topic: Topic[str, Balance], scope_id: str, past: Past) -> Iterator[Balance]:
    """The balances of a scope in that part of the log."""
    key, offset = topic.key.serialize(scope_id), past.start
    while offset < past.end:
        batch = log.read(past.place, offset, READ_RECORDS)
        for of_key, value in zip(batch.keys, batch.values, strict=True):
            if of_key == key and value is not None:
                yield topic.value.deserialize(value)
        if batch.next_offset <= offset:
            return
        offset = batch.next_offset


def _thresholds(balance: Balance, threshold: Threshold) -> AccountThresholds:
    return AccountThresholds(
        user_id=balance.user_id,
        occurred_at=balance.occurred_at,
        recorded_at=balance.recorded_at,
        event_id="",
        scope=balance.scope,
        scope_id=balance.scope_id,
        currency=balance.currency,
        thresholds=(threshold,),
    )
