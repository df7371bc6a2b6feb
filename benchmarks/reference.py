"""The reference workload: streambank beside a loop written by hand, on the same log in the same run.

The loop is what a careful programmer would write without a library: batches, dicts, msgspec, one transaction a batch,
the balance topic as its own changelog. It is an upper limit: it has no rebalancing, no restore, no headers, no order by
time and no rollback, and it keeps both tables whole where the topology sends alerts to the task that has the profile.
"""

import gc
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from benchmarks import workload
from benchmarks.workload import Balance, Change, Notification, Profile, Size, Threshold
from streambank.log import EventLog, OffsetAndMetadata, TopicPartition
from streambank.log.partitioner import Partitioner
from streambank.streams import StreamRunner, StreamsConfig

BATCH_RECORDS = 10_000


class Loop:
    """The loop by hand, as one member of the group ``run``; the tables are read when it is made."""

    def __init__(self, log: EventLog, run: str) -> None:
        self._balance, self._alert = workload.outputs(run)
        log.create_topics([self._balance.config, self._alert.config])
        thresholds, profiles = _all(log, "threshold"), _all(log, "profile")
        self._levels = {key.decode(): msgspec.json.decode(value, type=Threshold).level for key, value in thresholds}
        self._emails = {key.decode(): msgspec.json.decode(value, type=Profile).email for key, value in profiles}
        self._balances: dict[str, int] = {}
        self._decode, self._encode = msgspec.json.Decoder(Change).decode, msgspec.json.Encoder().encode
        self._partition_of = Partitioner(workload.PARTITIONS).partition
        self._consumer, self._producer = log.consumer(run, ["change"]), log.producer()

    def drain(self, events: int) -> float:
        """Process so many; the seconds from the first event to the last commit."""
        done, started = 0, time.perf_counter()
        while done < events:
            done += self._cycle()
        return time.perf_counter() - started

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()

    def _cycle(self) -> int:
        decode, encode, partition_of = self._decode, self._encode, self._partition_of
        balances, levels, emails = self._balances, self._levels, self._emails
        done, offsets = 0, {}
        columns: dict[TopicPartition, tuple[list[int], list[bytes], list[bytes]]] = defaultdict(lambda: ([], [], []))
        for batch in self._consumer.poll(BATCH_RECORDS, 1.0):
            timestamps, keys, values = columns[TopicPartition(self._balance.name, batch.topic_partition.partition)]
            for key, data, timestamp in zip(batch.keys, batch.values, batch.timestamps, strict=True):
                assert key is not None
                assert data is not None
                change = decode(data)
                account = change.account_id
                before = balances.get(account, 0)
                after = balances[account] = before + change.amount
                timestamps.append(timestamp)
                keys.append(key)
                values.append(encode(Balance(change.user_id, before, after, change.entry_id)))
                level = levels[account]
                if before >= level > after:
                    user = change.user_id
                    user_key = user.encode()
                    alert = workload.Alert("", user, level, before, after, change.entry_id)
                    at, ks, vs = columns[TopicPartition(self._alert.name, partition_of(user_key))]
                    at.append(timestamp)
                    ks.append(user_key)
                    vs.append(encode(Notification(alert, emails[user])))
            done += len(batch)
            offsets[batch.topic_partition] = OffsetAndMetadata(batch.next_offset)
        with self._producer.transaction() as transaction:
            for topic_partition, (timestamps, keys, values) in columns.items():
                transaction.append_columns(topic_partition, timestamps, keys, values)
            transaction.commit_offsets(self._consumer.metadata, offsets)
        return done


def by_hand(log: EventLog, run: str, events: int) -> float:
    """The loop; returns the seconds from the first event to the last commit."""
    loop = Loop(log, run)
    elapsed = loop.drain(events)
    loop.close()
    return elapsed


def with_streambank(log: EventLog, run: str, events: int) -> float:
    """The topology; returns the seconds from the first event to the last commit, tables read before."""
    runner = StreamRunner(workload.topology(run), log, StreamsConfig(application_id=run, poll_records=BATCH_RECORDS))
    tables = sum(log.watermarks(TopicPartition(t, p)).high for t in ("threshold", "profile") for p in range(4))
    processed = 0
    while processed < tables:
        processed += runner.step(1.0)
    started, processed = time.perf_counter(), processed - tables
    while runner.step():
        pass
    elapsed = time.perf_counter() - started
    runner.close()
    return elapsed


def _all(log: EventLog, topic: str):  # type: ignore[no-untyped-def]
    for partition in range(workload.PARTITIONS):
        at, offset = TopicPartition(topic, partition), 0
        while batch := log.read(at, offset, 50_000):
            yield from zip(batch.keys, batch.values, strict=True)
            offset = batch.next_offset


def records(log: EventLog, topic: str) -> list[list[tuple[bytes | None, bytes | None]]]:
    """A topic's keys and values by partition."""
    found = []
    for partition in range(workload.PARTITIONS):
        at, offset, rows = TopicPartition(topic, partition), 0, []
        while batch := log.read(at, offset, 50_000):
            rows += list(zip(batch.keys, batch.values, strict=True))
            offset = batch.next_offset
        found.append(rows)
    return found


def measure(size: Size, rounds: int) -> tuple[list[float], list[float]]:
    """Events/s of the loop and of streambank, round by round; checks that both wrote the same."""
    with tempfile.TemporaryDirectory() as folder:
        log = workload.open_log(Path(folder))
        workload.fill(log, size)
        loop, ours = [], []
        for n in range(rounds):
            gc.collect()
            loop.append(size.events / by_hand(log, f"loop-{n}", size.events))
            gc.collect()
            ours.append(size.events / with_streambank(log, f"streambank-{n}", size.events))
        for kind in ("balance", "alert"):
            expected, actual = records(log, f"{kind}-loop-0"), records(log, f"{kind}-streambank-0")
            if [sorted(rows) for rows in expected] != [sorted(rows) for rows in actual]:
                raise SystemExit(f"the {kind} topics differ")
        log.close()
    return loop, ours


def main(events: int = 1_000_000, rounds: int = 3) -> None:
    """Print the rates and their ratio."""
    loop, ours = measure(Size(events=events), rounds)
    ratios = [b / a for a, b in zip(loop, ours, strict=True)]
    print(f"reference workload, {events:,} events, {rounds} rounds, medians")
    print(f"  loop by hand  {statistics.median(loop):>10,.0f} events/s  {[round(x / 1000) for x in loop]} k")
    print(f"  streambank    {statistics.median(ours):>10,.0f} events/s  {[round(x / 1000) for x in ours]} k")
    print(f"  ratio         {statistics.median(ratios):>10.2f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
