"""What joins of tables see of versioned ones. The outputs are those of Kafka Streams' TableTableJoinIntegrationTest."""

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, drops, topic

from streambank.streams import StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver

LEFT, RIGHT = topic("left"), topic("right")

# AbstractJoinIntegrationTest.input of Apache Kafka (Apache-2.0): side, value, timestamp.
INPUT: list[tuple[str, str | None, int]] = [
    ("left", None, 1),
    ("right", None, 2),
    ("left", "A", 3),
    ("right", "a", 4),
    ("left", "B", 5),
    ("right", "b", 6),
    ("left", None, 7),
    ("right", None, 8),
    ("left", "C", 9),
    ("right", "c", 10),
    ("right", None, 11),
    ("left", None, 12),
    ("right", None, 13),
    ("right", "d", 7),
    ("left", "D", 6),
    ("left", None, 2),
    ("right", None, 3),
    ("right", "e", 14),
    ("left", "E", 15),
    ("left", None, 10),
    ("right", None, 9),
    ("left", "F", 4),
    ("right", "f", 3),
]

IN_ORDER: dict[str, dict[int, tuple[str | None, int]]] = {
    "inner": {3: ("A-a", 4), 4: ("B-a", 5), 5: ("B-b", 6), 6: (None, 7), 9: ("C-c", 10), 10: (None, 11)},
    "left": {
        2: ("A-null", 3),
        3: ("A-a", 4),
        4: ("B-a", 5),
        5: ("B-b", 6),
        6: (None, 7),
        8: ("C-null", 9),
        9: ("C-c", 10),
        10: ("C-null", 11),
        11: (None, 12),
    },
}


def pair(left: str, right: str | None) -> str:
    return f"{left}-{'null' if right is None else right}"


def joined(how: str, versioned: set[str]) -> Topology:
    builder = StreamBuilder()
    left, right = (
        builder.table(side, history_retention_ms=300_000 if side.name in versioned else None) for side in (LEFT, RIGHT)
    )
    join = {"inner": left.join, "left": left.left_join}[how]
    join(right, pair).to_stream().to(OUT)
    return builder.build()


@pytest.mark.parametrize("crash", [False, True], ids=["", "crash after each"])
@pytest.mark.parametrize(
    ("how", "versioned", "out_of_order"),
    [
        ("inner", {"left", "right"}, {18: ("E-e", 15)}),
        ("left", {"left", "right"}, {18: ("E-e", 15)}),
        ("inner", {"left"}, {18: ("E-e", 15), 20: (None, 15), 22: ("E-f", 15)}),
        ("left", {"left"}, {18: ("E-e", 15), 20: ("E-null", 15), 22: ("E-f", 15)}),
        ("inner", {"right"}, {18: ("E-e", 15), 19: (None, 14), 21: ("F-e", 14)}),
        (
            "left",
            {"right"},
            {14: ("D-null", 6), 15: (None, 2), 18: ("E-e", 15), 19: (None, 14), 21: ("F-e", 14)},
        ),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else None,
)
def test_table_joins(
    how: str, versioned: set[str], out_of_order: dict[int, tuple[str | None, int]], crash: bool
) -> None:
    expected = IN_ORDER[how] | out_of_order
    with TopologyTestDriver(joined(how, versioned)) as driver:
        for index, (side, value, timestamp) in enumerate(INPUT):
            driver.pipe(LEFT if side == "left" else RIGHT, 0, value, timestamp)
            sent = [(0, *expected[index])] if index in expected else []
            assert driver.read(OUT) == sent, f"input {index}"
            if crash:
                driver.crash()


@pytest.mark.parametrize("derived", ["filter", "map_values"])
def test_tables_made_of_a_versioned_one_are_versioned(derived: str) -> None:
    builder = StreamBuilder()
    table = builder.table(LEFT, history_retention_ms=100)
    left = (
        table.filter(lambda _key, value: value != "hidden")
        if derived == "filter"
        else table.map_values(lambda value: value, value=ANY)
    )
    left.join(builder.table(RIGHT), pair).to_stream().to(OUT)
    inputs = [(RIGHT, 0, "r", 1), (LEFT, 0, "new", 20), (LEFT, 0, "old", 10), (LEFT, 0, None, 15), (LEFT, 0, "x", 20)]
    topology = builder.build()
    assert drops(topology, inputs) == {"out of order": 2}
    with TopologyTestDriver(topology) as driver:
        for given in inputs:
            driver.pipe(*given)
        assert driver.read(OUT) == [(0, "new-r", 20), (0, "x-r", 20)]


def test_a_late_update_after_a_delete_is_out_of_order_too() -> None:
    rows = [(RIGHT, 0, "r", 1), (LEFT, 0, None, 20), (LEFT, 0, "old", 10)]
    assert drops(joined("inner", {"left"}), rows) == {"out of order": 1}


def test_plain_tables_are_joined_without_it() -> None:
    assert "latest-updates" not in joined("inner", set()).describe()
    builder = StreamBuilder()
    builder.stream(IN).join(builder.table(TABLE, history_retention_ms=1), pair)
    assert "latest-updates" not in builder.build().describe()
