"""The event log on Apache Kafka, by confluent-kafka (librdkafka). Needs the extra ``streambank[kafka]``."""

from streambank.log.kafka.log import KafkaLog
from streambank.log.kafka.settings import KafkaSettings

__all__ = ["KafkaLog", "KafkaSettings"]
