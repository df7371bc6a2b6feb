"""The encoding of a statement file: what it says, checked against what it is."""

import codecs
import re
from pathlib import Path

from streambank.bank.imports.errors import ImportFileError
from streambank.bank.imports.files import Encoding, InputFile, detect_encoding

HEAD_BYTES = 4096

# In some files the header is one line without anything between its fields.
_DECLARED = re.compile(
    r"CHARSET:\s*(125[0-9]|(?:ISO-)?8859-1)|<\?xml[^>]*encoding=[\"']([\w-]+)", re.IGNORECASE | re.ASCII
)
_NAMES = {
    "1250": "cp1250",
    "1251": "cp1251",
    "1252": "cp1252",
    "WINDOWS-1250": "cp1250",
    "WINDOWS-1252": "cp1252",
    "8859-1": "cp1252",
    "ISO-8859-1": "cp1252",
}


def find_encoding(path: Path, given: str | None = None) -> Encoding:
    """The file's encoding. Headers are often wrong: what is valid UTF-8 is UTF-8, else the header of OFX is believed.

    Raises:
        ImportFileError: the file is no text, or ``given`` is no encoding of text.
    """
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "".encode(name)
        except LookupError:
            raise ImportFileError(
                f"unknown encoding {given!r}: use a name such as utf-8 or cp1252 (encoding)"
            ) from None
        return Encoding(name, True, "as you said")
    found = detect_encoding(path)
    if found.sure:
        return found
    with InputFile(path) as file:
        head = file.read(HEAD_BYTES).decode("latin-1")
    match = _DECLARED.search(head)
    declared = (match[1] or match[2]) if match else ""
    known = _NAMES.get(declared.upper())
    return Encoding(known, True, f"its header says {declared}, and it is not UTF-8") if known else found
