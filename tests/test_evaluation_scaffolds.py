"""The scaffolds of few answers: what they show, and that an edit made from it is graded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from grading_support import CALC, GOLD, named, new_file, tiny_task

from swe_srl.agents import AgentDefinition, PolicyAnswer
from swe_srl.agents.showing import file_names, gold_files
from swe_srl.errors import ConfigError, TaskError
from swe_srl.evaluation import EvalSettings, evaluate
from swe_srl.files import write_jsonl
from swe_srl.protocols import PolicyOutput
from swe_srl.testing import FakeSandbox
from swe_srl.trajectories import read_trajectories
from swe_srl.types import Action, Context, Task

EDIT = """python3 - <<'EOF'
from pathlib import Path
path = Path('{path}')
path.write_text(path.read_text().replace('a - b', 'a + b'))
EOF"""


class Reader:
    """A policy that knows only what it is shown: it edits the file in whose text it finds the bug."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        return [
            PolicyAnswer(Action(self.command(context)), prompt_tokens=1, completion_tokens=1) for context in contexts
        ]

    def command(self, context: Context) -> str:
        shown = "\n".join(message.content for message in context.messages if message.role == "user")
        self.seen.append(shown)
        if "return a - b" in shown:
            return EDIT.format(path="calc.py")
        assert "<files>" in shown
        (name,) = [line for line in shown.splitlines() if line.endswith(".py") and line in issue_words(shown)]
        return f"cat {name}"


def issue_words(shown: str) -> list[str]:
    """Files that are named like a function's module: here the only one that is no test."""
    return [line for line in shown.splitlines() if line.endswith(".py") and "/" not in line]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, "tiny__calc-1").row()])
    return tmp_path / "rows.jsonl"


@pytest.mark.sandbox
@pytest.mark.parametrize(("agent", "turns"), [("oracle-edit", 1), ("agentless-mini", 2)])
def test_a_policy_solves_the_task_from_what_is_shown(rows: Path, agent: str, turns: int) -> None:
    policy, run = Reader(), rows.parent / "run"
    report = evaluate(EvalSettings(tasks=str(rows), policy="reader", agent=agent, output=run), policy=policy)
    assert (report.resolved, report.hardened, report.samples) == (1, 1, 1)
    assert report.turns == turns and report.exit_reasons == {"turn_limit": 1}
    assert ("oracle: shown the files to change" in report.title) == (agent == "oracle-edit")
    (episode,) = read_trajectories(run / "episodes.jsonl")
    assert "add(2, 3) gives -1." in policy.seen[0] and "test_add" not in policy.seen[0]
    assert ('<file path="calc.py">' in policy.seen[0]) == (agent == "oracle-edit")
    assert ("tests/test_calc.py" in policy.seen[0]) == (agent == "agentless-mini")
    assert episode.problem_statement in policy.seen[0], "the trajectory tells what was shown"


@pytest.mark.sandbox
@pytest.mark.parametrize("agent", ["oracle-edit", "agentless-mini"])
def test_gold_and_empty_check_these_scaffolds_too(rows: Path, agent: str) -> None:
    for policy, resolved in (("gold", 1), ("empty", 0)):
        settings = EvalSettings(
            tasks=str(rows), policy=policy, agent=agent, output=rows.parent / policy, hardened=False
        )
        assert evaluate(settings).resolved == resolved


def test_files_are_shown_whole_or_say_what_is_cut() -> None:
    task = Task("t", "r", "c", "p", patch=GOLD + new_file("new.py", "a"))
    sandbox = FakeSandbox(files={"calc.py": CALC.encode()})
    assert gold_files(sandbox, task, 10_000) == f'<file path="calc.py">\n{CALC.rstrip()}\n</file>'
    assert "characters cut]" in gold_files(sandbox, task, 40)
    with pytest.raises(TaskError, match=r"calc\.py, which the gold patch changes, is not in the repository"):
        gold_files(FakeSandbox(), task, 100)
    with pytest.raises(TaskError, match="the gold patch cannot be read"):
        gold_files(sandbox, Task("t", "r", "c", "p", patch="--- a/x\n+++ b/x\n@@ -1 +9 @@\n-a\n"), 100)


def test_the_list_of_files_is_gits(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = FakeSandbox()
    monkeypatch.setattr(FakeSandbox, "run_clean", lambda self, script, timeout: (0, b"a.py\nb/c.py\n"))
    assert file_names(sandbox, Task("t", "r", "c", "p"), 100) == "<files>\na.py\nb/c.py\n</files>"


def test_what_is_shown_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("show: gold\n")
    with pytest.raises(ConfigError, match="show must be one of gold_files, files, or empty, not 'gold'"):
        AgentDefinition.load(str(file))
