"""The brokers that tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kafka.cluster import KafkaCluster, cluster_or_skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run all of them: brokers of several at once would be in each other's way."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker for all tests of this process."""
    with cluster_or_skip(tmp_path_factory.mktemp("kafka") / "brokers") as cluster:
        yield cluster
