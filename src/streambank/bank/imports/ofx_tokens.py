"""The tags of an OFX file, one by one: SGML (1.x), where a value's end tag may be missing, and XML (2.x) alike."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streambank.bank.imports.errors import ImportFileError
from streambank.bank.imports.files import Line

CARRY_CHARS_MAX = 1 << 16
"""How long a tag may be that is not closed yet; the longest real ones are comments of a line or two."""

VALUE_CHARS_MAX = 1 << 14
"""Of a longer value only so much is kept: enough to see that it is too long for any field."""

_TOKEN = re.compile(
    r"<!\[CDATA\[(?P<cdata>.*?)\]\]>|<!--.*?-->|<(?P<tag>/?[A-Za-z][\w.]*)\s*(?P<empty>/)?>|<\?[^<>]*>"
    r"|(?P<markup><!(?=[A-Za-z]))|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_OPEN_ENDED = re.compile(r"<(?![^<>]*>)(?=[!?/A-Za-z]|$)[^<>]*$", re.DOTALL)
_ENTITY = re.compile(r"&(?:#(?P<decimal>\d{1,7})|#x(?P<hex>[0-9A-Fa-f]{1,6})|(?P<name>amp|lt|gt|quot|apos|nbsp));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}


class Tag(NamedTuple):
    """A tag with the line it is on, its name in capitals (``/`` before that of an end tag) and the text after it."""

    line: int
    name: str
    text: str


def tags(lines: Iterable[Line], label: str) -> Iterator[Tag]:
    """The tags of the lines. What stands before the first one (the header of 1.x) is passed over.

    The five entities of XML, ``&nbsp;`` and numbers are put in; there are no others.

    Raises:
        ImportFileError: it has a DOCTYPE or declares entities, which no OFX file does.
    """
    name, line, texts, chars = "", 0, list[str](), 0
    for number, token in _tokens(lines):
        if token["markup"]:
            raise ImportFileError(
                f"{label}, line {number}: the file declares a document type or entities, as no bank's does; it is"
                " not read, for such a file can be an attack"
            )
        if token["tag"]:
            if name:
                yield Tag(line, name, _unescaped("".join(texts)))
            name, line, texts, chars = token["tag"].upper(), number, [], 0
            if token["empty"]:
                yield Tag(line, name, "")
                name = ""
        elif (text := token["cdata"] or token["text"]) and chars < VALUE_CHARS_MAX:
            if token["cdata"]:
                text = text.replace("&", "&amp;")
            texts.append(text[:VALUE_CHARS_MAX])
            chars += len(text)
    if name:
        yield Tag(line, name, _unescaped("".join(texts)))


def _tokens(lines: Iterable[Line]) -> Iterator[tuple[int, re.Match[str]]]:
    carry, number = "", 1
    for line in lines:
        if not carry:
            number = line.number
        buffer = carry + line.text + ("\n" if line.ended else "")
        end = _complete_until(buffer)
        if len(buffer) - end > CARRY_CHARS_MAX:
            end = len(buffer)
        seen = 0
        for match in _TOKEN.finditer(buffer, 0, end):
            number += buffer.count("\n", seen, match.start())
            seen = match.start()
            yield number, match
        number += buffer.count("\n", seen, end)
        carry = buffer[end:]
    for match in _TOKEN.finditer(carry):
        yield number, match


def _complete_until(buffer: str) -> int:
    """Where the buffer's last tag begins, if it is not closed within it; else the buffer's end."""
    for start, end in (("<![CDATA[", "]]>"), ("<!--", "-->")):
        at = buffer.rfind(start)
        if at >= 0 and buffer.find(end, at) < 0:
            return at
    at = buffer.rfind("<", max(0, len(buffer) - CARRY_CHARS_MAX))
    return at if at >= 0 and _OPEN_ENDED.match(buffer, at) else len(buffer)


def _unescaped(text: str) -> str:
    return _ENTITY.sub(_entity, text).strip() if "&" in text else text.strip()


def _entity(match: re.Match[str]) -> str:
    if match["name"]:
        return _ENTITIES[match["name"]]
    code = int(match["decimal"]) if match["decimal"] else int(match["hex"], 16)
    return chr(code) if 0 < code < 0x110000 else "\ufffd"
