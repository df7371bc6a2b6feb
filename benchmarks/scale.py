"""What an event costs as the number of accounts grows, and how long a million balances take to restore.

Every account has had an entry before the clock starts, so that what is measured is a bank in operation and not the
growth of its tables. What cannot be saved is measured beside it: the loop of :mod:`benchmarks.reference` on the same
events, and two bare lookups of a key in dicts of that size, for the balance and for the threshold. A million of each
lie in main memory and no longer in the processor's caches.
"""

import gc
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import workload
from benchmarks.reference import Loop
from benchmarks.workload import Size
from streambank.log import EventLog
from streambank.streams import RestoreProgress, StreamRunner, StreamsConfig

ACCOUNTS = (1_000, 10_000, 100_000, 1_000_000)
NAMES = ("streambank", "loop by hand", "two lookups")


def runner(log: EventLog, on_restore: "list[RestoreProgress] | None" = None) -> StreamRunner:
    """The workload's application."""
    config = StreamsConfig(application_id="scale")
    seen = on_restore if on_restore is not None else []
    return StreamRunner(workload.topology("scale"), log, config, on_restore=seen.append)


def drain(running: StreamRunner) -> None:
    """Do what there is to do."""
    while running.step():
        pass


def cpu_us(work: Callable[[], object], events: int) -> float:
    """Microseconds of CPU an event: other programs that run meanwhile count for little."""
    gc.collect()
    started = time.process_time()
    work()
    return (time.process_time() - started) / events * 1e6


@dataclass
class Costs:
    """Microseconds of CPU an event, round by round."""

    streambank: list[float] = field(default_factory=list)
    loop: list[float] = field(default_factory=list)
    lookups: list[float] = field(default_factory=list)

    @property
    def medians(self) -> tuple[float, float, float]:
        return statistics.median(self.streambank), statistics.median(self.loop), statistics.median(self.lookups)


def costs_us(log: EventLog, accounts: int, events: int, rounds: int) -> Costs:
    """What an event costs, one after the other in each round."""
    size = Size(accounts=accounts, users=max(accounts // 2, 1), events=0)
    workload.fill(log, size)
    workload.touch_every_account(log, size)
    running, loop = runner(log), Loop(log, "loop")
    drain(running)
    loop.drain(accounts)
    costs = Costs()
    for n in range(rounds):
        workload.add_paired_changes(log, Size(accounts=accounts, users=size.users, events=events, seed=n + 2))
        costs.streambank.append(cpu_us(partial(drain, running), events))
        costs.loop.append(cpu_us(partial(loop.drain, events), events))
    running.close()
    loop.close()
    del running, loop
    first, second = ({f"account-{n:07d}": [n] for n in range(accounts)} for _ in range(2))
    for n in range(rounds):
        rng = random.Random(n)
        keys = [f"account-{rng.randrange(accounts):07d}" for _ in range(events)]
        costs.lookups.append(cpu_us(partial(look_up, keys, first, second), events))
    return costs


def look_up(keys: Iterable[str], *tables: Mapping[str, Sequence[int]]) -> None:
    """Each key's value in each table."""
    for key in keys:
        for table in tables:
            table[key][0]


def restore_s(log: EventLog) -> tuple[float, int]:
    """Seconds until a new process has restored every store, and how many records that took."""
    seen: list[RestoreProgress] = []
    started = time.perf_counter()
    running = runner(log, seen)
    running.step()
    elapsed = time.perf_counter() - started
    running.close()
    return elapsed, sum(one.records for one in seen if one.offset == one.end and one.store == "balance")


def main(events: int = 200_000, rounds: int = 3) -> None:
    """Print cost by number of accounts, and the restore of the largest."""
    print(f"CPU of an event by number of accounts, {rounds} rounds of {events:,} events, medians")
    baseline: tuple[float, ...] | None = None
    for accounts in ACCOUNTS:
        with tempfile.TemporaryDirectory() as folder:
            log = workload.open_log(Path(folder))
            medians = costs_us(log, accounts, events, rounds).medians
            baseline = baseline or medians
            shown = [
                f"{name} {us:5.2f} us x {us / one:.2f}" for name, us, one in zip(NAMES, medians, baseline, strict=True)
            ]
            print(f"  {accounts:>9,} accounts: {', '.join(shown)}", flush=True)
            if accounts == ACCOUNTS[-1]:
                elapsed, records = restore_s(log)
                print(f"  restore of {accounts:,} balances ({records:,} records) and their tables: {elapsed:.1f} s")
            log.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
