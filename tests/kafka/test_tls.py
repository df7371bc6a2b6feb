"""A cluster that speaks TLS only to those whose certificate it knows, and proves its own to them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.kafka.certificates import Authority, Credential
from tests.kafka.cluster import KafkaCluster, cluster_or_skip, free_ports

from streambank.log import LogError, TopicConfig, TopicPartition, open_log

ORDERS = TopicConfig(name="orders", partitions=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def client(authority: Authority) -> Credential:
    return authority.issue("client")


@pytest.fixture(scope="module")
def cluster(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A broker with a listener for TLS in both directions (KIP-651: certificates and keys as PEM)."""
    (port,) = free_ports(1)
    broker = authority.issue("broker")
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": _one_line(broker.certificate),
        "ssl.keystore.key": _one_line(broker.key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": _one_line(authority.certificate),
        "ssl.client.auth": "required",
    }
    folder = tmp_path_factory.mktemp("tls") / "kafka"
    with cluster_or_skip(folder, settings=settings, listeners={"TLS": port}) as cluster:
        yield cluster


def _one_line(pem: str) -> str:
    return pem.replace("\n", "\\n")


def url(cluster: KafkaCluster, **settings: object) -> str:
    given = "&".join(f"{name.replace('_', '.')}={value}" for name, value in settings.items())
    return f"kafka://127.0.0.1:{cluster.listeners['TLS']}?{given}"


def test_both_sides_prove_who_they_are(cluster: KafkaCluster, authority: Authority, client: Credential) -> None:
    file = client.key_file.with_name("kafka.properties")
    file.write_text(
        f"security.protocol=ssl\nssl.ca.location={authority.file}\n"
        f"ssl.certificate.location={client.certificate_file}\nssl.key.location={client.key_file}\n"
    )
    with closing(open_log(url(cluster, config=file))) as log:
        log.create_topics([ORDERS])
        with log.producer("writer").transaction() as transaction:
            transaction.append("orders", b"1", timestamp=1, partition=0)
        assert log.read(TopicPartition("orders", 0), 0).values == [b"1"]
        with closing(log.consumer("readers", ["orders"])) as consumer:
            while not (batches := consumer.poll(1, 1.0)):
                pass
            assert batches[0].values == [b"1"]


def test_a_broker_of_an_unknown_authority_is_not_trusted(
    cluster: KafkaCluster, client: Credential, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "another authority")
    settings = {
        "security_protocol": "ssl",
        "ssl_ca_location": stranger.file,
        "ssl_certificate_location": client.certificate_file,
        "ssl_key_location": client.key_file,
    }
    with pytest.raises(LogError, match=r"certificate verify failed.*ssl\.ca\.location"):
        open_log(url(cluster, **settings))


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.log.kafka.topics.OPEN_S", 2.0)


@pytest.mark.usefixtures("short_patience")
def test_who_has_no_certificate_is_refused(cluster: KafkaCluster, authority: Authority) -> None:
    with pytest.raises(LogError, match=rf"127\.0\.0\.1:{cluster.listeners['TLS']}"):
        open_log(url(cluster, security_protocol="ssl", ssl_ca_location=authority.file))


@pytest.mark.usefixtures("short_patience")
def test_without_tls_nothing_is_answered(cluster: KafkaCluster) -> None:
    with pytest.raises(LogError, match=r"security\.protocol"):
        open_log(url(cluster))
