import pytest
from tests.streams.support import IN, IN2, OUT, topic

from streambank.streams import StreamBuilder, TopologyError
from streambank.streams.testing import TopologyTestDriver


def test_time_decides_between_the_streams_and_offsets_within_one() -> None:
    #  time   1    2    3    4    5    6
    #  in     a         d(after e by offset: 3 comes after 5)
    #  in2         b         c              f
    builder = StreamBuilder()
    builder.stream(IN).merge(builder.stream(IN2)).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for key, at in (("a", 1), ("e", 5), ("d", 3)):
            driver.write(IN, key, None, at)
        for key, at in (("b", 2), ("c", 4), ("f", 6)):
            driver.write(IN2, key, None, at)
        driver.run()
        assert [record.key for record in driver.read(OUT)] == ["a", "b", "c", "e", "d", "f"]


def test_a_stream_merged_with_itself_comes_twice() -> None:
    builder = StreamBuilder()
    stream = builder.stream(IN)
    stream.merge(stream).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(IN, "a", 1, 10)
        assert driver.read(OUT) == [("a", 1, 10)] * 2


def test_merging_a_rekeyed_stream_lets_the_result_be_repartitioned() -> None:
    builder = StreamBuilder()
    rekeyed = builder.stream(IN).map(lambda key, value: (value, key), key=IN.key, value=IN.value)
    builder.stream(IN2).merge(rekeyed).group_by_key().count(name="n")
    assert "n-repartition" in builder.build().internal


def test_streams_of_different_builders_cannot_meet() -> None:
    with pytest.raises(TopologyError, match="different builders"):
        StreamBuilder().stream(IN).merge(StreamBuilder().stream(IN2))


def test_streams_of_different_partition_counts_are_refused_with_the_fix() -> None:
    builder = StreamBuilder()
    builder.stream(topic("one", partitions=1)).merge(builder.stream(topic("two", partitions=2))).to(OUT)
    with pytest.raises(TopologyError, match=r"one \(1\), two \(2\).*\.repartition\(partitions=\.\.\.\)"):
        builder.build()
