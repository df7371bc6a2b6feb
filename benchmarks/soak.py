"""Ten million events through windows and sessions while time goes on: memory and disk are to stay where they are.

The log's clock goes by the events, a millisecond each, so that a run of minutes is hours for whatever waits for time:
the retention of topics, and that of tombstones in changelogs.
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from streambank.log import EventLog, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.log.partitioner import Partitioner
from streambank.streams import (
    BYTES,
    LONG,
    STRING,
    SessionWindowedSerde,
    SessionWindows,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    TimeWindowedSerde,
    TimeWindows,
    Topic,
    Topology,
    Windowed,
)

PARTITIONS = 2
KEYS = 20_000
CHUNK_EVENTS = 50_000
WINDOW_MS = 60_000
GAP_MS = 5_000
RETENTION_MS = 300_000

EVENTS = Topic(name="events", key=STRING, value=BYTES, partitions=PARTITIONS, retention_ms=RETENTION_MS)
WINDOWS: Topic[Windowed[str], int] = Topic(
    name="windows",
    key=TimeWindowedSerde(STRING, WINDOW_MS),
    value=LONG,
    partitions=PARTITIONS,
    retention_ms=RETENTION_MS,
)
SESSIONS: Topic[Windowed[str], int] = Topic(
    name="sessions", key=SessionWindowedSerde(STRING), value=LONG, partitions=PARTITIONS, retention_ms=RETENTION_MS
)


def topology() -> Topology:
    """Counts by window and by session, final ones only."""
    builder = StreamBuilder()
    grouped = builder.stream(EVENTS).group_by_key()
    windows = grouped.windowed_by(TimeWindows.tumbling(WINDOW_MS, grace_ms=1_000)).count(name="by-window", emit="final")
    windows.to_stream().to(WINDOWS)
    sessions = grouped.windowed_by(SessionWindows(GAP_MS, grace_ms=1_000)).count(name="by-session", emit="final")
    sessions.to_stream().to(SESSIONS)
    return builder.build()


def write(log: EventLog, rng: random.Random, first: int) -> None:
    """A chunk of events, one a millisecond, some of them late."""
    partition_of = Partitioner(PARTITIONS).partition
    columns: list[tuple[list[int], list[bytes], list[bytes]]] = [([], [], []) for _ in range(PARTITIONS)]
    for n in range(first, first + CHUNK_EVENTS):
        key = b"key-%05d" % rng.randrange(KEYS)
        timestamps, keys, values = columns[partition_of(key)]
        timestamps.append(max(0, n - rng.randrange(2_000)))
        keys.append(key)
        values.append(b"x")
    producer = log.producer()
    with producer.transaction() as transaction:
        for number, (timestamps, keys, values) in enumerate(columns):
            transaction.append_columns(TopicPartition(EVENTS.name, number), timestamps, keys, values)
    producer.close()


def memory_mb() -> float:
    """What the process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def disk_mb(folder: Path) -> float:
    """What the log takes on the disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(events: int = 10_000_000) -> None:
    """Print memory, disk and state every tenth of the way."""
    now = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = EmbeddedLog.open(folder, background_cleaning=False, clock=lambda: now)
        log.create_topics([EVENTS.config])
        runner = StreamRunner(topology(), log, StreamsConfig(application_id="soak"))
        rng, started = random.Random(1), time.perf_counter()
        print(f"{events:,} events, one a millisecond, {KEYS:,} keys")
        for first in range(0, events, CHUNK_EVENTS):
            now = first + CHUNK_EVENTS
            write(log, rng, first)
            while runner.step() or not runner.assignment:
                pass
            log.clean()
            if now % (events // 10) == 0:
                entries = {name: sum(len(part) for part in runner.stores(name)) for name in ("by-window", "by-session")}
                print(
                    f"  {now:>10,}  memory {memory_mb():6.0f} MB  disk {disk_mb(folder):6.0f} MB  "
                    f"windows {entries['by-window']:>7,}  sessions {entries['by-session']:>7,}",
                    flush=True,
                )
        took = time.perf_counter() - started
        print(f"  {events / took:,.0f} events/s with cleaning, {sum(runner.drops.values()):,} too late")
        runner.close()
        log.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
