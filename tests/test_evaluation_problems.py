"""An evaluation on problems with a final answer, from the command line to the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from swe_srl.agents.policies import PolicyAnswer
from swe_srl.cli import main
from swe_srl.errors import ConfigError, ContaminationError, GenerationError, TaskError
from swe_srl.evaluation import EvalSettings, collect, compare, evaluate
from swe_srl.evaluation.collect_settings import CollectSettings
from swe_srl.evaluation.markdown import report_markdown
from swe_srl.protocols import PolicyOutput
from swe_srl.tasks import load_tasks
from swe_srl.training.data import guard
from swe_srl.training.settings import TrainSettings
from swe_srl.types import Action, Context, FormatError, Message, Step

ROWS = [{"problem": f"What is {number} + {number}?", "answer": str(2 * number)} for number in range(1, 7)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def settings_for(rows: Path, name: str, **more: object) -> EvalSettings:
    return EvalSettings(split="aime24", tasks=str(rows), policy=name, output=rows.parent / name, **more)  # type: ignore[arg-type]


class Adds:
    """Adds right up to 2 times `until`, malformed beyond; in two steps when asked again."""

    def __init__(self, until: int, fail: str = "") -> None:
        self.until, self.fail = until, fail
        self.asked: list[Context] = []

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        self.asked += contexts
        return [self._answer(context) for context in contexts]

    def _answer(self, context: Context) -> PolicyOutput:
        number = int(context.messages[-1].content.split("What is ")[1].split()[0])
        if context.task_id == self.fail:
            raise GenerationError("gone")
        if number > self.until:
            return PolicyAnswer(FormatError("<think> is not closed", "<think>"), "<think>")
        if "1. Let me see." in context.messages[-1].content:
            return PolicyAnswer(Action(f"It is \\boxed{{{2 * number}.0}}"), completion_tokens=5)
        return PolicyAnswer(Action("Let me see." if number % 2 else f"\\boxed{{{2 * number}}}"), completion_tokens=3)


def test_gold_is_right_and_empty_is_not(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", "--split", "math500", "--tasks", str(rows), "--output"]
    assert main([*command, str(rows.parent / "g"), "--policy", "gold"]) == 0
    assert "6 of 6: 100.0%" in " ".join(capsys.readouterr().out.split())
    assert main([*command, str(rows.parent / "e"), "--policy", "empty"]) == 0
    assert "0 of 6: 0.0%" in " ".join(capsys.readouterr().out.split())


def test_a_solution_may_take_several_steps(rows: Path) -> None:
    policy = Adds(until=4)
    report = evaluate(settings_for(rows, "adds", agent="math", samples=2), policy=policy)
    assert (report.tasks, report.samples, report.resolved) == (6, 12, 8)
    assert report.exit_reasons == {"submitted": 8, "format_errors": 4}
    assert report.hardened is None and report.similarity is None
    assert max(context.turn for context in policy.asked) == 2  # the third malformed answer in a row ends an episode
    comparison = compare(rows.parent / "adds", _run(rows, "less", 2))
    assert comparison.difference.value == pytest.approx(-2 / 6)


def test_the_report_of_problems_speaks_of_answers(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Avg@k with its interval, or greedy; nothing that only repositories have."""
    several = settings_for(rows, "several", agent="math", samples=4, temperature=1.0)
    report = evaluate(several, policy=Adds(until=4))
    text = report_markdown(report)
    assert "| Avg@4 | 16 of 24: 66.7% (95% interval " in text and "| pass@4 | 66.7% |" in text
    assert "| answers | right 16, none 8 |" in text and "| aime24 | 16 of 24 | 66.7% |" in text
    for word in ("resolved", "hardened", "patch", "edit", "failed checks", "expert", "grading", "repository"):
        assert word not in text, word
    assert json.loads((several.folder / "report.json").read_text())["answers"] == "Avg@4"
    greedy = evaluate(settings_for(rows, "greedy", agent="math"), policy=Adds(until=4))
    assert "| greedy | 4 of 6: 66.7% (95% interval 30.0% to 90.3%) |" in report_markdown(greedy)
    command = ["eval", "--split", "aime24", "--tasks", str(rows), "--output", str(rows.parent / "x"), "--samples", "2"]
    assert main([*command, "--dry-run"]) == 0
    assert "warning: --samples 2 at temperature 0: all samples of a task are drawn alike" in capsys.readouterr().out
    assert main([*command, "--temperature", "1", "--dry-run"]) == 0
    assert "warning" not in capsys.readouterr().out


def test_predictions_of_problems_can_be_graded(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {"rows-1": "So \\boxed{2}.", "rows-2": "\\boxed{5}", "rows-3": ""}
    predictions = rows.parent / "predictions.jsonl"
    made = [{"instance_id": name, "model_name_or_path": "m", "model_patch": text} for name, text in said.items()]
    predictions.write_text("".join(json.dumps(row) + "\n" for row in made))
    assert main(["grade", str(predictions), "--split", str(rows), "--output", str(rows.parent / "graded")]) == 0
    text = (rows.parent / "graded" / "report.md").read_text()
    assert "| right answers | 1 of 3: 33.3% (" in text and "| answers | none 1, right 1, wrong 1 |" in text
    assert "patch" not in text and "1 of 3: 33.3%" in capsys.readouterr().out


def _run(rows: Path, name: str, until: int) -> Path:
    evaluate(settings_for(rows, name, agent="math", samples=2), policy=Adds(until))
    return rows.parent / name


def test_an_answer_in_one_completion_is_the_default(rows: Path) -> None:
    policy = Adds(until=6)
    report = evaluate(settings_for(rows, "one"), policy=policy)
    assert report.resolved == 3 and {context.turn for context in policy.asked} == {0}
    assert report.exit_reasons == {"submitted": 3, "turn_limit": 3}


def test_an_interrupted_run_goes_on(rows: Path) -> None:
    settings = settings_for(rows, "cut", agent="math", workers=1)
    with pytest.raises(GenerationError):
        evaluate(settings, policy=Adds(6, fail="aime24-4"))
    healthy = Adds(6)
    report = evaluate(settings, policy=healthy)
    assert report.resolved == 6
    assert {context.task_id for context in healthy.asked} == {"aime24-4", "aime24-5", "aime24-6"}
    (rows.parent / "cut" / "verdicts.jsonl").unlink()  # as after a kill between an episode and its verdict
    assert evaluate(settings, policy=Adds(0)).resolved == 6


def test_right_solutions_can_be_collected(rows: Path) -> None:
    settings = CollectSettings(split="aime24", tasks=str(rows), agent="math", output=rows.parent / "c", samples=2)
    collection, _ = collect(settings, policy=Adds(4))
    assert len(collection.trajectories) == 4 and collection.duplicates == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "expert"], "problems have no expert here"),
        (["--policy", "nobody/"], "nobody"),
        (["--check"], "have no environment to check"),
        (["--instances", "aime24-9"], "did you mean"),
        (["--tasks", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_is_said(
    rows: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--dry-run"]):
        command = ["eval", "--split", "aime24", "--tasks", str(rows), "--output", str(rows.parent / "x")]
        assert main([*command, *arguments, *more]) == 2
        assert message in capsys.readouterr().err
        assert not (rows.parent / "x").exists()


def test_without_the_hub_the_message_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **more: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(TaskError, match=r"aime_2024.*ConnectionError: no route.*give a file of its rows: --tasks FILE"):
        evaluate(EvalSettings(split="aime24", policy="gold"))
    with pytest.raises(TaskError, match=r"give its path instead of the name") as told:
        load_tasks("aime24")
    assert "--tasks" not in str(told.value)


def test_a_file_of_problems_given_as_the_split_is_told_how(rows: Path) -> None:
    with pytest.raises(ConfigError, match=r"rows are problems with an answer.*--split math500 --tasks FILE"):
        evaluate(EvalSettings(split=str(rows), policy="gold", output=rows.parent / "x"))


def test_steps_of_a_problem_of_the_evaluation_split_are_refused(rows: Path) -> None:
    said = "How many apples has Ann, who had seven of them and was given nine more by Bob?"
    rows.write_text(json.dumps({"problem": said, "answer": "16"}) + "\n")
    context = (Message("user", f"Problem: {said}"),)
    step = Step("s", "t", "elsewhere", 0, context, "7 + 9 = 16")
    with pytest.raises(ContaminationError, match=r"1 training steps belong to 1 tasks.*rows-1"):
        guard([step], [], TrainSettings(evaluation_split=str(rows)))


def test_the_plan_names_the_problems(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "eval",
        "--split",
        "aime24",
        "--tasks",
        str(rows),
        "--policy",
        "gold",
        "--output",
        str(rows.parent / "x"),
    ]
    assert main([*command, "--dry-run"]) == 0
    assert "6 tasks" in capsys.readouterr().out


def test_a_model_of_the_quickstart_answers(rows: Path) -> None:
    report = evaluate(settings_for(rows, "quickstart", limit=2, max_new_tokens=8, temperature=0.0))
    assert report.samples == 2 and report.tokens["completion"] <= 8
    with pytest.raises(ConfigError):
        evaluate(settings_for(rows, "quickstart", limit=2, max_new_tokens=9, temperature=0.0))
