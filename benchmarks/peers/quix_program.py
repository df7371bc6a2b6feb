"""Run by :mod:`benchmarks.peers.quix`, in an environment without streambank."""

import sys
import uuid

import msgspec
from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig


def table(bootstrap, topic, partitions):
    """The last value of each key."""
    settings = {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.partition.eof": True}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    rows, ended = {}, 0
    while ended < partitions:
        for message in consumer.consume(10_000, 0.1):
            if message.error() is not None:
                ended += 1
            else:
                rows[message.key().decode()] = msgspec.json.decode(message.value())
    consumer.close()
    return rows


def main(bootstrap, name, partitions):
    """Process what comes, until it is ended."""
    levels, emails = table(bootstrap, "threshold", partitions), table(bootstrap, "profile", partitions)
    app = Application(
        broker_address=ConnectionConfig(bootstrap_servers=bootstrap),
        consumer_group=name,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_every=10_000,
        commit_interval=1.0,
        state_dir=f"/tmp/quix-{uuid.uuid4().hex}",
        loglevel="ERROR",
    )
    encode, decode = msgspec.json.encode, msgspec.json.decode
    change = app.topic("change", value_deserializer="bytes", key_deserializer="bytes")
    balance = app.topic(f"balance-{name}", value_serializer="bytes", key_serializer="bytes")
    alert = app.topic(f"alert-{name}", value_serializer="bytes", key_serializer="bytes")

    def apply(value, state):
        row = decode(value)
        before = state.get("balance", 0)
        after = before + row["amount"]
        state.set("balance", after)
        return {**row, "before": before, "after": after}

    def outcome(row):
        return encode({name: row[name] for name in ("user_id", "before", "after", "entry_id")})

    def crosses(row):
        return row["before"] >= levels[row["account_id"]]["level"] > row["after"]

    def with_email(row):
        row = {**row, "account_id": "", "level": levels[row["account_id"]]["level"]}
        # In the order in which the others write them, since bytes are compared.
        names = ("account_id", "user_id", "level", "before", "after", "entry_id")
        return {"alert": {name: row[name] for name in names}, "email": emails[row["user_id"]]["email"]}

    rows = app.dataframe(change).apply(apply, stateful=True)
    rows.apply(outcome).to_topic(balance)
    alerts = rows.filter(crosses).apply(with_email)
    alerts.apply(encode).to_topic(alert, key=lambda value: decode(value)["alert"]["user_id"].encode())
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
