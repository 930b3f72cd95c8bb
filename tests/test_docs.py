"""What README and docs show is executed.

Every `python` and `bash` block is preceded by a comment that says what becomes of it:

    <!-- run -->                     executed, in an empty folder that the page's blocks share
    <!-- run: sandbox slow -->       executed where these capabilities are (markers of pytest)
    <!-- not run: REASON -->         shown only
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from swe_srl.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECONDS = 900
MARKERS = ("sandbox", "docker", "slow", "shared", "gpu", "hub")
_BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_NOTE = re.compile(r"<!-- (run|not run)(?:: ([^>]+?))? -->\s*\Z")
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    verb: str  # "run", "not run", or "" when nothing says
    words: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        note = _NOTE.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        verb, words = (note.group(1), note.group(2) or "") if note else ("", "")
        found.append(Block(page, line, match.group(2), match.group(3), verb, words))
    return [block for block in found if block.language in ("python", "bash")]


BLOCKS = [block for page in PAGES if page.exists() for block in blocks(page)]


def _parameters() -> list[object]:
    run = [block for block in BLOCKS if block.verb == "run"]
    return [
        pytest.param(block, id=str(block), marks=[getattr(pytest.mark, word) for word in block.words.split()])
        for block in run
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """One folder per page; blocks of a page build on one another."""
    made = {}
    for page in PAGES:
        made[page] = tmp_path_factory.mktemp(page.stem)
        for name in ("examples", "docker", "benchmarks"):
            (made[page] / name).symlink_to(ROOT / name)
    return made


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("block", _parameters())
def test_block_runs(block: Block, folders: dict[Path, Path]) -> None:
    command = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    program = subprocess.Popen(
        [*command, block.text], cwd=folders[block.page], env=env, start_new_session=True, **pipes
    )
    try:
        shown, _ = program.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGTERM)  # the block's commands too, not only its shell
        shown, _ = program.communicate()
        pytest.fail(f"{block} took more than {SECONDS} seconds\n{shown[-3000:]}")
    assert program.returncode == 0, f"{block}: exit code {program.returncode}\n{shown[-3000:]}"


def test_every_block_says_what_becomes_of_it() -> None:
    assert not [str(block) for block in BLOCKS if not block.verb]
    assert not [str(block) for block in BLOCKS if block.verb == "not run" and len(block.words) < 8]
    assert not [str(block) for block in BLOCKS if block.verb == "run" and set(block.words.split()) - set(MARKERS)]
    assert sum(block.verb == "run" for block in BLOCKS) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_readme_is_short_and_its_tree_is_true() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    named = re.findall(r"^ *([\w.-]+/?)  +\S", text[text.index("```text") :], re.MULTILINE)
    places = (ROOT, ROOT / "swe_srl")
    assert len(named) >= 20
    assert not [name for name in named if not any((place / name).exists() for place in places)]


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert not [command.name for command in COMMANDS if f"swe-srl {command.name}" not in text]


def test_contributing_fits_a_screen() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 50


def test_tests_that_pages_name_exist() -> None:
    named = {
        (file, name) for page in PAGES for file, name in re.findall(r"(test_\w+\.py)::(test_\w+)", page.read_text())
    }
    assert len(named) >= 15
    assert not [
        f"{file}::{name}" for file, name in named if f"\ndef {name}(" not in (ROOT / "tests" / file).read_text()
    ]
