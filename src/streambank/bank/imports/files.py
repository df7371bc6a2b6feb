"""Opening what users have: plain or gzip files in any encoding, whole or cut off."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from streambank.bank.imports.errors import ImportFileError

CHUNK_BYTES = 1 << 20
LINE_CHARS_MAX = 1 << 20

_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_FORMATS = (
    (b"PK\x03\x04", "an Excel or other zip file: unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file: save the sheet as CSV"),
    (b"%PDF", "a PDF: ask the bank for a CSV export"),
    (b"SQLite format 3", "an SQLite database, not a CSV file"),
)
# Letters that only one of the two code pages has at these bytes: e-caron, r-caron, u-ring, l-stroke, a-ogonek and
# z-dot in Windows-1250; a-grave, n-tilde, a-ring and the French c-cedilla's neighbours in Windows-1252.
_CENTRAL_EUROPEAN = b"\xec\xf8\xd8\xf9\xd9\xb3\xb9\xbf\xe8\xc8\xcc\x9d\xf2\xef"
_WESTERN_EUROPEAN = b"\xe0\xf1\xe5\xc5\xd1\xe3\xf5\xc0"


class Line(NamedTuple):
    """A physical line without its line end. ``ended`` is False for a last line that has none."""

    number: int
    text: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Encoding:
    """A text encoding as detected: Python's name of it, how sure, and why."""

    name: str
    sure: bool
    why: str


class InputFile:
    """A file opened for reading, unpacked if it is gzip. Damage ends the data instead of raising: see ``fault``.

    Raises:
        ImportFileError: it does not exist, is a folder, is empty, or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
        except FileNotFoundError:
            raise ImportFileError(f"{path}: no such file; check the path") from None
        except IsADirectoryError:
            raise ImportFileError(f"{path} is a folder; name one file in it") from None
        except PermissionError:
            raise ImportFileError(f"{path} may not be read; check its permissions") from None
        self._size = os.fstat(self._file.fileno()).st_size
        magic = self._file.read(2)
        self._file.seek(0)
        self._data: BinaryIO | gzip.GzipFile = self._file
        if magic == _GZIP_MAGIC:
            self._data = gzip.GzipFile(fileobj=self._file)
        self.fault: str | None = None
        if self._size == 0:
            self.close()
            raise ImportFileError(f"{path} is empty; export it again")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end, or where the data are damaged."""
        if self.fault is not None:
            return b""
        try:
            # Of damaged gzip data read() gives nothing, read1() all that comes before the damage.
            return self._data.read1(size) if isinstance(self._data, gzip.GzipFile) else self._data.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            cut = isinstance(error, EOFError)
            self.fault = (
                "the file is cut off (its gzip data end early)" if cut else f"the gzip data are damaged ({error})"
            )
            return b""

    @property
    def fraction(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return min(1.0, self._file.tell() / self._size) if self._size else 1.0

    def lines(self, encoding: str) -> Iterator[Line]:
        """The physical lines. Bytes that the encoding does not have become lone surrogates or U+FFFD.

        A line longer than ``LINE_CHARS_MAX`` is handed out in pieces of that length, so that a file without line
        ends does not fill the memory.
        """
        errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
        text = io.TextIOWrapper(io.BufferedReader(_Raw(self), CHUNK_BYTES), encoding, errors=errors, newline=None)
        number = 0
        while line := text.readline(LINE_CHARS_MAX):
            number += 1
            ended = line.endswith("\n")
            yield Line(number, line[:-1] if ended else line, ended)

    def close(self) -> None:
        """Close the file."""
        self._data.close()
        self._file.close()

    def __enter__(self) -> "InputFile":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Raw(io.RawIOBase):
    def __init__(self, file: InputFile) -> None:
        self._input = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._input.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def detect_encoding(path: Path) -> Encoding:
    """The encoding of a text file, judged over all of it: one accented letter may be far down.

    Raises:
        ImportFileError: it cannot be read, is empty, or is no text.
    """
    with InputFile(path) as file:
        first = file.read(CHUNK_BYTES)
        if not first:
            raise ImportFileError(f"{path}: {file.fault or 'there is nothing in it'}; export it again")
        if marked := _by_mark(first):
            return marked
        _refuse_other_formats(path, first)
        decoder = codecs.getincrementaldecoder("utf-8")()
        utf8, high = True, bytearray()
        chunk = first
        while chunk:
            if utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    utf8 = False
            if len(high) < CHUNK_BYTES:
                high += chunk.translate(None, bytes(range(128)))
            chunk = file.read(CHUNK_BYTES)
    if not high:
        return Encoding("utf-8", True, "only ASCII characters")
    if utf8:
        return Encoding("utf-8", True, "all of it is valid UTF-8")
    return _code_page(bytes(high))


def _by_mark(first: bytes) -> Encoding | None:
    if first.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig", True, "it starts with the byte order mark of UTF-8")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", True, "it starts with a byte order mark of UTF-16")
    sample = first[:4096]
    if len(sample) >= 8:
        even, odd = sample[::2].count(0) / len(sample[::2]), sample[1::2].count(0) / len(sample[1::2])
        if odd > 0.8 and even < 0.05:
            return Encoding("utf-16-le", True, "every other byte is zero")
        if even > 0.8 and odd < 0.05:
            return Encoding("utf-16-be", True, "every other byte is zero")
    return None


def _refuse_other_formats(path: Path, first: bytes) -> None:
    for magic, what in _OTHER_FORMATS:
        if first.startswith(magic):
            raise ImportFileError(f"{path} is {what}")
    sample = first[:65536]
    control = sum(sample.count(byte) for byte in range(32) if byte not in b"\t\n\r\x0c\x1a")
    if sample.count(0) > 2 or control > len(sample) // 100 + 2:
        raise ImportFileError(f"{path} is a binary file, not text; export the transactions as CSV")


def _code_page(high: bytes) -> Encoding:
    central = sum(high.count(byte) for byte in _CENTRAL_EUROPEAN)
    western = sum(high.count(byte) for byte in _WESTERN_EUROPEAN)
    why = "not valid UTF-8; its accented letters fit"
    if central > western:
        return Encoding("cp1250", False, f"{why} Central European languages better")
    return Encoding("cp1252", False, f"{why} Western European languages better")
