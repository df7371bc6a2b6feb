"""What can go wrong with an import."""

from streambank.errors import StreambankError


class ImportFileError(StreambankError):
    """The file cannot be imported as it is. The text names the file, what is wrong with it and what to do next."""


class ImportFencedError(StreambankError):
    """Another import on the same log took over. What this one had committed stays; running it again adds the rest."""


class ValueProblem(StreambankError):  # noqa: N818  a row's problem, not the program's
    """A cell does not hold what its column should. Becomes a reject of its row, never ends an import."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
