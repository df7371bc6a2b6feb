"""The reference workload: balances, a threshold per account, an alert with an address on a downward crossing.

For each ``change``: decode, running balance by account, one record to ``balance``; the balance before and after
against the account's threshold (a table); on a downward crossing the user's address is joined in (a table) and one
record goes to ``alert``. Exactly once: outputs, state and input offsets in one transaction.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streambank.log import EventLog, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.log.partitioner import Partitioner
from streambank.streams import STRING, JsonSerde, StreamBuilder, Topic, Topology

PARTITIONS_VARIABLE = "STREAMBANK_BENCH_PARTITIONS"
PARTITIONS = int(os.environ.get(PARTITIONS_VARIABLE, "4"))
"""An environment variable, since every process of a measurement has to agree on it."""

WRITE_RECORDS = 10_000


class Change(msgspec.Struct, frozen=True, gc=False):
    entry_id: str
    account_id: str
    user_id: str
    amount: int
    kind: str
    at: int


class Balance(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    before: int
    after: int
    entry_id: str


class Threshold(msgspec.Struct, frozen=True, gc=False):
    level: int


class Profile(msgspec.Struct, frozen=True, gc=False):
    email: str


class Alert(msgspec.Struct, frozen=True, gc=False):
    account_id: str
    user_id: str
    level: int
    before: int
    after: int
    entry_id: str


class Notification(msgspec.Struct, frozen=True, gc=False):
    alert: Alert
    email: str


CHANGE = Topic(name="change", key=STRING, value=JsonSerde(Change), partitions=PARTITIONS)
THRESHOLD = Topic(
    name="threshold", key=STRING, value=JsonSerde(Threshold), partitions=PARTITIONS, cleanup_policy="compact"
)
PROFILE = Topic(name="profile", key=STRING, value=JsonSerde(Profile), partitions=PARTITIONS, cleanup_policy="compact")


@dataclass(frozen=True, slots=True)
class Size:
    accounts: int = 50_000
    users: int = 25_000
    events: int = 1_000_000
    seed: int = 1


def outputs(run: str) -> tuple[Topic[str, Balance], Topic[str, Notification]]:
    """The topics that a run writes to."""
    return (
        Topic(
            name=f"balance-{run}",
            key=STRING,
            value=JsonSerde(Balance),
            partitions=PARTITIONS,
            cleanup_policy="compact",
        ),
        Topic(name=f"alert-{run}", key=STRING, value=JsonSerde(Notification), partitions=PARTITIONS),
    )


def topology(run: str) -> Topology:
    """The workload as a topology."""
    balance_topic, alert_topic = outputs(run)
    builder = StreamBuilder()
    balances = builder.stream(CHANGE).group_by_key().aggregate(no_balance, apply, name="balance")
    balances.to_stream().to(balance_topic)
    alerts = (
        balances.to_stream().join(builder.table(THRESHOLD), crossing).flat_map_values(tuple, value=JsonSerde(Alert))
    )
    alerts.select_key(by_user).join(builder.table(PROFILE), with_email).to(alert_topic)
    return builder.build()


def no_balance() -> None:
    return None


def apply(_account_id: str, change: Change, balance: Balance | None) -> Balance:
    before = balance.after if balance is not None else 0
    return Balance(change.user_id, before, before + change.amount, change.entry_id)


def crossing(balance: Balance, threshold: Threshold) -> tuple[Alert, ...]:
    if balance.before >= threshold.level > balance.after:
        return (Alert("", balance.user_id, threshold.level, balance.before, balance.after, balance.entry_id),)
    return ()


def by_user(_account_id: str, alert: Alert) -> str:
    return alert.user_id


def with_email(alert: Alert, profile: Profile) -> Notification:
    return Notification(alert, profile.email)


def fill(log: EventLog, size: Size) -> None:
    """Write the tables and the changes."""
    log.create_topics([CHANGE.config, THRESHOLD.config, PROFILE.config])
    rng = random.Random(size.seed)
    accounts, users = _names(size)
    _write(log, THRESHOLD, ((account, Threshold(rng.randrange(-20_000, 20_000)), 0) for account in accounts))
    _write(log, PROFILE, ((user, Profile(f"{user}@example.org"), 0) for user in users))
    add_changes(log, size)


def add_changes(log: EventLog, size: Size) -> None:
    """Write changes of random accounts."""
    rng = random.Random(size.seed)
    accounts, users = _names(size)
    indexes = (rng.randrange(size.accounts) for _ in range(size.events))
    _write(log, CHANGE, (_change(rng, n, index, accounts, users) for n, index in enumerate(indexes)))


def add_paired_changes(log: EventLog, size: Size) -> None:
    """Write changes of random accounts of which every second one of an account takes back the one before.

    So balances stay where they are in the long run, and few accounts cross their thresholds as often as many do.
    """
    rng = random.Random(size.seed)
    accounts, users = _names(size)
    open_amounts: dict[int, int] = {}

    def changes() -> Iterator[tuple[str, Change, int]]:
        for n in range(size.events):
            index = rng.randrange(size.accounts)
            account, change, at = _change(rng, n, index, accounts, users)
            if (taken_back := open_amounts.pop(index, None)) is not None:
                change = msgspec.structs.replace(change, amount=-taken_back)
            else:
                open_amounts[index] = change.amount
            yield account, change, at

    _write(log, CHANGE, changes())


def touch_every_account(log: EventLog, size: Size) -> None:
    """Write one change of every account."""
    rng = random.Random(size.seed)
    accounts, users = _names(size)
    _write(log, CHANGE, (_change(rng, n, n, accounts, users) for n in range(size.accounts)))


def _names(size: Size) -> tuple[list[str], list[str]]:
    return [f"account-{n:07d}" for n in range(size.accounts)], [f"user-{n:07d}" for n in range(size.users)]


def _change(rng: random.Random, n: int, index: int, accounts: list[str], users: list[str]) -> tuple[str, Change, int]:
    change = Change(
        f"entry-{n:09d}", accounts[index], users[index % len(users)], rng.randrange(-10_000, 10_000), "CARD", 1_000 + n
    )
    return change.account_id, change, change.at


def _write(log: EventLog, topic, records) -> None:  # type: ignore[no-untyped-def]
    partition_of = Partitioner(topic.partitions).partition
    columns: list[tuple[list[int], list[bytes], list[bytes]]] = [([], [], []) for _ in range(topic.partitions)]
    producer = log.producer()

    def flush() -> None:
        with producer.transaction() as transaction:
            for partition, (timestamps, keys, values) in enumerate(columns):
                transaction.append_columns(TopicPartition(topic.name, partition), timestamps, keys, values)
        columns[:] = [([], [], []) for _ in range(topic.partitions)]

    for n, (key, value, timestamp) in enumerate(records):
        data = topic.key.serialize(key)
        timestamps, keys, values = columns[partition_of(data)]
        timestamps.append(timestamp)
        keys.append(data)
        values.append(topic.value.serialize(value))
        if n % WRITE_RECORDS == WRITE_RECORDS - 1:
            flush()
    flush()
    producer.close()


def open_log(folder: Path) -> EmbeddedLog:
    """A durable log without background cleaning, which would compete for the processor in a measurement."""
    return EmbeddedLog.open(folder, background_cleaning=False)
