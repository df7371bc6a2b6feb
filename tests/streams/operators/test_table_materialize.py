from tests.streams.support import ANY, OUT, TABLE

from streambank.streams import StreamBuilder
from streambank.streams.testing import TopologyTestDriver

UPDATES = [("A", 1, 10), ("B", 2, 5), ("C", 3, 8), ("D", 4, 14), ("A", None, 18), ("B", None, 15)]


def even(_key: str, value: int) -> bool:
    return value % 2 == 0


def test_a_derived_table_is_kept_and_sends_what_it_would_send_anyway() -> None:
    """KTableFilterTest.shouldPassThroughOnMaterialization."""
    builder = StreamBuilder()
    builder.table(TABLE).filter(even).materialize(name="even").to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for key, value, timestamp in UPDATES:
            driver.pipe(TABLE, key, value, timestamp)
            driver.crash()
        assert driver.read(OUT) == [
            ("A", None, 10),
            ("B", 2, 5),
            ("C", None, 8),
            ("D", 4, 14),
            ("A", None, 18),
            ("B", None, 15),
        ]
        assert driver.store("even") == {"D": 4}


def test_where_old_values_are_wanted_nothing_is_deleted_that_was_never_there() -> None:
    """KTableFilterTest.shouldSkipNullToRepartitionOnMaterialization."""
    builder = StreamBuilder()
    kept = builder.table(TABLE).filter(even).materialize(name="even")
    kept.to_stream().to(OUT)
    kept.group_by(lambda key, value: (key, value), key=ANY, value=ANY).count(name="n")
    with TopologyTestDriver(builder.build()) as driver:
        for key, value, timestamp in UPDATES:
            driver.pipe(TABLE, key, value, timestamp)
        assert driver.read(OUT) == [("B", 2, 5), ("D", 4, 14), ("B", None, 15)]
