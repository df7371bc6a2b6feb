"""The commands in the documentation, executed, and their output compared.

In a ```console block a line after ``$ `` is a command, and the lines up to the next one are what it prints on stdout;
``...`` stands for anything, also for nothing and for several lines, blanks match any number of blanks, and a command
with no lines may print anything. A block after ``<!-- file: NAME -->`` is a file's content. ```sh blocks are not run,
except that ``streambank up`` in one stands for a bank that runs beside the rest.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.support import START_S, environment, up, wait_until

ROOT = Path(__file__).parents[2]
GUIDES = ("alerts-on-your-bank", "api", "plans", "payments", "notifications", "views", "events")
PAGES = ("README.md", *(f"docs/guides/{name}.md" for name in GUIDES))
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a block, each with the output that is expected."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def matches(expected: str, output: str) -> bool:
    """Whether the output is as expected."""
    pieces = [" ".join(piece.split()) for piece in expected.split("...")]
    pattern = r".*".join(re.escape(piece).replace(r"\ ", r"\s+") for piece in pieces)
    return re.fullmatch(rf"\s*{pattern}\s*", output, re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_print_what_the_page_says(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text()
    missing = [tool for tool in ("curl", "jq") if f"{tool} " in text and shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the page needs {' and '.join(missing)}")
    data = tmp_path / "data"
    bin_folder = os.path.dirname(sys.executable)
    env = environment(data) | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}
    ran = 0
    with ExitStack() as stack:
        if page.startswith("docs/guides/") and not page.endswith("events.md"):
            options = ("--local-webhooks",) if page.endswith("notifications.md") else ()
            process = stack.enter_context(up(data, *options))
            found = re.search(r"^api +(http://\S+)/docs$", process.stdout, re.MULTILINE)
            assert found is not None, process.stdout
            env["STREAMBANK_SERVER"] = found[1]
        for block in BLOCK.finditer(text):
            if block["file"]:
                (tmp_path / block["file"]).write_text(block["text"])
            if block["kind"] != "console":
                continue
            for command, expected in commands(block["text"]):
                run_until_it_matches(command, expected, tmp_path, env)
                ran += 1
    assert ran >= 4


def run_until_it_matches(command: str, expected: str, folder: Path, env: dict[str, str]) -> None:
    """Run the command; those that only look, again until what they look at has happened."""
    outputs: list[str] = []

    def attempt() -> bool:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=START_S, check=False
        )
        outputs.append(done.stdout + done.stderr)
        return done.returncode == 0 and (not expected.strip() or matches(expected, done.stdout))

    views = "worth|spending|cashflow|recurring"
    more = "pay (?:ls|requests)|inbox ls|notify webhook log"
    asked = rf"balances|alerts$|alerts thresholds|alert what-if|mailbox|lag|topics|{more}|{views}"
    looks = re.match(rf"streambank ({asked})", command)
    if looks:
        wait_until(attempt, f"{command}\n{outputs[-1:]}", START_S)
    else:
        assert attempt(), f"{command}\n{outputs[-1]}"


def test_the_make_commands_of_the_readme_exist() -> None:
    named = re.findall(
        r"^make (\w+)", (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    assert {"demo", "test", "check"} <= set(named)
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_one_that_exists(page: str) -> None:
    from streambank.cli.app import build_app

    text = (ROOT / page).read_text()
    code = "\n".join([*(block["text"] for block in BLOCK.finditer(text)), *re.findall(r"`([^`\n]+)`", text)])
    used = set(re.findall(r"^(?:\$ )?streambank ([a-z-]+)", code, re.MULTILINE))
    assert len(used) >= 3
    assert used <= set(build_app())
