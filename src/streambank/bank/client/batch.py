"""Many entries at once, as NDJSON: lines into requests, and answers into results."""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import httpx
import msgspec

from streambank.bank.client.errors import AnswerError, ApiError, ProblemMembers
from streambank.bank.transactions.schemas import NewTransaction

BatchLine: TypeAlias = NewTransaction | bytes
"""An entry, or the JSON of one, which is sent as it is."""

CHUNK_LINES = 5_000
"""Lines of a request: half of what the server takes, about a quarter of a second of its work."""

IMPORT_LINES = 10_000
"""Lines of a request of an import, which is taken whole or not at all: as many as the server takes."""

CHUNK_BYTES_MAX = 4 * 1024 * 1024
"""Half of what the server takes."""


class LineResult(msgspec.Struct, frozen=True):
    """What became of a line: it made the entry ``id``, had made it before, or was refused with a ``problem``.

    ``line`` counts from 1, over all that was sent.
    """

    line: int
    status: Literal["created", "duplicate", "problem"]
    id: str | None = None
    problem: ProblemMembers | None = None

    @property
    def error(self) -> ApiError | None:
        """Why the line was refused, if it was."""
        return self.problem.as_error(0) if self.problem is not None else None


_decode = msgspec.json.Decoder(LineResult).decode


def requests(lines: Iterable[BatchLine], lines_max: int = CHUNK_LINES) -> Iterator[tuple[bytes, int]]:
    """Bodies of requests, each with the number of its lines. A line too long for any goes out alone, to be refused."""
    chunk: list[bytes] = []
    size_bytes = 0
    for line in lines:
        encoded = line_of(line)
        if chunk and (len(chunk) == lines_max or size_bytes + len(encoded) > CHUNK_BYTES_MAX):
            yield b"".join(chunk), len(chunk)
            chunk, size_bytes = [], 0
        chunk.append(encoded)
        size_bytes += len(encoded)
    if chunk:
        yield b"".join(chunk), len(chunk)


def line_of(line: BatchLine) -> bytes:
    """The line as it is sent. What is within one that is JSON already has no meaning as a line end."""
    if isinstance(line, NewTransaction):
        return line.model_dump_json(exclude_unset=True).encode() + b"\n"
    # One line has to be one line, or all answers after it would be of other lines.
    return line.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def decode_results(response: httpx.Response, first_line: int, count: int) -> Iterator[LineResult]:
    """The results in an answer. Raises AnswerError where they are not as many as the lines that were sent."""
    answers = response.content.splitlines()
    if len(answers) != count:
        raise AnswerError(f"{count} lines were sent, and {len(answers)} were answered")
    for number, answer in enumerate(answers, start=first_line):
        try:
            yield msgspec.structs.replace(_decode(answer), line=number)
        except msgspec.MsgspecError:
            raise AnswerError(f"line {number}: the answer is not what this version of streambank expects") from None
