"""The code base keeps its own rules: sizes, injected time and randomness, and nothing left unfinished."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "streambank"
FILES = sorted(SOURCE.rglob("*.py"))
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60

BANNED = {
    r"datetime\.now\(|datetime\.utcnow\(|date\.today\(|time\.time\(|time\.time_ns\(": "take a Clock",
    r"\buuid[14]\(|from uuid import uuid": "take random_bytes and use streambank.ids.uuid7",
    r"(?m)^import random$": "take the source of randomness as an argument",
    r"\b(TODO|FIXME|XXX)\b|NotImplementedError": "finish it, or leave it out",
}
ALLOWED = {"clock.py": r"time\.time_ns\("}
"""The one place that reads the machine's clock."""


def relative(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_sizes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= FILE_LINES_MAX
    long = [
        f"{node.name} ({(node.end_lineno or 0) - node.lineno + 1} lines)"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_time_and_chance_are_injected_and_nothing_is_unfinished(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if relative(path) in ALLOWED:
        text = re.sub(ALLOWED[relative(path)], "", text)
    found = {instead for pattern, instead in BANNED.items() if re.search(pattern, text)}
    assert found == set()


def test_the_rules_see_what_they_ban() -> None:
    broken = "x = datetime.now(UTC)\ny = uuid4()\nimport random\nraise NotImplementedError\n"
    assert len([pattern for pattern in BANNED if re.search(pattern, broken)]) == len(BANNED)
