from collections.abc import Callable

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE

from streambank.streams import StreamBuilder, TopologyError


def pair(left: object, right: object) -> list[object]:
    return [left, right]


def rekeyed_join(builder: StreamBuilder, name: str | None = None) -> None:
    by_value = builder.stream(IN).select_key(lambda _key, value: value, key=ANY)
    by_value.join(builder.table(TABLE), pair, name=name).to(OUT)


def waiting_join(builder: StreamBuilder, name: str | None = None) -> None:
    table = builder.table(TABLE, history_retention_ms=10)
    builder.stream(IN).left_join(table, pair, name=name, grace_ms=5).to(OUT)


@pytest.mark.parametrize(
    ("use", "owned"),
    [
        (rekeyed_join, r"stream-table-join 'join-table' \(topic 'join-table-repartition'\)"),
        (waiting_join, r"stream-versioned-table-join 'join-table' \(store 'join-table-buffer'\)"),
    ],
)
def test_automatic_names_of_what_is_stored_are_refused(use: Callable[..., None], owned: str) -> None:
    builder = StreamBuilder()
    use(builder)
    with pytest.raises(TopologyError, match=f"strict names: .* give name= to {owned}$"):
        builder.build(strict=True)
    assert builder.build().describe() != ""


@pytest.mark.parametrize("use", [rekeyed_join, waiting_join])
def test_given_names_are_taken(use: Callable[..., None]) -> None:
    builder = StreamBuilder()
    use(builder, "priced")
    assert "priced" in builder.build(strict=True).describe()


def test_what_owns_nothing_needs_no_name() -> None:
    builder = StreamBuilder()
    stream, table = builder.stream(IN).filter(lambda _key, _value: True), builder.table(TABLE)
    stream.join(table, pair).merge(stream.map_values(lambda value: value, value=ANY)).to(OUT)
    stream.group_by_key().count(name="n").join(table.filter(lambda _key, _value: True), pair)
    stream.group_by(lambda _key, value: value, key=ANY).count(name="per-value")
    builder.build(strict=True)
