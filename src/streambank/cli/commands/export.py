"""``streambank export``."""

from __future__ import annotations

from pathlib import Path

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.errors import say


def export(folder: Path, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Write everything that the bank knows of you into a folder: files of JSON, and of a line of JSON for each thing.

    Parameters
    ----------
    folder
        Where to; it is made if need be. Files of an earlier export are replaced.
    """
    from streambank.cli.exporting import write_everything

    with connected(server) as client:
        written = write_everything(client, folder)
    for name, count in written.items():
        say(f"{folder / name}: {count:,}")
