"""Parts of an XML file, one at a time, however large the file is. XML is hostile input here.

The parser is the standard library's expat with what defusedxml would add (no document type, so no entities, external or
growing ones), and with what that lacks: line numbers, and bounds on depth, parts and tags.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat  # nosec  S405: no document type is let in, see _no_doctype

from streambank.bank.imports.errors import ImportFileError
from streambank.bank.imports.files import InputFile

CHUNK_BYTES = 1 << 16
DEPTH_MAX = 64
"""Elements within elements; camt.053 has about 20."""

PART_ELEMENTS_MAX = 500_000
"""Elements of one part: a batch of 10,000 payments has about 300,000. It takes some 100 MB."""

PART_CHARS_MAX = 32 << 20
"""Characters of one part."""

TAG_BYTES_MAX = 1 << 20
"""How long a single tag may be; the parser keeps all of it in memory."""


class Part:
    """An element with its line, attributes, text and parts, without namespaces."""

    __slots__ = ("attributes", "line", "name", "parts", "texts", "too_large")

    def __init__(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.parts: list[Part] = []
        self.texts: list[str] = []
        self.too_large = False

    @property
    def text(self) -> str:
        """The element's own text."""
        return "".join(self.texts).strip()

    def all(self, path: str) -> list["Part"]:
        """The parts at the path ``A/B/C``."""
        found = [self]
        for name in path.split("/"):
            found = [part for one in found for part in one.parts if part.name == name]
        return found

    def first(self, *paths: str) -> "Part | None":
        """The first part that is at one of the paths, which are tried in turn."""
        return next((found[0] for path in paths if (found := self.all(path))), None)

    def value(self, *paths: str) -> str | None:
        """The text of the first part with one at one of the paths."""
        return next((found.text for path in paths for found in self.all(path) if found.text), None)


class Broken(Exception):  # noqa: N818  the file's fault: what came before it stands
    """The file is not well-formed from here on."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def parts_within(file: InputFile, container: str) -> Iterator[Part]:
    """Every element directly within a ``container``, whole, and the containers themselves as they begin (no parts).

    Raises:
        ImportFileError: a document type, elements too deep, or a tag too long.
        Broken: not well-formed XML; the parts before that were yielded.
    """
    collector = _Collector(file.path, container)
    parser = collector.parser
    fed = 0
    while True:
        data = file.read(CHUNK_BYTES)
        fed += len(data)
        fault: Broken | None = None
        try:
            parser.Parse(data, not data)
        except expat.ExpatError as error:
            fault = Broken(error.lineno, expat.ErrorString(error.code))
        except (ValueError, LookupError) as error:
            fault = Broken(parser.CurrentLineNumber, str(error))
        ready, collector.ready = collector.ready, []
        yield from ready
        if fault is not None:
            raise fault
        if not data:
            return
        if fed - parser.CurrentByteIndex > TAG_BYTES_MAX + CHUNK_BYTES:
            raise ImportFileError(
                f"{file.path}, line {parser.CurrentLineNumber}: a tag of more than {TAG_BYTES_MAX >> 20} MiB; this is"
                " no bank's statement"
            )


class _Collector:
    """Expat's handlers: builds one part at a time."""

    def __init__(self, path: Path, container: str) -> None:
        self.ready: list[Part] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._no_doctype
        self._path = path
        self._container = container
        self._names: list[str] = []
        self._open: list[Part] = []
        self._elements = 0
        self._chars = 0

    def _no_doctype(self, name: str, *_: object) -> None:
        raise ImportFileError(
            f"{self._path}, line {self.parser.CurrentLineNumber}: the file has a document type declaration (DOCTYPE),"
            " as no bank's statement does; it is not read, for such a file can be an attack"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if len(self._names) >= DEPTH_MAX:
            raise ImportFileError(
                f"{self._path}, line {self.parser.CurrentLineNumber}: elements within elements more than {DEPTH_MAX}"
                " deep; this is no bank's statement"
            )
        if self._open:
            self._elements += 1
            part = Part(local, attributes, self.parser.CurrentLineNumber)
            if self._within_bounds():
                self._open[-1].parts.append(part)
            self._open.append(part)
        elif self._names and self._names[-1] == self._container:
            self._elements, self._chars = 1, 0
            self._open.append(Part(local, attributes, self.parser.CurrentLineNumber))
        elif local == self._container:
            self.ready.append(Part(local, attributes, self.parser.CurrentLineNumber))
        self._names.append(local)

    def _within_bounds(self) -> bool:
        if self._elements <= PART_ELEMENTS_MAX and self._chars <= PART_CHARS_MAX:
            return True
        self._open[0].too_large = True
        return False

    def _text(self, text: str) -> None:
        if self._open:
            self._chars += len(text)
            if self._within_bounds():
                self._open[-1].texts.append(text)

    def _end(self, name: str) -> None:
        self._names.pop()
        if self._open:
            part = self._open.pop()
            if not self._open:
                self.ready.append(part)
