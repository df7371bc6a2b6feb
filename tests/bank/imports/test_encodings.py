from pathlib import Path

import pytest
from tests.bank.imports.support import csv_file

from streambank.bank.imports import ImportFileError
from streambank.bank.imports.encodings import find_encoding


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"CHARSET:1252\n<OFX>Caf\xe9.", "cp1252"),
        (b"CHARSET:1250\n<OFX>\xe9.", "cp1250"),
        (b"OFXHEADER:100DATA:OFXSGMLCHARSET:1251COMPRESSION:NONE<OFX>\xcf\xf0", "cp1251"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><OFX>\xe9.', "cp1252"),
        (b"CHARSET:1252\n<OFX>Caf\xc3\xa9", "utf-8"),
        (b"CHARSET:1252\n<OFX>Cafe", "utf-8"),
        (b"CHARSET:NONE\n<OFX>Caf\xe9.", "cp1252"),
        (b"CHARSET:NONE\n<OFX>\xe8\xec\xf8\xb9", "cp1250"),
        (b"\xef\xbb\xbfCHARSET:1252\n", "utf-8-sig"),
        ("\ufeffCHARSET:1252\n".encode("utf-16-le"), "utf-16"),
    ],
)
def test_the_header_is_believed_where_the_bytes_allow(tmp_path: Path, content: bytes, name: str) -> None:
    assert find_encoding(csv_file(tmp_path, content)).name == name


def test_it_can_be_given(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"Caf\xe9.")
    assert find_encoding(path, "latin2").name == "iso8859-2"
    for wrong in ("klingon", "base64", "rot13"):
        with pytest.raises(ImportFileError, match=r"unknown encoding .*\(encoding\)"):
            find_encoding(path, wrong)
