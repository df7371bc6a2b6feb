"""The brokers that tests share."""

from collections.abc import Iterator

import pytest
from tests.kafka.cluster import KafkaCluster, KafkaMissingError, missing_is_a_failure


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker for all tests of this process."""
    try:
        cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
    except KafkaMissingError as missing:
        if missing_is_a_failure():
            raise
        pytest.skip(str(missing))
    with cluster:
        yield cluster
