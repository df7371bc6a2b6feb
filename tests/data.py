"""Files that are not part of the repository: found by STREAMBANK_DATA, by default ``../shared/data``."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def data_folder() -> Path:
    """Where the data sets are."""
    return Path(os.environ.get("STREAMBANK_DATA", ROOT.parent / "shared" / "data"))


def data_file(*parts: str) -> Path:
    """A data set's file."""
    return data_folder().joinpath(*parts)


def conformance_file(name: str) -> Path:
    """A file of the conformance cases, which lie beside the data sets."""
    return data_folder().parent / "conformance" / name


def require(path: Path) -> Path:
    """``path``; skips the test where the file is absent, but fails in CI, where it has to be there."""
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is absent: set STREAMBANK_DATA")
        pytest.skip(f"{path} is absent: set STREAMBANK_DATA")
    return path
