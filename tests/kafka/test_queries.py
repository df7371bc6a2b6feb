"""Queries across members on Kafka."""

from contextlib import closing

from tests.kafka.cluster import KafkaCluster
from tests.streams.test_remote_queries import WORDS, Members, check_every_answer, settled

from streambank.log import open_log


def test_any_member_answers_for_any_key(kafka: KafkaCluster) -> None:
    with closing(open_log(kafka.url)) as log:
        log.create_topics([WORDS.config])
        with closing(Members(log)) as members:
            one, other = members.add(), members.add()
            settled(one, other)
            check_every_answer(log, one, other)
