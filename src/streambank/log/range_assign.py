"""Kafka's range assignor: which member of a group reads which partitions."""

from collections.abc import Collection, Mapping

from streambank.log.records import TopicPartition


def range_assign(
    subscriptions: Mapping[str, Collection[str]], partitions: Mapping[str, int]
) -> dict[str, list[TopicPartition]]:
    """Share out each topic's partitions among the members that want it.

    ``subscriptions`` has the topics of each member, ``partitions`` the partition count of each topic. For each topic
    by itself, the members in the order of their ids get contiguous ranges; the first ones get one more where it does
    not come out even. So the same number of every topic with the same partition count and the same readers goes to
    the same member, which is what joins need (``org.apache.kafka.clients.consumer.RangeAssignor``).
    """
    assigned: dict[str, list[TopicPartition]] = {member: [] for member in subscriptions}
    for topic in sorted(partitions):
        members = sorted(member for member, topics in subscriptions.items() if topic in topics)
        if not members:
            continue
        share, rest = divmod(partitions[topic], len(members))
        first = 0
        for position, member in enumerate(members):
            end = first + share + (position < rest)
            assigned[member] += [TopicPartition(topic, number) for number in range(first, end)]
            first = end
    return assigned
