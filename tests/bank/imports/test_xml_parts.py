from pathlib import Path

import pytest
from tests.bank.imports.support import csv_file

from streambank.bank.imports import ImportFileError, xml_parts
from streambank.bank.imports.files import InputFile
from streambank.bank.imports.xml_parts import Broken, Part, parts_within


def parts(folder: Path, content: str) -> list[Part]:
    with InputFile(csv_file(folder, content)) as file:
        return list(parts_within(file, "C"))


def test_parts_come_one_by_one_with_their_lines_and_without_namespaces(tmp_path: Path) -> None:
    inner = "<n:A x='1'> one <B>two</B>\n<B> </B><B>three</B></n:A>"
    found = parts(tmp_path, f"<n:R xmlns:n='u'><A/><n:C>\n{inner}\n<D/></n:C>\n<C><E/></C></n:R>")
    assert [(part.name, part.line) for part in found] == [("C", 1), ("A", 2), ("D", 4), ("C", 5), ("E", 5)]
    one = found[1]
    assert (one.text, one.attributes, one.value("X", "B"), one.value("B/B")) == ("one", {"x": "1"}, "two", None)
    assert ([part.text for part in one.all("B")], one.first("X", "B") is one.parts[0]) == (["two", "", "three"], True)


def test_what_is_broken_keeps_what_came_before(tmp_path: Path) -> None:
    found: list[str] = []
    with InputFile(csv_file(tmp_path, "<R><C><A/>\n<B></C></R>")) as file, pytest.raises(Broken) as raised:
        found.extend(part.name for part in parts_within(file, "C"))
    assert (found, raised.value.line) == (["C", "A"], 2)


def test_a_part_within_a_part_is_bounded_in_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_parts, "PART_CHARS_MAX", 100)
    found = parts(tmp_path, f"<C><A>{'x' * 200}</A><B>y</B></C>")
    assert [(part.name, part.too_large) for part in found] == [("C", False), ("A", True), ("B", False)]


def test_a_large_file_of_small_parts_is_no_large_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_parts, "TAG_BYTES_MAX", 1_000)
    assert len(parts(tmp_path, "<C>" + "<A>some text</A>" * 20_000 + "</C>")) == 20_001
    with pytest.raises(ImportFileError, match="line 1: a tag of more than"):
        parts(tmp_path, f"<C><!--{'x' * 200_000}--></C>")
