"""A group reads again from elsewhere; an application begins anew, or not at all."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from streambank.log import GroupMetadata, OffsetAndMetadata, TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import STRING, StreamBuilder, StreamRunner, StreamsConfig, Topic, Topology, TopologyError
from streambank.streams.reset import ResetError, apply_reset, plan_reset

IN = Topic(name="in", key=STRING, value=STRING, partitions=2)
LEVELS = Topic(name="levels", key=STRING, value=STRING, partitions=2, cleanup_policy="compact")


@pytest.fixture
def log() -> Iterator[EmbeddedLog]:
    with EmbeddedLog.open(None) as log:
        log.create_topics([IN.config, LEVELS.config])
        yield log


def topology() -> Topology:
    builder = StreamBuilder()
    levels = builder.table(LEVELS)
    counts = builder.stream(IN).group_by(lambda key, value: value, key=STRING).count(name="counts")
    counts.join(levels, lambda count, level: f"{count}/{level}").to_stream()
    return builder.build()


def put(log: EmbeddedLog, topic: Topic[str, str], *pairs: tuple[str, str]) -> None:
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        for key, value in pairs:
            topic.write(transaction, key, value, 1_000)


def counts(log: EmbeddedLog) -> dict[str, int]:
    """What the application has once it has processed everything."""
    with closing(StreamRunner(topology(), log, StreamsConfig(application_id="app"))) as runner:
        while runner.step() or runner.step():
            pass
        return {key: stored[0] for store in runner.stores("counts") for key, stored in store.items()}


def low(log: EmbeddedLog, at: TopicPartition) -> int:
    return log.watermarks(at).low


def test_an_application_begins_anew(log: EmbeddedLog) -> None:
    put(log, LEVELS, ("x", "high"))
    put(log, IN, ("1", "x"), ("2", "x"), ("3", "y"))
    assert counts(log) == {"x": 2, "y": 1}
    reset = plan_reset(log, "app", lambda at: low(log, at))
    assert set(reset.deleted) == {"app-counts-changelog", "app-counts-repartition"}
    assert {at.topic for at in reset.after} == {"in", "levels"}
    assert "app-counts-changelog" in log.topics(), "a plan changes nothing"

    apply_reset(log, reset)
    assert not any(name.startswith("app-") for name in log.topics())
    assert counts(log) == {"x": 2, "y": 1}, "neither doubled nor lost"


def test_from_a_later_record_on(log: EmbeddedLog) -> None:
    put(log, IN, ("k", "old"))
    assert counts(log) == {"old": 1}
    put(log, IN, ("k", "new"))
    apply_reset(log, plan_reset(log, "app", lambda at: min(1, log.watermarks(at).high)))
    assert counts(log) == {"new": 1}


@pytest.mark.parametrize("step", ["delete_topics", "producer"])
def test_one_that_is_interrupted_must_be_repeated(log: EmbeddedLog, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(log, IN, ("1", "x"), ("2", "x"))
    counts(log)
    reset = plan_reset(log, "app", lambda at: low(log, at))

    class KilledError(Exception):
        pass

    with monkeypatch.context() as patch:
        if step == "delete_topics":
            patch.setattr(log, "delete_topics", _raise(KilledError))
        else:
            patch.setattr("streambank.streams.reset.OffsetAndMetadata", _raise(KilledError))
        with pytest.raises(KilledError):
            apply_reset(log, reset)
    with pytest.raises(TopologyError, match="app: a reset of this application was interrupted"):
        counts(log)
    apply_reset(log, plan_reset(log, "app", lambda at: low(log, at)))
    assert counts(log) == {"x": 2}


def _raise(error: type[Exception]):  # type: ignore[no-untyped-def]
    def fail(*_: object) -> None:
        raise error

    return fail


def test_another_group_keeps_nothing_but_its_positions(log: EmbeddedLog) -> None:
    put(log, IN, *((str(n), "x") for n in range(10)))
    at = TopicPartition("in", 0)
    with closing(log.producer()) as producer, producer.transaction() as transaction:
        transaction.commit_offsets(GroupMetadata("plain"), {at: OffsetAndMetadata(3, "kept with it")})
    reset = plan_reset(log, "plain", lambda _: 1)
    assert (reset.before, reset.after, reset.deleted, reset.is_application) == ({at: 3}, {at: 1}, (), False)
    apply_reset(log, reset)
    assert log.committed("plain") == {at: OffsetAndMetadata(1, "")}


def test_what_cannot_be_reset(log: EmbeddedLog) -> None:
    with pytest.raises(ResetError, match="no group 'nobody'"):
        plan_reset(log, "nobody", lambda _: 0)
    put(log, IN, ("1", "x"))
    counts(log)
    with closing(log.consumer("app", ["in"])) as member:
        member.poll(1, 0.0)
        with pytest.raises(ResetError, match="1 live members: stop them"):
            plan_reset(log, "app", lambda _: 0)


def test_an_application_whose_name_begins_like_another_s(log: EmbeddedLog) -> None:
    put(log, IN, ("1", "x"))
    counts(log)
    log.create_topics([TopicConfig(name="app-counts-more-changelog")])
    assert "app-counts-more-changelog" not in plan_reset(log, "app", lambda at: low(log, at)).deleted
