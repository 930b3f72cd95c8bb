"""Solutions in numbered steps: from a record to contexts and targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swe_srl.agents import AgentDefinition
from swe_srl.errors import ConfigError
from swe_srl.trajectories import ReadReport, make_steps, read_trajectories
from swe_srl.trajectories.prompting import Prompting, render_messages
from swe_srl.trajectories.readers.numbered import split_steps
from swe_srl.types import Action, FormatError, Step, Turn

SOLUTION = """Let us begin.

1. **Count the legs:** A cow has
   1. two in front
   2. two behind

2. **Add**: 2 + 2 = 4.

3. **Conclude.** So \\boxed{4}.
The final answer is 4."""
RECORD = {"id": 7, "problem": "How many legs has a cow?", "solution": SOLUTION}


def steps_of(folder: Path, agent: str) -> list[Step]:
    (folder / "x.jsonl").write_text(json.dumps(RECORD) + "\n")
    return list(make_steps(read_trajectories(folder / "x.jsonl"), AgentDefinition.load(agent).prompting))


def test_a_step_ends_where_the_next_number_begins() -> None:
    assert split_steps(SOLUTION) == [
        "**Count the legs:** A cow has\n   1. two in front\n   2. two behind",
        "**Add**: 2 + 2 = 4.",
        "**Conclude.** So \\boxed{4}.\nThe final answer is 4.",
    ]
    assert split_steps("1. **A** b\n1. **C** d\n3. **E** f\n2. **G** h") == [
        "**A** b\n1. **C** d\n3. **E** f",
        "**G** h",
    ]
    assert split_steps("") == split_steps("1. no title\n2. none either") == []


def test_the_title_is_part_of_the_context_and_not_of_the_target(tmp_path: Path) -> None:
    steps = steps_of(tmp_path, "math")
    assert [step.target for step in steps][1:] == ["2 + 2 = 4.", "So \\boxed{4}.\nThe final answer is 4."]
    system, asked = steps[1].context
    assert system.role == "system"
    assert asked.content == (
        "Problem: How many legs has a cow?\n\n1. **Count the legs:** A cow has\n   1. two in front\n   2. two behind\n\n"
        "The next step is: Add\n"
    )
    assert steps[0].task_id == "7" and steps[0].step_id == "x.7:0"


def test_without_titles_the_target_is_the_whole_step() -> None:
    prompting = Prompting(context="inline", instance="{{ problem_statement }} {{ steps }} {{ title }}")
    turns = (Turn(Action("**Add**: 4.")), Turn(FormatError("empty", "")), Turn(Action("**End**")))
    [message] = render_messages(prompting, "Q", turns)
    assert message.content == "Q ['**Add**: 4.', '**End**'] "


def test_a_record_without_a_name_is_called_after_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({**RECORD, "id": None}) + "\n" for _ in range(2)))
    assert [one.task_id for one in read_trajectories(tmp_path / "x.jsonl")] == ["x", "x:2"]


def test_titles_need_a_context_that_shows_them() -> None:
    with pytest.raises(ConfigError, match="titles are shown in inline contexts alone"):
        Prompting(titles=True)


def test_steps_and_title_are_there_for_inline_contexts_alone() -> None:
    with pytest.raises(ConfigError, match=r"'steps' is undefined \(its variables: problem_statement\)"):
        render_messages(Prompting(instance="{{ steps }}"), "Q", ())


def test_what_an_acting_agent_sees_is_what_was_trained_on_but_for_the_title(tmp_path: Path) -> None:
    prompting = AgentDefinition.load("math").prompting
    steps = steps_of(tmp_path, "math")
    seen = render_messages(prompting, RECORD["problem"], [Turn(Action(split_steps(SOLUTION)[0]))])  # type: ignore[arg-type]
    assert seen[0] == steps[1].context[0]
    assert steps[1].context[1].content.startswith(seen[1].content.rstrip())


def test_a_solution_without_steps_is_reported(tmp_path: Path) -> None:
    report = ReadReport()
    rows = [{**RECORD, "solution": text} for text in ("It is 4.", "1. **Only** one")]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(read_trajectories(tmp_path / "x.jsonl", report)) == []
    assert report.records["the solution has no numbered steps with titles"].count == 2


@pytest.mark.shared
def test_the_real_solutions_are_read(shared_data: Path) -> None:
    report = ReadReport()
    file = shared_data / "math" / "contamination-audit_s1k.json"
    steps = list(make_steps(read_trajectories(file, report), AgentDefinition.load("math").prompting, report))
    solutions = [row["solution"] for row in json.loads(file.read_text())]
    usable = [text for text in solutions if len(split_steps(text)) > 1]
    assert len(usable) > 200
    assert report.records["the solution has no numbered steps with titles"].count == len(solutions) - len(usable)
    assert report.turns_read == sum(len(split_steps(text)) for text in usable) == len(steps) + report.reported
