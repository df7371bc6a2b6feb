"""Feeds a topology with random inputs and random crashes, for property tests."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from tests.streams.support import OUT, Input, Row

from streambank.streams import Topic, Topology
from streambank.streams.testing import TopologyTestDriver

Accident: TypeAlias = Literal["none", "crash", "crash before commit"]

ACCIDENTS: st.SearchStrategy[Accident] = st.sampled_from(
    ("none", "none", "none", "none", "crash", "crash before commit")
)

unhurried = settings(deadline=None, max_examples=50)
"""For tests that start a driver again and again: what an example takes depends on what else the machine does."""


def run(
    topology: Topology, inputs: Sequence[tuple[Input, Accident]], to: Topic[Any, Any] = OUT
) -> tuple[list[Row], dict[str, int]]:
    """What comes out, and how many records were dropped by reason, of what was committed since the last crash."""
    with TopologyTestDriver(topology) as driver:
        rows: list[Row] = []
        for (source, key, value, timestamp), accident in inputs:
            driver.write(source, key, value, timestamp)
            if accident == "crash before commit":
                driver.crash_before_commit()
            driver.run()
            rows += [tuple(record) for record in driver.read(to)]
            if accident == "crash":
                driver.crash()
        return rows, dict(driver.runner.drops)
