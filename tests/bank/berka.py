"""The Berka bank as a workload: the main job in one process, and what has to come of it."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path
from typing import TypeVar

from tests.data import data_file, require

from streambank.bank.events import (
    ACCOUNT_THRESHOLDS,
    TOPICS,
    AccountThresholds,
    Direction,
    Origin,
    Threshold,
)
from streambank.bank.imports import BerkaSource, Importer, thresholds_for
from streambank.bank.mailbox import MailboxStore
from streambank.bank.topologies import alerts, balances
from streambank.clock import system_clock
from streambank.log import EventLog, TopicPartition
from streambank.streams import StreamRunner, StreamsConfig, Topic

K = TypeVar("K")
V = TypeVar("V")

BEFORE = date(1994, 3, 31)
VALID_FROM = datetime(1992, 12, 31, tzinfo=UTC)

CROSSINGS = {0: 35, 1_000: 42, 5_000: 71, 10_000: 140, 20_000: 1_011}
"""Alerts by level in CZK without a margin, counted on the bank's own running balances."""

CROSSINGS_WITH_MARGIN = {0: 35, 1_000: 42, 5_000: 71, 10_000: 136, 20_000: 794}
"""The same where a threshold is armed again only at the level plus 10 %, at least 500 CZK."""


def source() -> BerkaSource:
    """The complete days of the transactions."""
    return BerkaSource(require(data_file("berka")), before=BEFORE)


def margin_minor(level: int) -> int:
    """The re-arm margin of a level in CZK."""
    return max(level * 10, 50_000)


def prepare(log: EventLog, levels: Mapping[int, tuple[int, ...]]) -> None:
    """Create the topics and set thresholds on every account: for each level in CZK, one for each margin in hellers."""
    log.create_topics([topic.config for topic in TOPICS])
    accounts = list(source().accounts.values())
    by_account: dict[str, list[AccountThresholds]] = {}
    for level, margins in levels.items():
        for margin in margins:
            for record in thresholds_for(accounts, Direction.BELOW, level * 100, margin, VALID_FROM):
                by_account.setdefault(record.scope_id, []).append(record)
    producer = log.producer()
    with producer.transaction() as transaction:
        for account, records in by_account.items():
            merged = _merged(records)
            ACCOUNT_THRESHOLDS.write(transaction, account, merged, merged.timestamp)
    producer.close()


def _merged(records: list[AccountThresholds]) -> AccountThresholds:
    first = records[0]
    thresholds = tuple(
        Threshold(
            threshold_id=f"{first.scope_id}/{threshold.level_minor}/{threshold.rearm_margin_minor}",
            direction=threshold.direction,
            level_minor=threshold.level_minor,
            rearm_margin_minor=threshold.rearm_margin_minor,
        )
        for record in records
        for threshold in record.thresholds
    )
    return AccountThresholds(
        user_id=first.user_id,
        occurred_at=first.occurred_at,
        recorded_at=first.recorded_at,
        event_id=first.event_id,
        scope=first.scope,
        scope_id=first.scope_id,
        currency=first.currency,
        thresholds=thresholds,
    )


def replay(log: EventLog) -> int:
    """Import the bank's entries as if they happened live; returns how many."""
    return Importer(log, system_clock).run(source(), origin=Origin.LIVE).imported


def process(log: EventLog) -> None:
    """Run both topologies until nothing is left to do."""
    runners = [
        StreamRunner(build(), log, StreamsConfig(application_id=name))
        for name, build in (("balances", balances.build), ("alerts", alerts.build))
    ]
    while sum(runner.step() for runner in runners):
        pass
    for runner in runners:
        runner.close()


def read(log: EventLog, topic: Topic[K, V]) -> list[V]:
    """A topic's values, partition by partition."""
    values: list[V] = []
    for partition in range(log.topics()[topic.name].partitions):
        at, offset = TopicPartition(topic.name, partition), 0
        while batch := log.read(at, offset, 50_000):
            values += [topic.value.deserialize(value) for value in batch.values if value is not None]
            offset = batch.next_offset
    return values


def mails(mailbox: Path) -> Counter[tuple[str, str]]:
    """How often each alert's e-mail is in the mailbox, by alert and address."""
    store = MailboxStore.open(mailbox)
    found: Counter[tuple[str, str]] = Counter()
    for start in range(0, store.count(), 500):
        for summary in store.messages(start, 500):
            stored = store.get(summary.id)
            assert stored is not None
            message = message_from_bytes(stored.raw)
            alert_id = message["Message-ID"].strip("<>").split("@")[0]
            found[alert_id, parseaddr(message["To"])[1]] += 1
    store.close()
    return found
