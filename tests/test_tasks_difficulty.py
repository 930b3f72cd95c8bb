"""How hard a task is: measured, recorded for every bundled task, and tasks chosen by it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from training_data import train_settings

from swe_srl.cli import main
from swe_srl.cli.tasks import select
from swe_srl.errors import ConfigError, TaskError, TrajectoryError
from swe_srl.evaluation.selection import select_tasks
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.grading import GradingSettings, log_parser_statuses, run_tests
from swe_srl.tasks import load_tasks, task_from_row
from swe_srl.tasks.difficulty import LEVELS, bundled, difficulty_of, of_difficulty
from swe_srl.tasks.synthesis.difficulty import apart, measured, open_edits
from swe_srl.tasks.synthesis.mutations import mutations
from swe_srl.tasks.synthesis.pipeline import synthesise
from swe_srl.tasks.synthesis.quickstart import SPLITS, quickstart_settings
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.synthesis.suite import module_paths
from swe_srl.training.data import load_steps, quickstart_file
from swe_srl.training.settings import TrainSettings
from swe_srl.training.subset import of_trajectories
from swe_srl.training.tasks import load_task_data
from swe_srl.types import Task, TestRun

REPOSITORIES = Path(str(resources.files("swe_srl"))) / "data" / "quickstart" / "repos"
TWICE = """
def total(a, b):
    return a + b


class Basket:
    def total(self, prices):
        return sum(prices) - 1


def other(a):
    return a * 2 < 3
"""


def measured_again(task: Task) -> dict[str, object]:
    """From the repository and the planted line."""
    extra = json.loads(task.extra)
    root = REPOSITORIES / task.repo.split("/")[1]
    texts = {path: (root / path).read_text() for path in module_paths(root)}
    lines = [line[1:] for line in task.patch.split("\n") if line.startswith("-") and not line.startswith("---")]
    (planted,) = [
        one
        for one in mutations(texts[extra["module"]])
        if (one.function, one.line, one.new) == (extra["function"], extra["line"], lines[0])
    ]
    return measured(texts, extra["module"], planted, task.problem_statement)


def test_every_bundled_task_has_the_difficulty_that_is_measured() -> None:
    tasks = {split: load_tasks(f"quickstart-{split}") for split in SPLITS}
    assert bundled() == {task.instance_id: measured_again(task) for several in tasks.values() for task in several}
    for several in tasks.values():
        counts = Counter(map(difficulty_of, several))
        assert counts.keys() == set(LEVELS) and min(counts.values()) > len(several) / 5


def test_places_that_the_issue_leaves_open_count() -> None:
    texts = {"a.py": TWICE, "b.py": "def other(a):\n    return a\n"}
    one = open_edits(
        {"a.py": TWICE.replace("Basket:\n    def total", "Basket:\n    def sum")}, "a.py", "total", "`total`"
    )
    both = open_edits(texts, "a.py", "total", "`total(1, 2)` is wrong")
    whole = open_edits(texts, "a.py", "total", "The `totals` are wrong")
    assert 0 < one < both < whole
    elsewhere = open_edits({**texts, "c.py": "def total(a):\n    return a + 1\n"}, "a.py", "total", "`total` is wrong")
    assert elsewhere > both


def test_tasks_are_chosen_by_difficulty() -> None:
    tasks = load_tasks("quickstart-test")
    hard, rest = (of_difficulty(tasks, wanted, "x") for wanted in (["hard"], ["easy", "medium"]))
    assert sorted(task.instance_id for task in (*hard, *rest)) == sorted(task.instance_id for task in tasks)
    assert of_difficulty(tasks, (), "x") == tasks
    with pytest.raises(TaskError, match=r"difficulty: x: .*did you mean 'hard'"):
        of_difficulty(tasks, ["hart"], "x")
    foreign = task_from_row({"instance_id": "a__a-1", "repo": "a/a", "difficulty": "1-4 hours"})
    assert of_difficulty([foreign], ["1-4 hours"], "verified") == [foreign]
    with pytest.raises(TaskError, match="do not say how hard they are"):
        of_difficulty([replace(foreign, extra="{}")], ["easy"], "rows")


def test_an_evaluation_takes_some_difficulties() -> None:
    chosen = select_tasks(EvalSettings(difficulty=("hard",), limit=5))
    assert [difficulty_of(task) for task in chosen] == ["hard"] * 5
    assert EvalSettings().folder != EvalSettings(difficulty=("hard",)).folder


def test_the_list_tells_difficulties(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "list", "quickstart", "--difficulty", "easy"]) == 0
    shown = capsys.readouterr().out
    assert "easy" in shown and "hard" not in shown and "19 tasks of 4 repositories" in shown
    assert main(["tasks", "list", "quickstart", "--difficulty", "eesy"]) == 2
    assert "did you mean 'easy'" in capsys.readouterr().err


def test_training_takes_trajectories_of_some_difficulties() -> None:
    everything = load_steps(TrainSettings())
    hard = load_steps(TrainSettings(difficulty=("hard",)))
    levels = {task.instance_id: difficulty_of(task) for task in load_tasks("quickstart-train")}
    assert hard.training == [step for step in everything.training if levels[step.task_id] == "hard"] != []
    assert hard.validation == everything.validation
    tasks = load_task_data(TrainSettings(method="rlvr", difficulty=("hard",)))
    assert {difficulty_of(task) for task in tasks.training} == {"hard"}
    assert {difficulty_of(task) for task in tasks.validation} == set(LEVELS)


def test_all_difficulties_are_the_same_data_as_none() -> None:
    """What an earlier run was told apart by stays: rows, steps and their order."""
    plain, named = TrainSettings(), TrainSettings(difficulty=LEVELS)
    assert load_steps(plain).fingerprints() == load_steps(named).fingerprints()
    episodes, chosen = (replace(settings, method="rlvr") for settings in (plain, named))
    assert load_task_data(episodes).fingerprints() == load_task_data(chosen).fingerprints()
    assert not any("difficulty" in json.loads(task.extra) for task in load_tasks("quickstart-train"))


def test_a_difficulty_of_trajectories_needs_their_tasks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="difficulty: tasks tell it"):
        train_settings(tmp_path, difficulty=("hard",))
    with pytest.raises(TrajectoryError, match="no trajectory is of one of the 96 tasks"):
        load_steps(train_settings(tmp_path, difficulty=("hard",), tasks="quickstart-train"))


def test_training_on_tasks_by_name(tmp_path: Path) -> None:
    listed = tmp_path / "wanted.txt"
    listed.write_text("# easy ones\nquickstart__coins-3\n\nquickstart__words-12\n")
    names = {"quickstart__coins-3", "quickstart__coins-1", "quickstart__words-12"}
    settings = TrainSettings(instances=("quickstart__coins-1", str(listed)))
    assert {step.task_id for step in load_steps(settings).training} == names
    assert load_steps(settings).validation == load_steps(TrainSettings()).validation
    episodes = replace(settings, method="rlvr")
    assert {task.instance_id for task in load_task_data(episodes).training} == names
    easy = load_task_data(replace(episodes, difficulty=("easy",))).training
    assert [task.instance_id for task in easy] == ["quickstart__coins-3", "quickstart__words-12"]


@pytest.mark.parametrize(
    ("instances", "more", "words"),
    [
        (
            ("quickstart__coins-33",),
            {},
            "no training step is of quickstart__coins-33: unknown task .*did you mean 'quickstart__coins-",
        ),
        (("quickstart__coins-33",), {"method": "rlvr"}, "unknown task 'quickstart__coins-33': did you mean"),
        (("quickstart__loans-6",), {"method": "rlvr"}, "it is in the task set 'quickstart'"),
        (("quickstart__coins-1",), {"method": "rlvr", "difficulty": ("hard",)}, "none of the 1 is hard"),
        (("nowhere.txt",), {}, "nowhere.txt cannot be read: No such file"),
        (("empty.txt",), {}, "no id stands in empty.txt"),
    ],
)
def test_names_that_do_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instances: tuple[str, ...], more: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("# nothing\n")
    settings = TrainSettings(instances=instances, **more)
    with pytest.raises(ConfigError, match=words):
        (load_task_data if settings.needs_tasks else load_steps)(settings)


def test_a_task_that_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    rows = Path(shutil.copy(quickstart_file("tasks-train.jsonl"), tmp_path / "rows.jsonl"))
    plain = TrainSettings(method="rlvr", tasks=str(rows), validation_share=0.1)
    data = load_task_data(plain)
    assert data.validation
    with pytest.raises(ConfigError, match="is held out \\(1 of 2 are\\)"):
        load_task_data(replace(plain, instances=(data.validation[0].instance_id, data.training[0].instance_id)))


def test_fewer_trajectories_are_among_more() -> None:
    everything = load_steps(TrainSettings()).training
    few, more = (load_steps(TrainSettings(most_trajectories=count)).training for count in (25, 50))
    names = [{step.trajectory_id for step in steps} for steps in (few, more, everything)]
    assert [len(one) for one in names] == [25, 50, 280] and names[0] < names[1]
    assert few == [step for step in everything if step.trajectory_id in names[0]]
    assert of_trajectories(everything, 25, seed=1) != few
    assert of_trajectories(everything, 280, seed=1) == everything


@pytest.mark.sandbox
def test_synthesis_makes_tasks_of_the_difficulty_that_is_wanted() -> None:
    def run_locally(task: Task, patch: str) -> TestRun:
        return run_tests(task, patch, GradingSettings(sandbox="local", hardened=False))

    settings = replace(quickstart_settings("coins", 1, workers=1), difficulty=("hard",))
    (task,) = synthesise(settings, run_locally, log_parser_statuses)
    plain, said = apart(task)
    assert difficulty_of(task) == said["difficulty"] == "hard" and said == measured_again(task)
    assert "difficulty" not in json.loads(plain.extra)


def test_a_difficulty_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--difficulty: .*did you mean 'hard'"):
        SynthesiseSettings(source="x", difficulty=("hart",)).check()


def test_evaluations_and_checks_take_the_same_lists(tmp_path: Path) -> None:
    names = ["quickstart__loans-6", "quickstart__loans-1"]
    lines = ["# held back", "", "  # indented", *names, f"  {names[0]} "]
    (tmp_path / "some.txt").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    chosen = select_tasks(EvalSettings(instances=(str(tmp_path / "some.txt"),)))
    assert sorted(task.instance_id for task in chosen) == sorted(names)
    assert sorted(task.instance_id for task in select(chosen, (str(tmp_path / "some.txt"),))) == sorted(names)
    for choose in (lambda lists: select_tasks(EvalSettings(instances=lists)), lambda lists: select(chosen, lists)):
        with pytest.raises(ConfigError, match=r"no id stands in .*empty\.txt"):
            choose((str(tmp_path / "empty.txt"),))
