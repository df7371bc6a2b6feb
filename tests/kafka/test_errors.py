"""What goes wrong with a cluster says what it is, and what to do; secrets are in none of it."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from tests.kafka.cluster import KafkaCluster, cluster_or_skip, free_ports

from streambank.log import EventLog, LogError, TopicConfig, TopicMismatchError, TopicPartition, open_log
from streambank.log.kafka.errors import translate

ADMIN_PASSWORD, USER_PASSWORD = "admin-secret", "user-secret"
ORDERS = TopicConfig(name="orders", partitions=2)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A broker with SASL and ACLs: ``admin`` may do everything, ``user`` nothing yet."""
    (port,) = free_ports(1)
    users = f'user_admin="{ADMIN_PASSWORD}" user_user="{USER_PASSWORD}"'
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": f"{module} {users};",
    }
    cluster = cluster_or_skip(tmp_path_factory.mktemp("secured") / "kafka", settings=settings, listeners={"SASL": port})
    with cluster, closing(open_log(cluster.url)) as log:
        log.create_topics([ORDERS])
        yield cluster


def url(cluster: KafkaCluster, user: str, password: str) -> str:
    settings = f"security.protocol=sasl_plaintext&sasl.mechanism=PLAIN&sasl.username={user}&sasl.password={password}"
    return f"kafka://127.0.0.1:{cluster.listeners['SASL']}?{settings}"


@pytest.fixture
def user(secured: KafkaCluster) -> Iterator[EventLog]:
    with closing(open_log(url(secured, "user", USER_PASSWORD))) as log:
        yield log


def test_settings_of_the_address_reach_the_client(secured: KafkaCluster) -> None:
    with closing(open_log(url(secured, "admin", ADMIN_PASSWORD))) as log:
        with log.producer().transaction() as transaction:
            transaction.append("orders", b"1", timestamp=1, partition=0)
        assert log.read(TopicPartition("orders", 0), 0).values == [b"1"]
        with closing(log.consumer("readers", ["orders"])) as consumer:
            while not (batches := consumer.poll(1, 1.0)):
                pass
            assert batches[0].values == [b"1"]


def test_settings_from_a_file(secured: KafkaCluster, tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(
        "# of the cluster\nsecurity.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\n"
        f"sasl.username=admin\nsasl.password={ADMIN_PASSWORD}\n"
    )
    with closing(open_log(f"kafka://127.0.0.1:{secured.listeners['SASL']}?config={file}")) as log:
        assert log.topics()["orders"] == ORDERS


def test_wrong_credentials(secured: KafkaCluster, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LogError) as raised:
        open_log(url(secured, "user", "not-it"))
    text = str(raised.value)
    assert "127.0.0.1" in text
    assert "not-it" not in text + caplog.text


def test_a_missing_acl_is_named(user: EventLog) -> None:
    with pytest.raises(LogError, match=r"the cluster denies this user .*growing-onto-kafka.md"):
        user.create_topics([TopicConfig(name="new")])
    with pytest.raises(LogError, match=r"denies this user|no topic 'orders'"), user.producer().transaction() as writing:
        writing.append("orders", b"1", timestamp=1, partition=0)
    with pytest.raises(LogError, match=r"'readers'.*the cluster denies this user the access to the group"):
        user.describe_group("readers")


def test_nobody_answers() -> None:
    (port,) = free_ports(1)
    began = time.monotonic()
    with pytest.raises(LogError, match=rf"127.0.0.1:{port}: no broker answers.*Is the address right"):
        open_log(f"kafka://127.0.0.1:{port}")
    assert time.monotonic() - began < 15


def test_a_topic_with_another_number_of_partitions(kafka: KafkaCluster) -> None:
    with closing(open_log(kafka.url)) as log:
        log.create_topics([TopicConfig(name="mismatch", partitions=2)])
        with pytest.raises(TopicMismatchError, match="topic 'mismatch' exists with partitions 2, not 3"):
            log.create_topics([TopicConfig(name="mismatch", partitions=3)])


@pytest.mark.parametrize("code", [KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION])
def test_a_broker_that_is_too_old(code: int) -> None:
    error = translate(KafkaError(code, "old"), "group 'readers'")
    assert "group 'readers': the broker is too old" in str(error)
    assert "?group.protocol=classic" in str(error)


@pytest.mark.slow
def test_a_broker_without_the_consumer_protocol(tmp_path: Path) -> None:
    settings = {"group.coordinator.rebalance.protocols": "classic"}
    with cluster_or_skip(tmp_path / "kafka", settings=settings) as cluster:
        with closing(open_log(cluster.url)) as log:
            log.create_topics([ORDERS])
            with pytest.raises(LogError, match=r"the broker is too old.*\?group.protocol=classic"):
                poll_once(log)
        with closing(open_log(f"{cluster.url}?group.protocol=classic")) as log:
            assert poll_once(log) == {TopicPartition("orders", 0), TopicPartition("orders", 1)}


def poll_once(log: EventLog) -> frozenset[TopicPartition]:
    """What a member is assigned."""
    with closing(log.consumer("readers", ["orders"])) as consumer:
        deadline = time.monotonic() + 20
        while not consumer.assignment and time.monotonic() < deadline:
            consumer.poll(1, 0.2)
        return consumer.assignment
