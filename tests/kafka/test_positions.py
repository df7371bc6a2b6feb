"""Reading one's own writes through another service, with the log on Kafka: marks of transactions hold nobody up."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.kafka.cluster import KafkaCluster
from tests.service.http.test_positions import Pair, made
from tests.service.support import NUMBERS, rows

from streambank.log import open_log
from streambank.streams import StreamBuilder, StreamRunner, StreamsConfig, Topic

COPIES = Topic(name="copies-of-numbers", key=NUMBERS.key, value=NUMBERS.value)


@pytest.fixture
def pair(kafka: KafkaCluster, tmp_path: Path) -> Iterator[Pair]:
    with closing(open_log(kafka.url)) as log, made(log, tmp_path) as pair:
        yield pair


def test_whoever_has_every_record_has_everything(pair: Pair) -> None:
    pair.relay.step()
    stop_s = time.monotonic() + 60
    while len(rows(pair.reader._database)) < 5:
        assert time.monotonic() < stop_s
        pair.projection.step(0.1)
    pair.reader.wait(pair.position)
    pair.reader.wait_caught_up()
    assert pair.slept == []
    builder = StreamBuilder()
    builder.stream(NUMBERS).to(COPIES)
    with closing(StreamRunner(builder.build(), pair.log, StreamsConfig(application_id="application"))) as runner:
        while runner.counters.records < 5:
            assert time.monotonic() < stop_s
            runner.step(0.1)
        pair.through("application").wait(pair.position)
    assert pair.slept == []
