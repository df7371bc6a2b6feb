"""A changed topology started on what an earlier one has stored."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.streams.support import ANY, IN, OUT, TABLE, topic

from streambank.log import TopicConfig
from streambank.log.embedded import EmbeddedLog
from streambank.streams import (
    LONG,
    STRING,
    JsonSerde,
    Serde,
    StoredTopology,
    StreamBuilder,
    Topic,
    Topology,
    TopologyError,
)
from streambank.streams.operators.foreign_key_join import ResponseSerde
from streambank.streams.operators.table_group_by import ChangeSerde
from streambank.streams.serde import fingerprint
from streambank.streams.stores.join_buffer import BufferKeySerde
from streambank.streams.stores.join_grace_buffer import join_grace_buffer
from streambank.streams.stores.subscription import ReferenceSerde
from streambank.streams.stores.suppression import HeldSerde
from streambank.streams.stores.versioned import versioned_store
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed import SessionWindowedSerde, TimeWindowedSerde


class Total(msgspec.Struct):
    amount: int = 0


class TotalAndNote(msgspec.Struct):
    amount: int = 0
    note: str = ""


class TotalInWords(msgspec.Struct):
    amount: str = ""


@pytest.fixture
def log() -> Iterator[EmbeddedLog]:
    with EmbeddedLog.open(None) as opened:
        yield opened


def counted(
    *, source: Topic[Any, Any] = IN, name: str = "n", value: Serde[Any] = LONG, to: Topic[Any, Any] = OUT
) -> Topology:
    builder = StreamBuilder()
    grouped = builder.stream(source).group_by(lambda _key, given: given, key=ANY)
    counts = grouped.aggregate(lambda: 0, lambda _key, _given, total: total + 1, name=name, value=value)
    counts.to_stream().to(to)
    return builder.build()


def kept(value: Serde[Any]) -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().aggregate(Total, lambda _key, _value, total: total, name="n", value=value)
    return builder.build()


def table(history_retention_ms: int | None = None) -> Topology:
    builder = StreamBuilder()
    rows = builder.table(TABLE, history_retention_ms=history_retention_ms)
    builder.stream(IN).join(rows, lambda value, row: [value, row], value=ANY).to(OUT)
    return builder.build()


def ran(topology: Topology, log: EmbeddedLog) -> None:
    with TopologyTestDriver(topology, log=log) as driver:
        driver.pipe(IN, "k", "a", 1)


def warnings(topology: Topology, log: EmbeddedLog) -> list[dict[str, Any]]:
    with capture_logs() as logs:
        TopologyTestDriver(topology, log=log).close()
    return [dict(entry) for entry in logs if entry["log_level"] == "warning"]


def compacted(name: str) -> Topic[Any, Any]:
    return topic(name, cleanup_policy="compact")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            lambda: counted(),
            lambda: counted(source=topic("more", partitions=3)),
            "'test-n-changelog' has 1 partitions .*to have 3 .*'test-n-repartition' has 1 partitions",
        ),
        (lambda: counted(), lambda: counted(value=STRING), "values of .n. were LongSerde and are now StringSerde"),
        (lambda: kept(JsonSerde(Total)), lambda: kept(JsonSerde(TotalInWords)), "the values of 'n' were .*integer"),
        (lambda: kept(JsonSerde(Total)), lambda: kept(LONG), "the values of 'n' were .* now LongSerde"),
        (lambda: table(), lambda: table(10), "'table' was of kind key-value, rebuilt by 'table', .* versioned"),
        (
            lambda: counted(),
            lambda: counted(to=compacted("counts")),
            "'n' was of kind key-value, rebuilt by 'test-n-changelog', .* rebuilt by 'counts'",
        ),
    ],
    ids=["partitions", "serde", "type of a field", "JSON to another", "versioned", "another changelog"],
)
def test_what_does_not_fit_is_refused_before_anything_is_created_or_processed(
    before: Callable[[], Topology], after: Callable[[], Topology], says: str, log: EmbeddedLog
) -> None:
    ran(before(), log)
    topics, committed = log.topics(), log.committed("test")
    with pytest.raises(TopologyError, match=says) as raised:
        TopologyTestDriver(after(), log=log)
    assert "another name=" in str(raised.value)
    assert "another application_id" in str(raised.value)
    assert (log.topics(), log.committed("test")) == (topics, committed)
    assert warnings(before(), log) == []


def test_the_ways_out_that_the_refusal_names_are_ways_out(log: EmbeddedLog) -> None:
    ran(counted(), log)
    with TopologyTestDriver(counted(value=ANY), log=log, application_id="again") as driver:
        assert driver.store("n") == {"a": 1}
    with TopologyTestDriver(counted(value=ANY, name="m"), log=log) as driver:
        driver.pipe(IN, "k", "a", 2)
        assert driver.store("m") == {"a": 1}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda: counted(), lambda: counted()),
        (lambda: kept(JsonSerde(Total)), lambda: kept(JsonSerde(TotalAndNote))),
        (lambda: kept(JsonSerde(TotalAndNote)), lambda: kept(JsonSerde(Total))),
        (lambda: kept(JsonSerde(TotalInWords)), lambda: kept(ANY)),
        (lambda: table(10), lambda: table(20)),
    ],
    ids=["the same", "a field more", "a field less", "any JSON", "a longer history"],
)
def test_what_fits_starts_without_a_word(
    before: Callable[[], Topology], after: Callable[[], Topology], log: EmbeddedLog
) -> None:
    ran(before(), log)
    assert warnings(after(), log) == []


def test_a_fitting_change_is_what_the_next_one_is_compared_with(log: EmbeddedLog) -> None:
    ran(kept(JsonSerde(Total)), log)
    ran(kept(ANY), log)
    with pytest.raises(TopologyError, match=r"the values of 'n' were .*are now"):
        TopologyTestDriver(kept(JsonSerde(Total)), log=log)


def test_the_record_is_written_only_when_something_changed(log: EmbeddedLog) -> None:
    for _ in range(3):
        ran(counted(), log)
    with TopologyTestDriver(counted(), log=log) as driver:
        assert [record.key for record in driver.read_records("test-topology")] == [b"n", b"n-repartition"]
    assert log.topics()["test-topology"] == TopicConfig(name="test-topology", partitions=1, cleanup_policy="compact")


def test_what_is_left_over_is_listed_at_every_start_until_it_is_deleted(log: EmbeddedLog) -> None:
    ran(counted(), log)
    renamed = counted(name="renamed")
    for begins_empty in (["renamed", "renamed-repartition"], []):
        [warning] = warnings(renamed, log)
        assert warning["topics"] == ["test-n-changelog", "test-n-repartition"]
        assert warning["begins_empty"] == begins_empty
        assert "give back the old name=" in warning["fix"]
    stored = StoredTopology(renamed, log, "test")
    assert stored.delete_orphans() == ["test-n-changelog", "test-n-repartition"]
    assert not {"test-n-changelog", "test-n-repartition"} & log.topics().keys()
    assert dict(stored.orphans) == {}
    assert warnings(renamed, log) == []
    with TopologyTestDriver(renamed, log=log) as driver:
        assert driver.store("renamed") == {}


def test_a_name_given_back_goes_on_with_its_state(log: EmbeddedLog) -> None:
    ran(counted(), log)
    ran(counted(name="renamed"), log)
    with TopologyTestDriver(counted(), log=log) as driver:
        driver.pipe(IN, "k", "a", 3)
        assert driver.store("n") == {"a": 2}


def test_a_table_that_is_no_longer_kept_leaves_nothing(log: EmbeddedLog) -> None:
    ran(table(), log)
    assert warnings(counted(), log) == []


def test_what_ran_before_topologies_were_recorded_is_known_by_its_topics(log: EmbeddedLog) -> None:
    names = [
        "test-gone-changelog",
        "test-gone-repartition",
        "test-n-changelog",
        "test-other-x-changelog",
        "x-changelog",
    ]
    configs = [TopicConfig(name=name, partitions=1, cleanup_policy="compact") for name in names]
    configs[1] = TopicConfig(name=names[1], partitions=1)
    log.create_topics([*configs, TopicConfig(name="in", partitions=1)])
    log.consumer("test-other", ["in"])
    for _ in range(2):
        [warning] = warnings(counted(), log)
        assert warning["topics"] == ["test-gone-changelog", "test-gone-repartition"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TimeWindowedSerde(STRING, 10), TimeWindowedSerde(STRING, 20)),
        (TimeWindowedSerde(STRING, 10), SessionWindowedSerde(STRING)),
        (SessionWindowedSerde(STRING), SessionWindowedSerde(LONG)),
        (versioned_store("s", STRING, STRING, 1).value, versioned_store("s", STRING, LONG, 1).value),
        (versioned_store("s", STRING, STRING, 1).key, versioned_store("s", LONG, STRING, 1).key),
        (join_grace_buffer("s", STRING, STRING).value, join_grace_buffer("s", STRING, LONG).value),
        (join_grace_buffer("s", STRING, STRING).key, join_grace_buffer("s", LONG, STRING).key),
        (BufferKeySerde(STRING), BufferKeySerde(LONG)),
        (HeldSerde(STRING), HeldSerde(LONG)),
        (ReferenceSerde(STRING), ReferenceSerde(LONG)),
        (ChangeSerde(STRING), ChangeSerde(LONG)),
        (ResponseSerde(STRING, STRING), ResponseSerde(STRING, LONG)),
        (ResponseSerde(STRING, STRING), ResponseSerde(LONG, STRING)),
    ],
)
def test_serdes_that_hold_others_tell_them_apart(one: Serde[Any], other: Serde[Any]) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert msgspec.json.decode(msgspec.json.encode(fingerprint(one))) == fingerprint(one)


def test_a_fingerprint_is_as_it_is_read_back() -> None:
    class Gathered(msgspec.Struct):
        found: tuple[int, ...] = ()
        by_name: dict[str, tuple[str, int]] = {}

    known = fingerprint(JsonSerde(Gathered))
    assert msgspec.json.decode(msgspec.json.encode(known)) == known
