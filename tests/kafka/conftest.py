"""The brokers that tests share."""

from collections.abc import Iterator

import pytest
from tests.kafka.cluster import KafkaCluster, cluster_or_skip


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker for all tests of this process."""
    with cluster_or_skip(tmp_path_factory.mktemp("kafka") / "brokers") as cluster:
        yield cluster
