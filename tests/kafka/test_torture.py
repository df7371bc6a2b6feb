"""A short torture run, on one broker; :mod:`tests.kafka.torture` runs longer ones, on three."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kafka.cluster import KafkaCluster, cluster_or_skip
from tests.kafka.torture import SETTINGS, torture


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    with cluster_or_skip(tmp_path / "kafka", settings=SETTINGS) as cluster:
        yield cluster


@pytest.mark.slow
@pytest.mark.parametrize("standbys", [0, 1])
def test_every_balance_and_every_alert_comes_out_once(cluster: KafkaCluster, tmp_path: Path, standbys: int) -> None:
    report = torture(cluster, tmp_path, seconds=25, seed=standbys + 1, workers=2, standbys=standbys)
    assert report.problems == []
    assert sum(report.faults.values()) >= 3
    assert report.balances > 1_000
    assert report.alerts > 20
