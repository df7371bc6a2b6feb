"""schemathesis over every endpoint with all its checks: requests made from the API's own description, right and wrong.

What it cannot know of this API stands in ``schemathesis.toml`` and ``schemathesis_hooks.py``, each with its reason.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.api.support import World

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = 15
"""For each operation, beside those that cover each of its parameters. All is done in a minute."""

TIMEOUT_S = 240


def fuzz(world: World, folder: Path, parameters: Mapping[str, str], phases: tuple[str, ...]) -> str:
    """What schemathesis says in the end, when it has found nothing. ``parameters``: of paths, not made up."""
    told = "\n".join(f'"path.{name}" = "{value}"' for name, value in parameters.items())
    config = folder / "schemathesis.toml"
    config.write_text(f"{(HERE / 'schemathesis.toml').read_text()}\n[parameters]\n{told}\n")
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    options = ["--generation-deterministic", "--continue-on-failure", "--no-color", "--warnings", "off"]
    done = subprocess.run(
        [
            *command,
            "--config-file",
            config,
            "run",
            f"{world.api.url}/openapi.json",
            "--header",
            f"Authorization: Bearer {world.ada.token}",
            "--max-examples",
            str(EXAMPLES),
            "--phases",
            ",".join(phases).lower(),
            *options,
        ],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["made up", "Ada's"])
def test_it_finds_nothing(world: World, tmp_path: Path, whose: str) -> None:
    # What is made in one step is what the next is about: not where all is about what Ada had before.
    phases = ("Coverage", "Fuzzing", "Stateful") if whose == "made up" else ("Coverage", "Fuzzing")
    said = fuzz(world, tmp_path, {} if whose == "made up" else world.ids, phases)
    # All but the stream, which has no end.
    operations = sum(len(methods) for methods in world.api.app.openapi()["paths"].values()) - 1
    assert f"Tested: {operations}" in said
    for phase in phases:
        assert f"✅ {phase}" in said
    passed = re.search(r"(\d+) generated, \1 passed", said)
    assert passed is not None, said
    assert int(passed[1]) > 20 * operations
    assert world.api.faults() == []
