"""Random records, topologies and crashes against a model in a few lines of plain Python."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.streams.support import ANY, IN, TABLE, topic

from streambank.streams import StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver

Step: TypeAlias = tuple[str, Any, Any]
"""What to do: write to "stream" or "table" (key, value), "run", "crash", "crash before commit"."""


SUMS, JOINED = topic("sums", cleanup_policy="compact"), topic("joined")


@dataclass
class Model:
    """What the topology means: the sum per key, and each record with the key's row at that moment."""

    left: bool
    regrouped: bool
    sums: dict[Any, int] = field(default_factory=dict)
    rows: dict[Any, Any] = field(default_factory=dict)
    sums_sent: list[tuple[Any, int]] = field(default_factory=list)
    joined_sent: list[tuple[Any, Any]] = field(default_factory=list)

    def table(self, key: Any, row: Any) -> None:
        if key is not None:
            self.rows[key] = row

    def stream(self, key: Any, value: Any) -> None:
        group = abs(value) % 3 if self.regrouped and value is not None else key
        if value is None:
            return
        if group is not None:
            self.sums[group] = self.sums.get(group, 0) + value
            self.sums_sent.append((group, self.sums[group]))
        row = self.rows.get(key) if key is not None else None
        if row is not None or self.left:
            self.joined_sent.append((key, [value, row]))


def topology(left: bool, regrouped: bool) -> Topology:
    builder = StreamBuilder()
    stream, table = builder.stream(IN), builder.table(TABLE)
    with_values = stream.filter(lambda _key, value: value is not None)
    grouped = (
        with_values.group_by(lambda _key, value: abs(value) % 3, key=ANY) if regrouped else with_values.group_by_key()
    )
    grouped.reduce(lambda total, value: total + value, name="sum").to_stream().to(SUMS)
    join = stream.left_join if left else stream.join
    join(table, lambda value, row: [value, row], value=ANY).to(JOINED)
    return builder.build()


keys = st.sampled_from(["a", "b", "c", None])
writes = st.one_of(
    st.tuples(st.just("stream"), keys, st.one_of(st.none(), st.integers(-50, 50))),
    st.tuples(st.just("table"), keys, st.one_of(st.none(), st.integers(0, 9))),
)
acts = st.tuples(st.sampled_from(["run", "crash", "crash before commit"]), st.none(), st.none())


@given(
    left=st.booleans(),
    regrouped=st.booleans(),
    steps=st.lists(st.one_of(writes, writes, writes, acts), max_size=40),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_topology_does_what_the_model_says(left: bool, regrouped: bool, steps: list[Step]) -> None:
    model = Model(left, regrouped)
    with TopologyTestDriver(topology(left, regrouped)) as driver:
        waiting = False
        for timestamp, (what, key, value) in enumerate(steps):
            if what in ("stream", "table"):
                driver.write(IN if what == "stream" else TABLE, key, value, timestamp)
                getattr(model, what)(key, value)
                waiting = True
                continue
            if what == "crash before commit" and waiting:
                driver.crash_before_commit()
            elif what == "crash":
                driver.crash()
            driver.run()
            waiting = False
        driver.run()
        assert [(key, value) for key, value, _ in driver.read(SUMS)] == model.sums_sent
        assert [(key, value) for key, value, _ in driver.read(JOINED)] == model.joined_sent
        assert driver.store("sum") == model.sums
        assert driver.store("table") == {key: row for key, row in model.rows.items() if row is not None}
