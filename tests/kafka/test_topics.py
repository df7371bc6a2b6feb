"""What topics are created with, as the broker has it."""

from contextlib import closing

from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from tests.kafka.cluster import KafkaCluster

from streambank.log import TopicConfig, open_log
from streambank.log.topics import MAX_COMPACTION_LAG_MS


def test_what_was_replaced_in_a_compacted_topic_does_not_stay_for_ever(kafka: KafkaCluster) -> None:
    compacted = TopicConfig(name="lag.compacted", partitions=1, cleanup_policy="compact")
    kept = TopicConfig(name="lag.kept", partitions=1)
    with closing(open_log(kafka.url)) as log:
        log.create_topics([compacted, kept])
    resources = [ConfigResource(ResourceType.TOPIC, config.name) for config in (compacted, kept)]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    found = admin.describe_configs(resources)
    lags = {resource.name: int(future.result()["max.compaction.lag.ms"].value) for resource, future in found.items()}
    assert lags == {"lag.compacted": MAX_COMPACTION_LAG_MS, "lag.kept": 2**63 - 1}
