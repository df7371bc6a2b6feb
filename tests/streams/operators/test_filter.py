import pytest
from tests.streams.support import Row, through_stream

ROWS: list[Row] = [("a", 1, 10), ("b", 2, 20), (None, 3, 30), ("c", None, 40), ("d", 0, 5)]


@pytest.mark.parametrize(
    ("predicate", "kept"),
    [
        (lambda _key, value: value == 2, [("b", 2, 20)]),
        (lambda key, _value: key is None, [(None, 3, 30)]),
        (lambda _key, value: value is None, [("c", None, 40)]),
        (lambda _key, value: value, [("a", 1, 10), ("b", 2, 20), (None, 3, 30)]),
    ],
    ids=["value", "null key", "null value", "truth, not identity"],
)
def test_filter_and_filter_not_divide_the_stream(predicate: object, kept: list[Row]) -> None:
    assert callable(predicate)
    assert through_stream(lambda stream: stream.filter(predicate), ROWS) == kept
    assert through_stream(lambda stream: stream.filter_not(predicate), ROWS) == [row for row in ROWS if row not in kept]
