"""Runs every benchmark: ``python -m benchmarks``."""

from benchmarks import latency, operators, reference, scale, windows


def main() -> None:
    """One after the other, on a machine that does nothing else."""
    reference.main()
    windows.main()
    operators.main()
    scale.main()
    latency.main()


main()
