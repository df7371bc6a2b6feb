"""The guides' Python, each page run from top to bottom as one program, and the examples."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "guides" / "streams").glob("*.md"))
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    text = page.read_text("utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert text.count("```python") == len(blocks)
    assert blocks or page.stem == "coming-from"
    names: dict[str, Any] = {"__name__": "guide"}
    for block in blocks:
        # Blank lines in front, so that a traceback has the page's own line numbers.
        source = "\n" * text.count("\n", 0, block.start(1)) + block[1]
        exec(compile(source, str(page), "exec"), names)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_every_example_runs(example: Path) -> None:
    runpy.run_path(str(example))


def test_the_examples_are_all_listed() -> None:
    listed = re.findall(r"\]\((\d\d_\w+\.py)\)", (DOCS / "examples" / "README.md").read_text("utf-8"))
    assert listed == [example.name for example in EXAMPLES]
