"""What an event costs as the number of accounts grows, and how long a million balances take to restore.

Every account has had an entry before the clock starts, so that what is measured is a bank in operation and not the
growth of its tables.
"""

import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import workload
from benchmarks.workload import Size
from streambank.log import EventLog
from streambank.streams import RestoreProgress, StreamRunner, StreamsConfig

ACCOUNTS = (1_000, 10_000, 100_000, 1_000_000)


def runner(log: EventLog, on_restore: "list[RestoreProgress] | None" = None) -> StreamRunner:
    """The workload's application."""
    config = StreamsConfig(application_id="scale")
    seen = on_restore if on_restore is not None else []
    return StreamRunner(workload.topology("scale"), log, config, on_restore=seen.append)


def drain(running: StreamRunner) -> float:
    """Seconds until nothing is left to do."""
    started = time.perf_counter()
    while running.step():
        pass
    return time.perf_counter() - started


def cost_us(log: EventLog, accounts: int, events: int, rounds: int) -> list[float]:
    """Microseconds an event, round by round."""
    size = Size(accounts=accounts, users=max(accounts // 2, 1), events=0)
    workload.fill(log, size)
    workload.touch_every_account(log, size)
    running = runner(log)
    drain(running)
    costs = []
    for n in range(rounds):
        workload.add_paired_changes(log, Size(accounts=accounts, users=size.users, events=events, seed=n + 2))
        gc.collect()
        costs.append(drain(running) / events * 1e6)
    running.close()
    return costs


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
    print(f"cost of an event by number of accounts, {rounds} rounds of {events:,} events, medians")
    baseline = None
    for accounts in ACCOUNTS:
        with tempfile.TemporaryDirectory() as folder:
            log = workload.open_log(Path(folder))
            costs = cost_us(log, accounts, events, rounds)
            median = statistics.median(costs)
            baseline = baseline or median
            each = [round(cost, 2) for cost in costs]
            print(f"  {accounts:>9,} accounts  {median:6.2f} us  x {median / baseline:.2f}  {each}")
            if accounts == ACCOUNTS[-1]:
                elapsed, records = restore_s(log)
                print(f"  restore of {accounts:,} balances ({records:,} records) and their tables: {elapsed:.1f} s")
            log.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
