"""The topology as data: validation, sub-topologies, names, changelogs, description."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.streams.support import ANY, IN, IN2, OUT, TABLE, topic

from streambank.log import CleanupPolicy, TopicConfig, TopicMismatchError, TopicPartition, partition_for
from streambank.log.embedded import EmbeddedLog
from streambank.streams import STRING, KStream, StreamBuilder, Topic, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver


def pair(left: object, right: object) -> list[object]:
    return [left, right]


def built(use: Callable[[StreamBuilder], object]) -> Topology:
    builder = StreamBuilder()
    use(builder)
    return builder.build()


def by_value(_key: object, value: Any) -> str:
    return str(value)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda _b: None, r"reads nothing: start with builder\.stream\(TOPIC\) or builder\.table\(TOPIC\)"),
        (
            lambda b: (b.stream(IN).to(OUT), b.table(IN).to_stream().to(OUT)),
            r"'in' is read by both 'stream\(in\)' and 'table\(in\)': read it once",
        ),
        (
            lambda b: (b.stream(IN).repartition(name="x"), b.stream(IN).repartition(name="x")),
            r"named 'to\(x-repartition\)': give one of them another name=",
        ),
        (
            lambda b: (b.stream(IN).to_table(name="x"), b.stream(IN2).group_by_key().count(name="x")),
            "named 'x': give one of them another name=",
        ),
        (
            lambda b: b.stream(IN).group_by_key().count(name="table").join(b.table(TABLE), pair),
            r"both own a store named 'table': give one of them another name=",
        ),
    ],
    ids=["nothing", "stream and table", "repartition twice", "one name twice", "a store named as a table's topic"],
)
def test_what_cannot_work_is_refused_with_the_fix(use: Callable[[StreamBuilder], object], says: str) -> None:
    with pytest.raises(TopologyError, match=says):
        built(use)


def test_a_topic_that_exists_with_other_settings_is_refused_when_the_runner_starts() -> None:
    builder = StreamBuilder()
    builder.stream(IN).to(OUT)
    with EmbeddedLog.open(None) as log:
        log.create_topics([TopicConfig(name="out", partitions=3)])
        with pytest.raises(TopicMismatchError, match="out"):
            TopologyTestDriver(builder.build(), log=log)


@pytest.mark.parametrize(
    ("use", "cut"),
    [
        (lambda b: (b.stream(IN).to(OUT), b.stream(IN2).to(OUT)), [["in"], ["in2"]]),
        (lambda b: b.stream(IN).merge(b.stream(IN2)).to(OUT), [["in", "in2"]]),
        (lambda b: b.stream(IN).join(b.table(TABLE), pair), [["table", "in"]]),
        (lambda b: b.stream(IN).group_by(by_value).count(name="n"), [["in"], ["n-repartition"]]),
        (lambda b: b.stream(IN).through(OUT).group_by_key().count(name="n"), [["in"], ["out"]]),
        (
            lambda b: b.stream(IN).select_key(by_value).join(b.table(TABLE), pair),
            [["in"], ["table", "join-table-repartition"]],
        ),
    ],
    ids=["apart", "merge", "join: tables first", "group_by", "through", "rekeyed join"],
)
def test_sub_topologies_are_what_is_joined_by_edges_and_tables(
    use: Callable[[StreamBuilder], object], cut: list[list[str]]
) -> None:
    assert [[source.topic.name for source in sub.sources] for sub in built(use).sub_topologies] == cut


def alerts() -> Topology:
    changes, thresholds = topic("changes", partitions=3), topic("thresholds", partitions=3)
    balances = topic("balances", partitions=3, cleanup_policy="compact")
    builder = StreamBuilder()
    totals = builder.stream(changes).group_by_key().reduce(lambda total, value: total + value, name="total")
    totals.to_stream().to(balances)
    counts = builder.stream(changes).group_by(by_value).count(name="per-value")
    counts.to_stream().to(topic("counts", partitions=3))
    crossed = totals.to_stream().join(builder.table(thresholds), pair, value=ANY)
    crossed.filter(lambda _key, both: both[0] < both[1]).to(topic("alerts"))
    return builder.build()


DESCRIPTION = """\
Sub-topology 0 (3 tasks)
  stream(changes) [source] topic changes
    --> total
    --> select-key-002
  total [reduce] store total (changelog: balances)
    --> to-stream(total)
  to-stream(total) [to-stream]
    --> to(balances)-001
    --> join-thresholds
  to(balances)-001 [sink] topic balances
  select-key-002 [select-key]
    --> to(per-value-repartition)
  to(per-value-repartition) [repartition] topic per-value-repartition
  table(thresholds) [table] topic thresholds, store thresholds (changelog: thresholds)
  join-thresholds [stream-table-join] reads table(thresholds)
    --> filter-004
  filter-004 [filter]
    --> to(alerts)-005
  to(alerts)-005 [sink] topic alerts
Sub-topology 1 (3 tasks)
  stream(per-value-repartition) [source] topic per-value-repartition
    --> per-value
  per-value [count] store per-value (changelog: internal)
    --> to-stream(per-value)
  to-stream(per-value) [to-stream]
    --> to(counts)-003
  to(counts)-003 [sink] topic counts"""


def test_describe() -> None:
    assert alerts().describe() == DESCRIPTION


def test_internal_topics_carry_the_applications_name_and_only_tables_are_compacted() -> None:
    names = {config.name: (config.partitions, config.cleanup_policy) for config in alerts().topic_configs("app")}
    assert names == {
        "changes": (3, "delete"),
        "thresholds": (3, "delete"),
        "balances": (3, "compact"),
        "counts": (3, "delete"),
        "alerts": (1, "delete"),
        "app-per-value-repartition": (3, "delete"),
        "app-per-value-changelog": (3, "compact"),
    }


def to_compacted(stream: KStream[Any, Any], partitions: int, policy: CleanupPolicy = "compact") -> None:
    sums = stream.group_by_key().reduce(lambda a, b: a + b, name="sum")
    sums.to_stream().to(topic("sums", partitions=partitions, cleanup_policy=policy))


def written_twice(stream: KStream[Any, Any]) -> None:
    to_compacted(stream, 4)
    stream.to(topic("sums", partitions=4, cleanup_policy="compact"))


def filtered_first(stream: KStream[Any, Any]) -> None:
    sums = stream.group_by_key().reduce(lambda a, b: a + b, name="sum")
    sums.filter(by_value).to_stream().to(topic("sums", partitions=4, cleanup_policy="compact"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("use", "changelog"),
    [
        (lambda stream: to_compacted(stream, 4), "sums"),
        (lambda stream: to_compacted(stream, 4, "delete"), "app-sum-changelog"),
        (lambda stream: to_compacted(stream, 4, "compact,delete"), "app-sum-changelog"),
        (lambda stream: to_compacted(stream, 3), "app-sum-changelog"),
        (lambda stream: to_compacted(stream, 8), "app-sum-changelog"),
        (written_twice, "app-sum-changelog"),
        (filtered_first, "app-sum-changelog"),
    ],
    ids=[
        "compacted",
        "deleted",
        "partly deleted",
        "fewer partitions",
        "more partitions",
        "two writers",
        "changed first",
    ],
)
def test_a_table_written_as_it_is_to_a_compacted_topic_has_that_as_its_changelog(
    use: Callable[[KStream[Any, Any]], None], changelog: str
) -> None:
    builder = StreamBuilder()
    use(builder.stream(topic("numbers", partitions=4)))
    topology = builder.build()
    assert topology.changelog_name(topology.stores["sum"], "app") == changelog


@pytest.mark.parametrize("partitions", [3, 4, 8])
def test_whatever_the_changelog_is_the_table_comes_back(partitions: int) -> None:
    numbers = topic("numbers", partitions=4)
    builder = StreamBuilder()
    to_compacted(builder.stream(numbers), partitions)
    with TopologyTestDriver(builder.build()) as driver:
        for number in range(40):
            driver.write(numbers, f"key-{number % 13}", number)
        driver.run()
        kept = driver.store("sum")
        assert kept == {f"key-{n}": sum(range(n, 40, 13)) for n in range(13)}
        driver.crash()
        assert driver.store("sum") == kept
        records = driver.read_records("sums")
    assert {record.partition for record in records} == {
        partition_for(record.key or b"", partitions) for record in records
    }


def test_an_output_topic_that_is_the_changelog_is_written_in_the_tasks_own_partition() -> None:
    numbers, sums = topic("numbers", partitions=4), topic("sums", partitions=4, cleanup_policy="compact")
    builder = StreamBuilder()
    builder.stream(numbers).group_by_key().reduce(lambda a, b: a + b, name="sum").to_stream().to(sums)
    with TopologyTestDriver(builder.build()) as driver:
        for partition in (3, 1, 3):  # where the key does not belong: the writer chose so
            driver.pipe(numbers, "k", 1, partition=partition)
        places = [(record.partition, record.value) for record in driver.read_records("sums")]
        assert places == [(1, b"1"), (3, b"1"), (3, b"2")]
        driver.crash()
        driver.pipe(numbers, "k", 1, partition=3)
        assert [record.value for record in driver.read_records("sums")] == [b"3"]
        assert driver.log.watermarks(TopicPartition("sums", 3)) == (0, 3)


def test_repartition_may_change_the_partition_count_and_keeps_null_keys() -> None:
    entries = topic("entries", partitions=2)
    builder = StreamBuilder()
    builder.stream(entries).repartition(name="wide", partitions=5).to(OUT)
    topology = builder.build()
    assert [(sub.index, sub.partitions) for sub in topology.sub_topologies] == [(0, 2), (1, 5)]
    with TopologyTestDriver(topology) as driver:
        driver.pipe(entries, "k", 1, 10)
        driver.pipe(entries, None, 2, 20)
        assert driver.read(OUT) == [("k", 1, 10), (None, 2, 20)]
        places = {record.key: record.partition for record in driver.read_records("test-wide-repartition")}
    assert places[b'"k"'] == partition_for(b'"k"', 5)
    assert not driver.runner.drops


def test_an_empty_key_is_a_key() -> None:
    words = Topic(name="words", key=STRING, value=STRING, partitions=1)
    builder = StreamBuilder()
    builder.stream(words).group_by_key().count(name="n").to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(words, "", "")
        assert driver.store("n") == {"": 1}
