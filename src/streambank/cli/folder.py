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
LOG_VARIABLE = "STREAMBANK_LOG"

DataOption: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name=["--data", "-d"],
        env_var=HOME_VARIABLE,
        show_default=False,
        help="The data folder. Without it: the user's data folder of this system.",
    ),
]

LogOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--log",
        env_var=LOG_VARIABLE,
        show_default=False,
        help="The event log: kafka://HOST:PORT[,HOST:PORT][?SETTING=VALUE]. Without it: the one in the data folder.",
    ),
]


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A data folder and the places in it. ``log_url`` is that of an event log elsewhere."""

    path: Path
    log_url: str | None = None

    def __str__(self) -> str:
        """Where the event log is, for people; what follows an address are settings, and may be secrets."""
        return tilde(self.path) if self.log_url is None else self.log_url.partition("?")[0]

    @property
    def log(self) -> str | Path:
        """The event log's address, for :func:`streambank.log.open_log`."""
        return self.embedded_log if self.log_url is None else self.log_url

    @property
    def embedded_log(self) -> Path:
        """Where the folder's own event log is, or would be."""
        return self.path / "log"

    @property
    def has_log(self) -> bool:
        """Whether there is an event log to look at; one elsewhere is taken to be there."""
        return self.log_url is not None or self.embedded_log.is_dir()

    def database(self, service: str) -> Path:
        """A service's database."""
        return self.path / f"{service}.db"

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
        """The event log, which must exist: for commands that look at what others wrote."""
        from streambank.log import open_log

        if not self.has_log:
            raise CommandError(
                f"there is no data in {self.path} yet. Start with `streambank demo` or `streambank up`, or name the"
                " folder with --data, or an event log elsewhere with --log"
            )
        log = open_log(self.log)
        try:
            yield log
        finally:
            log.close()


@dataclass(frozen=True, slots=True)
class Place:
    """The options that say which bank is meant."""

    data: DataOption = None
    log: LogOption = None

    def folder(self) -> DataFolder:
        """What was asked for."""
        return data_folder(self.data, self.log or None)


PlaceOption: TypeAlias = Annotated[Place, Parameter(name="*")]

USUAL_PLACE = Place()


def data_folder(option: Path | None, log_url: str | None = None) -> DataFolder:
    """The folder that was asked for, else the user's data folder of this system."""
    if option is not None:
        return DataFolder(option.expanduser().absolute(), log_url)
    from platformdirs import user_data_path

    return DataFolder(user_data_path("streambank", appauthor=False), log_url)


def tilde(path: Path) -> str:
    """The path as people write it: with ``~`` for their home."""
    with contextlib.suppress(ValueError, RuntimeError):
        return os.path.join("~", path.relative_to(Path.home()))
    return str(path)
