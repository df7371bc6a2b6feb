"""The rejects file: the rows that were not imported, each with its line and the reason, as CSV to mend and import."""

import csv
import os
from pathlib import Path
from typing import IO

from streambank.bank.imports.entries import Reject, Tally
from streambank.bank.imports.errors import ImportFileError

COLUMNS = ("rejected line", "rejected because")


class RejectsFile:
    """Writes rejects beside their reason; the file only comes into being with the first one.

    Its rows carry other people's data, so only the owner may read it. It is written under another name and put in
    place by :meth:`finish`: what stands there is always that of a whole run.
    """

    def __init__(self, path: Path, header: tuple[str, ...]) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._header = header
        self._file: IO[str] | None = None

    def add(self, reject: Reject) -> None:
        """Write one. Raises ImportFileError if the file cannot be written."""
        try:
            if self._file is None:
                descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="")
                self._writer = csv.writer(self._file)
                self._writer.writerow((*COLUMNS, *self._header))
            self._writer.writerow((reject.line, reject.reason, *reject.fields))
        except OSError as error:
            raise ImportFileError(f"rejects file {self.path}: {error.strerror}; name another place for it") from error

    def finish(self) -> Path | None:
        """Put the file in place and return its path; with no rejects, remove that of an earlier run and return None."""
        if self._file is None:
            self.path.unlink(missing_ok=True)
            return None
        self._file.close()
        os.replace(self._part, self.path)
        return self.path

    def abandon(self) -> None:
        """Remove what was begun."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


class KeptTally(Tally):
    """A tally that also writes each reject to the rejects file, if there is one."""

    def __init__(self, file: RejectsFile | None) -> None:
        super().__init__()
        self._rejects_file = file

    def reject(self, reject: Reject) -> None:
        """Count the reject, and write it."""
        super().reject(reject)
        if self._rejects_file is not None:
            self._rejects_file.add(reject)
