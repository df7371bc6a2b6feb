"""The reference workload on Quix Streams, in a virtual environment of its own.

Its tables are preloaded in dicts, in its favour: it has no table to join with that is as fast.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.peers.java import PeerMissingError

ENVIRONMENT = Path(__file__).parent / "target" / "quix-venv"
PROGRAM = Path(__file__).with_name("quix_program.py")
REQUIREMENTS = ("quixstreams>=3.23", "msgspec")


def python() -> Path:
    """The environment's interpreter, set up where it is not yet. Raises PeerMissingError."""
    interpreter = ENVIRONMENT / "bin" / "python"
    marker = ENVIRONMENT / "ready"
    if not marker.exists():
        for command in (
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            [str(interpreter), "-m", "pip", "install", "--quiet", *REQUIREMENTS],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise PeerMissingError(f"Quix Streams cannot be installed:\n{done.stderr[-2000:]}")
        marker.touch()
    return interpreter


def command(bootstrap: str, name: str, partitions: int) -> list[str]:
    """What runs it, until it is ended."""
    return [str(python()), str(PROGRAM), bootstrap, name, str(partitions)]
