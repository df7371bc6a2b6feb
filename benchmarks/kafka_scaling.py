"""What scaling out costs: streambank on the reference workload, by partitions and by processes, on one broker each.

python -m benchmarks.kafka_scaling --events 400000 --partitions 1 2 4 8
"""

import argparse
import os
import subprocess
import sys

from benchmarks.workload import PARTITIONS_VARIABLE


def main() -> None:
    """Print the rates for each number of partitions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 2, 4, 8])
    arguments = parser.parse_args()
    size = ["--events", str(arguments.events), "--rounds", str(arguments.rounds)]
    print(f"{os.cpu_count()} cores", flush=True)
    for partitions in arguments.partitions:
        print(f"\n{partitions} partitions", flush=True)
        subprocess.run(
            [sys.executable, "-m", "benchmarks.kafka_reference", *size, "--only", "streambank"],
            env={**os.environ, PARTITIONS_VARIABLE: str(partitions)},
            check=True,
        )


if __name__ == "__main__":
    main()
