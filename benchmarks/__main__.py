"""Runs every benchmark: ``python -m benchmarks``."""

from benchmarks import api, latency, ledger, operators, reference, scale, windows


def main() -> None:
    """One after the other, on a machine that does nothing else."""
    reference.main()
    windows.main()
    operators.main()
    scale.main()
    latency.main()
    ledger.main()
    api.main()


main()
