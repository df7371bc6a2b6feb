"""Apache Kafka passes the suite that every event log passes."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import ClassVar

import pytest
from confluent_kafka.admin import AdminClient
from tests.kafka.cluster import KafkaCluster
from tests.log.conformance import LogConformance, ReadingConformance, TopicConformance, WritingConformance
from tests.log.group_conformance import GroupConformance, MembershipConformance

from streambank.log import EventLog, open_log

GONE_S = 30.0


def empty(cluster: KafkaCluster) -> None:
    """Remove every topic and every group, and wait until the broker has forgotten them."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})

    def present() -> list[str]:
        return [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]

    names = present()
    groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
    for futures in (
        admin.delete_topics(names) if names else {},
        admin.delete_consumer_groups(groups) if groups else {},
    ):
        for future in futures.values():
            future.result()
    deadline = time.monotonic() + GONE_S
    while present():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class OnKafka(LogConformance):
    features: ClassVar[frozenset[str]] = frozenset({"memberless_fenced"})

    protocol: ClassVar[str] = "consumer"

    @pytest.fixture
    def log(self, kafka: KafkaCluster) -> Iterator[EventLog]:
        with closing(open_log(f"{kafka.url}?group.protocol={self.protocol}")) as log:
            yield log
        empty(kafka)


class Classic(OnKafka):
    """Members that rebalance by the protocol from before KIP-848, in which all give everything back."""

    protocol = "classic"


class TestTopics(OnKafka, TopicConformance):
    pass


class TestWriting(OnKafka, WritingConformance):
    pass


class TestReading(OnKafka, ReadingConformance):
    pass


class TestGroups(OnKafka, GroupConformance):
    pass


class TestMembership(OnKafka, MembershipConformance):
    pass


class TestClassicGroups(Classic, GroupConformance):
    pass


class TestClassicMembership(Classic, MembershipConformance):
    pass
