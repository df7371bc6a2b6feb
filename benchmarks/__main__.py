"""Runs every benchmark: ``python -m benchmarks``."""

from benchmarks import latency, reference, scale, windows


def main() -> None:
    """One after the other, on a machine that does nothing else."""
    reference.main()
    windows.main()
    scale.main()
    latency.main()


main()
