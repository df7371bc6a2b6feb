"""A broker starts with the settings of ops/compose.yaml, and the bank's log works on it."""

import re
from contextlib import closing
from pathlib import Path

from tests.kafka.cluster import ROOT, cluster_or_skip

from streambank.log import TopicConfig, TopicPartition, open_log

OF_THE_CONTAINER = ("log.dirs", "listeners", "advertised.listeners", "controller.quorum.voters", "node.id")


def settings() -> dict[str, str]:
    """The image turns KAFKA_SOME_NAME into some.name."""
    text = (ROOT / "ops" / "compose.yaml").read_text()
    found = re.findall(r'^ +KAFKA_(\w+): "(.*)"$', text, re.MULTILINE)
    named = {name.lower().replace("_", "."): value for name, value in found}
    return {name: value for name, value in named.items() if name not in OF_THE_CONTAINER}


def test_a_broker_with_these_settings(tmp_path: Path) -> None:
    given = settings()
    assert given["group.consumer.session.timeout.ms"] == "10000"
    with cluster_or_skip(tmp_path / "kafka", settings=given) as cluster, closing(open_log(cluster.url)) as log:
        log.create_topics([TopicConfig(name="orders", partitions=1)])
        with log.producer().transaction() as transaction:
            transaction.append("orders", b"first", timestamp=1)
        consumer = log.consumer("readers", ["orders"])
        while not (batches := consumer.poll(10, 1.0)):
            pass
        assert batches[0].values == [b"first"]
        assert log.watermarks(TopicPartition("orders", 0)).low == 0


def test_only_this_machine_reaches_it() -> None:
    ports = re.findall(r'- "(.*:\d+)"', (ROOT / "ops" / "compose.yaml").read_text())
    assert ports == ["127.0.0.1:9092:9092"]
