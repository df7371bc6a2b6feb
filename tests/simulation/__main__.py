"""Runs one seed: ``python -m tests.simulation SEED [HOURS]``; ``make sim SEED=n`` is the same."""

import sys
import time

from tests.simulation.simulation import SimulationFailedError, simulate

HOURS = 1000.0


def main() -> None:
    """Print the seed and what came of it; exit with 1 where a fault was found."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    hours = float(sys.argv[2]) if len(sys.argv) > 2 else HOURS
    print(f"seed {seed}, {hours:g} simulated hours", flush=True)
    began = time.process_time()
    try:
        outcome = simulate(seed, hours)
    except SimulationFailedError as error:
        raise SystemExit(str(error)) from error
    took = time.process_time() - began
    print(f"  {outcome.summary}")
    print("  " + ", ".join(f"{what} {count}" for what, count in outcome.counts.items()))
    print(f"  {outcome.hours:,.0f} hours in {took:.1f} s of CPU; trace {outcome.digest[:16]}")


if __name__ == "__main__":
    main()
