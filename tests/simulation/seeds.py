"""Seeds that every full run of the tests repeats.

A seed that found a fault stays, with what it found; the fault itself has a test of its own beside what was wrong. New
processes, people or faults change what later draws mean: a name then says what was found and no longer how, and the
seed is one more among the others.
"""

from typing import NamedTuple


class Seed(NamedTuple):
    """A seed, for how many simulated hours, and what it found; nothing: it is there for its mix of faults."""

    name: str
    seed: int
    hours: float
    found: str = ""


SEEDS = (
    Seed(
        "a-hold-on-an-overdrawn-account",
        2,
        100,
        "booking what a pending debit held was refused once forced entries had overdrawn the account",
    ),
    Seed("many-crashes", 7, 250),
    Seed("power-cuts", 16, 250),
    Seed("stalls", 8, 250),
    Seed("mail-troubles", 5, 250),
)
