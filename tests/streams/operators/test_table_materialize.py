from tests.streams.support import OUT, TABLE

from streambank.streams import StreamBuilder
from streambank.streams.testing import TopologyTestDriver


def test_a_derived_table_is_kept_and_deletes_nothing_that_was_never_there() -> None:
    builder = StreamBuilder()
    builder.table(TABLE).filter(lambda _key, value: value % 2 == 0).materialize(name="even").to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for at, (key, value) in enumerate([("a", 1), ("b", 2), ("c", 4), ("b", 3), ("a", None)]):
            driver.pipe(TABLE, key, value, at)
        assert driver.read(OUT) == [("b", 2, 1), ("c", 4, 2), ("b", None, 3)]
        assert driver.store("even") == {"c": 4}
        driver.crash()
        assert driver.store("even") == {"c": 4}
