import pytest
from tests.streams.support import IN, Row, topic

from streambank.streams import StreamBuilder, TopologyError
from streambank.streams.testing import TopologyTestDriver

SMALL, EVEN, REST = topic("small"), topic("even"), topic("rest")


@pytest.mark.parametrize(
    ("row", "branch"),
    [
        (("a", 1, 10), "small"),
        (("a", 2, 20), "small"),
        (("a", 12, 30), "even"),
        (("a", 11, 40), "rest"),
        ((None, 11, 50), "rest"),
    ],
    ids=["first", "first although both take it", "second", "default", "null key"],
)
def test_a_record_goes_to_the_first_branch_that_takes_it(row: Row, branch: str) -> None:
    builder = StreamBuilder()
    branches = builder.stream(IN).split(
        {"small": lambda _key, value: value < 10, "even": lambda _key, value: value % 2 == 0}, default="rest"
    )
    for name, to in (("small", SMALL), ("even", EVEN), ("rest", REST)):
        branches[name].to(to)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, *row)
        assert {to.name: driver.read(to) for to in (SMALL, EVEN, REST)} == {
            name: [row] if name == branch else [] for name in ("small", "even", "rest")
        }


def test_without_a_default_the_rest_is_left_out_and_the_branches_keep_their_order() -> None:
    builder = StreamBuilder()
    branches = builder.stream(IN).split({"b": lambda _key, value: value == 1, "a": lambda _key, value: value == 2})
    assert list(branches) == ["b", "a"]
    branches["b"].to(SMALL)
    branches["a"].to(EVEN)
    with TopologyTestDriver(builder.build()) as driver:
        for value in (1, 2, 3):
            driver.pipe(IN, "k", value, value)
        assert driver.read(SMALL) == [("k", 1, 1)]
        assert driver.read(EVEN) == [("k", 2, 2)]


@pytest.mark.parametrize(
    ("names", "default"), [([], None), ([], "rest"), (["rest"], "rest")], ids=["none", "default alone", "same name"]
)
def test_branches_without_a_name_of_their_own_are_refused(names: list[str], default: str | None) -> None:
    stream = StreamBuilder().stream(IN)
    with pytest.raises(TopologyError, match="name at least one branch, and the default differently"):
        stream.split({name: lambda _key, _value: True for name in names}, default=default)
