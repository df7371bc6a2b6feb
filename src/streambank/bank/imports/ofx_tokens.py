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

CARRY_LINES_MAX = 200
"""Over how many lines; each of them is looked at again with every further one."""

_TOKEN = re.compile(
    r"<(?P<tag>/?[A-Za-z][\w.]*)\s*(?P<empty>/)?>|(?P<passed><\?[^<>]*>)|(?P<markup><!(?=[A-Za-z]))|(?P<text>[^<]+|<)"
)
_LONG = (("cdata", "<![CDATA[", "]]>"), ("passed", "<!--", "-->"))
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
    for number, kind, text in _tokens(lines):
        if kind == "markup":
            raise ImportFileError(
                f"{label}, line {number}: the file declares a document type or entities, as no bank's does; it is"
                " not read, for such a file can be an attack"
            )
        if kind in {"tag", "empty"}:
            if name:
                yield Tag(line, name, _unescaped("".join(texts)))
            name, line, texts, chars = text.upper(), number, [], 0
            if kind == "empty":
                yield Tag(line, name, "")
                name = ""
        elif kind != "passed" and chars < VALUE_CHARS_MAX:
            if kind == "cdata":
                text = text.replace("&", "&amp;")
            texts.append(text[:VALUE_CHARS_MAX])
            chars += len(text)
    if name:
        yield Tag(line, name, _unescaped("".join(texts)))


def _tokens(lines: Iterable[Line]) -> Iterator[tuple[int, str, str]]:
    """The tokens with line, kind and text. A token that is not complete yet waits for the next line."""
    buffer, number, waited = "", 1, 0
    for line in lines:
        if not buffer:
            number, waited = line.number, 0
        buffer += line.text + ("\n" if line.ended else "")
        waited += 1
        end = _complete_until(buffer)
        if len(buffer) - end > CARRY_CHARS_MAX or waited > CARRY_LINES_MAX:
            end = len(buffer)
        if end:
            waited = 0
        yield from _located(buffer, end, number)
        number += buffer.count("\n", 0, end)
        buffer = buffer[end:]
    yield from _located(buffer, len(buffer), number)


def _located(buffer: str, end: int, number: int) -> Iterator[tuple[int, str, str]]:
    at = 0
    endless: set[str] = set()
    while at < end:
        kind, text, after = _next(buffer, at, end, endless)
        yield number, kind, text
        number += buffer.count("\n", at, after)
        at = after


def _next(buffer: str, at: int, end: int, endless: set[str]) -> tuple[str, str, int]:
    """Kind, text and end of the token at ``at``. ``endless`` has what was sought and does not end: it is not again."""
    for kind, opening, closing in _LONG:
        if opening not in endless and buffer.startswith(opening, at, end):
            found = buffer.find(closing, at + len(opening), end)
            if found >= 0:
                return kind, buffer[at + len(opening) : found], found + len(closing)
            endless.add(opening)
    match = _TOKEN.match(buffer, at, end)
    assert match is not None, "every character is a token"
    kind = match.lastgroup or "text"
    return kind, match["tag"] if kind in {"tag", "empty"} else match[0], match.end()


def _complete_until(buffer: str) -> int:
    """Where the buffer's last tag begins, if it is not closed within it; else the buffer's end."""
    for _, start, end in _LONG:
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
