"""The commands of the guide, on a real broker."""

import os
import sys
from pathlib import Path

import pytest
from tests.cli.support import alerts_become_emails, environment, up
from tests.cli.test_docs import BLOCK, ROOT, commands, run_until_it_matches
from tests.kafka.cluster import cluster_or_skip

PAGE = ROOT / "docs" / "guides" / "growing-onto-kafka.md"
ADDRESS = "kafka://localhost:9092"


@pytest.mark.slow
def test_the_commands_print_what_the_page_says(tmp_path: Path) -> None:
    data, ran = tmp_path / "data", 0
    env = environment(data) | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    with up(data) as process:
        alerts_become_emails(tmp_path, process)
        process.stop()
    with cluster_or_skip(tmp_path / "kafka") as cluster:
        for block in BLOCK.finditer(PAGE.read_text().replace(ADDRESS, cluster.url)):
            if block["kind"] == "python":
                exec(compile(block["text"], str(PAGE), "exec"), {})
            for command, expected in commands(block["text"]) if block["kind"] == "console" else ():
                run_until_it_matches(command, expected, tmp_path, env)
                ran += 1
    assert ran == 2


def test_what_it_names_exists() -> None:
    text = PAGE.read_text()
    for module in (
        "benchmarks.kafka_reference",
        "benchmarks.kafka_latency",
        "benchmarks.kafka_restore",
        "tests.kafka.torture",
    ):
        assert f"python -m {module}" in text
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    assert (ROOT / "ops" / "compose.yaml").exists()
