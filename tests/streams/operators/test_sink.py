import pytest
from tests.streams.support import ANY, IN, OUT, topic

from streambank.log import encode_headers, partition_for
from streambank.streams import StreamBuilder
from streambank.streams.testing import TopologyTestDriver


def stamped(value: object, timestamp: int) -> bytes | None:
    return encode_headers([("stamp", f"{value}@{timestamp}".encode())])


@pytest.mark.parametrize(
    ("headers_of", "value", "written"),
    [
        (None, 1, (("trace", b"7"),)),
        (None, None, (("trace", b"7"),)),
        (stamped, 1, (("stamp", b"1@10"),)),
        (stamped, None, ()),
    ],
    ids=["the record's", "the record's on a tombstone", "the topic's", "none of the topic's on a tombstone"],
)
def test_headers(headers_of: object, value: int | None, written: tuple[tuple[str, bytes], ...]) -> None:
    assert headers_of is None or callable(headers_of)
    to = topic("stamped", headers=headers_of)
    builder = StreamBuilder()
    builder.stream(IN).to(to)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", value, 10, headers=(("trace", b"7"),))
        assert [record.headers for record in driver.read_records("stamped")] == [written]


def test_records_without_a_key_take_turns_and_others_go_where_their_key_belongs() -> None:
    spread = topic("spread", partitions=3)
    builder = StreamBuilder()
    builder.stream(IN).to(spread)
    with TopologyTestDriver(builder.build()) as driver:
        for number in range(6):
            driver.pipe(IN, None, number)
            driver.pipe(IN, "k", number)
        records = driver.read_records("spread")
    keyless = [record.partition for record in records if record.key is None]
    assert sorted(keyless) == [0, 0, 1, 1, 2, 2]
    assert {record.partition for record in records if record.key is not None} == {partition_for(b'"k"', 3)}


@pytest.mark.parametrize(("chain", "dropped"), [("group", 1), ("join", 1), ("left join", 0)])
def test_a_repartition_topic_takes_null_keys_only_where_the_operator_behind_it_does(chain: str, dropped: int) -> None:
    builder = StreamBuilder()
    rekeyed = builder.stream(IN).select_key(lambda _key, _value: None, key=ANY)
    table = builder.table(topic("rows"))
    if chain == "group":
        rekeyed.group_by_key().count(name="n").to_stream().to(OUT)
    elif chain == "join":
        rekeyed.join(table, lambda value, row: [value, row], value=ANY).to(OUT)
    else:
        rekeyed.left_join(table, lambda value, row: [value, row], value=ANY).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1, 10)
        assert dict(driver.runner.drops) == ({"null key": dropped} if dropped else {})
        assert driver.read(OUT) == ([] if dropped else [(None, [1, None], 10)])


def test_a_value_that_cannot_be_serialised_fails_the_record_and_leaves_no_half_written_one() -> None:
    builder = StreamBuilder()
    builder.stream(IN).map_values(lambda value: object() if value == "bad" else value, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        for value in ("first", "bad", "last"):
            driver.pipe(IN, "a", value, 1)
        assert driver.read(OUT) == [("a", "first", 1), ("a", "last", 1)]
        assert [record.value for record in driver.dead_letters] == [b'"bad"']
