"""The data folder: where it is, what is in it, and who runs on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from streambank.cli.errors import CommandError

if TYPE_CHECKING:
    from streambank.log import EventLog

HOME_VARIABLE = "STREAMBANK_HOME"

DataOption: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name=["--data", "-d"],
        env_var=HOME_VARIABLE,
        show_default=False,
        help="The data folder. Without it: the user's data folder of this system.",
    ),
]


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A data folder and the places in it."""

    path: Path

    @property
    def log(self) -> Path:
        """The event log."""
        return self.path / "log"

    @property
    def notifications(self) -> Path:
        """The notifications service's database."""
        return self.path / "notifications.db"

    @property
    def mailbox(self) -> Path:
        """The e-mails that the built-in mailbox caught."""
        return self.path / "mailbox.db"

    @property
    def mailbox_secret(self) -> Path:
        """The password of the built-in mailbox."""
        return self.path / "mailbox.secret"

    @property
    def running(self) -> Path:
        """Locked for as long as ``up`` or ``demo`` runs here; says which process that is, and where its mailbox is."""
        return self.path / "running.json"

    def rejects(self, source: str) -> Path:
        """Where the rows of a file of that name go which could not be imported; its folder is made if need be."""
        folder = self.path / "rejects"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f"{Path(source).name}.rejects.csv"

    def create(self) -> None:
        """Make the folder; only its owner may read it, as it holds names, addresses and amounts."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(
                f"cannot make the data folder {self.path}: {error.strerror}. Name another with --data"
            ) from error

    @contextlib.contextmanager
    def open_log(self) -> Iterator[EventLog]:
        """The folder's event log, which must exist: for commands that look at what others wrote."""
        from streambank.log import open_log

        if not self.log.is_dir():
            raise CommandError(
                f"there is no data in {self.path} yet. Start with `streambank demo` or `streambank up`, or name the"
                " folder with --data"
            )
        log = open_log(self.log)
        try:
            yield log
        finally:
            log.close()


def data_folder(option: Path | None) -> DataFolder:
    """The folder that was asked for, else the user's data folder of this system."""
    if option is not None:
        return DataFolder(option.expanduser().absolute())
    from platformdirs import user_data_path

    return DataFolder(user_data_path("streambank", appauthor=False))


def tilde(path: Path) -> str:
    """The path as people write it: with ``~`` for their home."""
    with contextlib.suppress(ValueError, RuntimeError):
        return os.path.join("~", path.relative_to(Path.home()))
    return str(path)
