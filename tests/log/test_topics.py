"""Topic settings are checked when they are made."""

from collections.abc import Callable

import pytest

from streambank.log import TopicConfig


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "x" * 250])
def test_names_that_kafka_refuses(name: str) -> None:
    with pytest.raises(ValueError, match="topic name"):
        TopicConfig(name=name)


@pytest.mark.parametrize("name", ["a", "balance.changed", "A_b-9", "x" * 249])
def test_names_that_kafka_takes(name: str) -> None:
    assert TopicConfig(name=name).name == name


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (lambda: TopicConfig(name="t", partitions=0), "partitions"),
        (lambda: TopicConfig(name="t", partitions=10_001), "partitions"),
        (lambda: TopicConfig(name="t", cleanup_policy="shred"), "policy"),  # type: ignore[arg-type]
        (lambda: TopicConfig(name="t", retention_ms=-2), "retention"),
        (lambda: TopicConfig(name="t", delete_retention_ms=-1), "retention"),
    ],
)
def test_settings_out_of_range(config: Callable[[], TopicConfig], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config()


@pytest.mark.parametrize(("policy", "compacted"), [("delete", False), ("compact", True), ("compact,delete", True)])
def test_compacted(policy: str, compacted: bool) -> None:
    assert TopicConfig(name="t", cleanup_policy=policy).compacted is compacted  # type: ignore[arg-type]
