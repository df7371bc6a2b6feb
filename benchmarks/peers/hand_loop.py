"""The reference workload as a loop written by hand on confluent-kafka: exactly once, and nothing more.

No rebalancing, no restore, no headers, no order by time: an upper limit for a library in Python.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.workload import Alert, Balance, Change, Notification, Profile, Threshold

BATCH_RECORDS = 10_000


def _table(bootstrap: str, topic: str, partitions: int, type_: type[Any]) -> dict[str, Any]:
    """The last value of each key."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    decode, rows, ended = msgspec.json.Decoder(type_).decode, {}, 0
    while ended < partitions:
        for message in consumer.consume(BATCH_RECORDS, 0.1):
            if message.error() is not None:
                ended += 1
            else:
                key: Any = message.key()
                rows[key.decode()] = decode(message.value() or b"")
    consumer.close()
    return rows


def main(bootstrap: str, name: str, events: int, partitions: int) -> None:
    """Process so many events."""
    levels = {key: row.level for key, row in _table(bootstrap, "threshold", partitions, Threshold).items()}
    emails = {key: row.email for key, row in _table(bootstrap, "profile", partitions, Profile).items()}
    decode, encode = msgspec.json.Decoder(Change).decode, msgspec.json.Encoder().encode
    balances: dict[str, int] = {}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": name,
            "group.protocol": "consumer",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "linger.ms": 100,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    producer.init_transactions()
    consumer.subscribe(["change"])
    produce, balance_topic, alert_topic = producer.produce, f"balance-{name}", f"alert-{name}"
    done = 0
    while done < events:
        messages: list[Any] = consumer.consume(1, 1.0)
        if not messages:
            continue
        messages += consumer.consume(BATCH_RECORDS - 1, 0)
        producer.begin_transaction()
        for message in messages:
            change = decode(message.value())
            account, at = change.account_id, message.timestamp()[1]
            before = balances.get(account, 0)
            after = balances[account] = before + change.amount
            value = encode(Balance(change.user_id, before, after, change.entry_id))
            produce(balance_topic, value, message.key(), message.partition(), timestamp=at)
            level = levels[account]
            if before >= level > after:
                user = change.user_id
                alert = Notification(Alert("", user, level, before, after, change.entry_id), emails[user])
                produce(alert_topic, encode(alert), user.encode(), timestamp=at)
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
        done += len(messages)
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
