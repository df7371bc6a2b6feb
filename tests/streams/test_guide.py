"""The guide's Python, run from top to bottom as one program."""

import re
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "streams.md"


def test_every_block_of_the_guide_runs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    text = GUIDE.read_text("utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert text.count("```python") == len(blocks) >= 6
    names: dict[str, Any] = {"__name__": "guide"}
    for block in blocks:
        # Blank lines in front, so that a traceback has the guide's own line numbers.
        source = "\n" * text.count("\n", 0, block.start(1)) + block[1]
        exec(compile(source, str(GUIDE), "exec"), names)
    assert (tmp_path / "log").is_dir()
