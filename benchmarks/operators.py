"""Every operator on the embedded log, exactly once: events a second, and its share of the rate of a bare copy.

Each runs alone between two topics; the copy is what reading, decoding, encoding and committing take without it.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.windows import LEFT, RIGHT, fill
from benchmarks.workload import open_log
from streambank.log import EventLog
from streambank.streams import (
    BYTES,
    STRING,
    JoinWindows,
    JsonSerde,
    KStream,
    SessionWindows,
    SlidingWindows,
    StreamBuilder,
    StreamRunner,
    StreamsConfig,
    Suppressed,
    TimeWindows,
    Topic,
)

Stream = KStream[Any, Any]
Make = Callable[[Stream, StreamBuilder], Stream]

INTEGER: Any = JsonSerde(int)


def _grouped(stream: Stream) -> Any:
    return stream.group_by_key()


OPERATORS: dict[str, Make] = {
    "copy": lambda s, b: s,
    "filter": lambda s, b: s.filter(lambda k, v: True),
    "map": lambda s, b: s.map(lambda k, v: (k, v), key=STRING, value=BYTES),
    "map_values": lambda s, b: s.map_values(lambda v: v, value=BYTES),
    "flat_map_values": lambda s, b: s.flat_map_values(lambda v: (v,), value=BYTES),
    "merge": lambda s, b: s.merge(s.filter(lambda k, v: False)),
    "split": lambda s, b: s.split({"all": lambda k, v: True})["all"],
    "peek": lambda s, b: s.peek(lambda k, v: None),
    "repartition": lambda s, b: s.repartition(name="again"),
    "process": lambda s, b: s.process_values(lambda r, c: c.forward(r.key, r.value), name="process", value=BYTES),
    "count": lambda s, b: _grouped(s).count(name="count").to_stream(),
    "reduce": lambda s, b: _grouped(s).reduce(lambda a, v: v, name="reduce").to_stream(),
    "cogroup": lambda s, b: (
        _grouped(s).cogroup(lambda k, v, n: n + 1).aggregate(int, name="co", value=INTEGER).to_stream()
    ),
    "table group_by": lambda s, b: (
        s.to_table(name="t").group_by(lambda k, v: (k[-1], v), key=STRING, value=BYTES).count(name="n").to_stream()
    ),
    "tumbling": lambda s, b: _grouped(s).windowed_by(TimeWindows.tumbling(10_000)).count(name="w").to_stream(),
    "hopping": lambda s, b: _grouped(s).windowed_by(TimeWindows.hopping(10_000, 5_000)).count(name="w").to_stream(),
    "sliding": lambda s, b: _grouped(s).windowed_by(SlidingWindows(10_000)).count(name="w").to_stream(),
    "session": lambda s, b: _grouped(s).windowed_by(SessionWindows(10_000)).count(name="w").to_stream(),
    "suppress": lambda s, b: s.to_table(name="t").suppress(Suppressed.until_time_limit(1_000), name="held").to_stream(),
    "stream-table join": lambda s, b: s.left_join(b.table(RIGHT), lambda v, row: v, value=BYTES),
    "versioned join": lambda s, b: s.left_join(
        b.table(RIGHT, history_retention_ms=60_000), lambda v, row: v, value=BYTES
    ),
    "global join": lambda s, b: s.left_join(b.global_table(RIGHT), lambda k, v: k, lambda v, row: v, value=BYTES),
    "stream-stream join": lambda s, b: s.join(
        b.stream(RIGHT), lambda v, other: v, windows=JoinWindows.of(10_000), name="join", value=BYTES
    ),
    "table-table join": lambda s, b: (
        s.to_table(name="t").left_join(b.table(RIGHT), lambda v, row: v, value=BYTES).to_stream()
    ),
    "foreign-key join": lambda s, b: (
        s.to_table(name="t")
        .foreign_key_left_join(b.table(RIGHT), lambda k, v: k, lambda v, row: v, name="fk", value=BYTES)
        .to_stream()
    ),
}


def rate(log: EventLog, name: str, make: Make) -> float:
    """Events a second through the operator: those of its inputs and of internal topics."""
    run = name.replace(" ", "-")
    builder = StreamBuilder()
    stream = make(builder.stream(LEFT), builder)
    stream.map(lambda _k, v: ("k", b"" if v is None else b"v"), key=STRING, value=BYTES).to(
        Topic(name=f"out-{run}", key=STRING, value=BYTES, partitions=1)
    )
    runner = StreamRunner(builder.build(), log, StreamsConfig(application_id=run))
    gc.collect()
    started, processed = time.perf_counter(), 0
    while (done := runner.step()) or not runner.assignment:
        processed += done
    elapsed = time.perf_counter() - started
    runner.close()
    return processed / elapsed


def main(events: int = 200_000) -> None:
    """Print the rate of each operator."""
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder))
        fill(log, events)
        print(f"operators, {events:,} events in two topics")
        copy = rate(log, "warm-up", OPERATORS["copy"])
        for name, make in OPERATORS.items():
            events_per_s = rate(log, name, make)
            copy = events_per_s if name == "copy" else copy
            print(f"  {name:<20}{events_per_s:>10,.0f} events/s   {events_per_s / copy:.2f}", flush=True)
        log.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
