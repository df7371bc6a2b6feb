"""Runs every benchmark: ``python -m benchmarks``."""

from benchmarks import api, latency, ledger, operators, post_to_email, reference, rules, scale, windows


def main() -> None:
    """One after the other, on a machine that does nothing else."""
    reference.main()
    windows.main()
    operators.main()
    scale.main()
    latency.main()
    rules.main()
    ledger.main()
    api.main()
    post_to_email.main()


main()
