"""Training on problems with a final answer: solutions without a sandbox, rewarded by the compared answer."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import resource
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swe_srl.agents import AgentDefinition
from swe_srl.agents.showing import check_agent, open_environment
from swe_srl.cli import main
from swe_srl.envs.answers import AnswerEnv
from swe_srl.errors import ConfigError, GradingError
from swe_srl.files import read_jsonl
from swe_srl.grading import GradingSettings, check_sandboxes, comparing, grade, obstacle
from swe_srl.tasks import load_tasks
from swe_srl.tasks.problems import answer_of
from swe_srl.training import load_recipe, train
from swe_srl.training.settings import StageSettings
from swe_srl.types import Task, VerdictStatus

pytestmark = pytest.mark.timeout(600)
AGENT = """
instance: "{{ problem_statement }}{% for step in steps %}\\n{{ loop.index }}. {{ step }}{% endfor %}"
context: inline
titles: true
action_format: plain
max_turns: 4
"""


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    """Problems with solutions in steps, in the form of s1K: their answers are 4 or 5, as a coin fell."""
    drawn, path = random.Random(1), tmp_path / "coins.jsonl"
    rows = []
    for number in range(40):
        answer = drawn.choice((4, 5))
        solution = f"1. **Look.** It is near.\n2. **Say.** So \\boxed{{{answer}}}."
        rows.append({"id": number, "question": f"4 or 5: {number}?", "answer": str(answer), "solution": solution})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def agent(tmp_path: Path) -> str:
    (tmp_path / "solver.yaml").write_text(AGENT)
    return str(tmp_path / "solver.yaml")


def plan_of(problems: Path) -> list[str]:
    return ["train", "--method", "rlvr", "--tasks", str(problems), "--output", str(problems.parent / "x"), "--dry-run"]


@pytest.mark.slow
def test_the_curriculum_on_problems(problems: Path, agent: str) -> None:
    """The recipe on one file, shortened, by a model that has learnt the form: each reward is the verdict on what was written."""
    recipe = load_recipe("math-srl-rlvr", trajectories=str(problems), tasks=str(problems), agent=agent, model="random")
    assert [stage.method for stage in recipe.stages] == ["srl", "rlvr"]
    imitate = StageSettings("sft", sft_target="command", updates=60, batch_steps=8, learning_rate=4e-3)
    short = {"batch_steps": 4, "group_size": 4, "max_new_tokens": 24, "updates": 2, "learning_rate": 1e-3}
    stages = [dataclasses.replace(imitate, max_new_tokens=24, eval_every=0)]
    stages += [dataclasses.replace(stage, **short, eval_every=2, validation_steps=2) for stage in recipe.stages]
    settings = dataclasses.replace(
        recipe,
        stages=tuple(stages),
        dtype="float32",
        threads=1,
        workers=4,
        samples_every=1,
        output=problems.parent / "run",
    )
    run = train(settings)
    known = {task.instance_id: task for task in load_tasks(str(problems))}
    rows = [row for row in read_jsonl(run / "metrics.jsonl") if row["stage"] == 2]
    assert [row["update"] for row in rows] == [0, 1, 2] and all(row["validation_episodes"] == 2 for row in rows[::2])
    assert all(row["kept_groups"] == 4 and row["failed_episodes"] == 0 and row["grad_norm"] > 0 for row in rows[1:])
    shown = [row for row in read_jsonl(run / "samples.jsonl") if row["stage"] == 2]
    assert len(shown) == 2
    for row in shown:
        told = [(one["reward"], one["verdict"]) for one in row["episodes"]]
        verdicts = [grade(known[row["task_id"]], one["patch"]) for one in row["episodes"]]
        assert told == [(float(verdict.official), verdict.status.value) for verdict in verdicts]
        assert {reward for reward, _ in told} == {0.0, 1.0}  # dynamic sampling keeps no other group
        assert all("".join(one["completions"]).count("boxed") for one in row["episodes"] if one["reward"])
    assert (run / "model/model.safetensors").exists() and not list((run / "verdicts").rglob("*.json"))


def test_the_plan_of_training_on_problems(
    problems: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One turn each, by the agent of whole solutions; this machine needs no sandbox."""

    def none(*arguments: object) -> None:
        raise AssertionError("sandboxes were looked for")

    monkeypatch.setattr("swe_srl.grading.obstacles.capabilities", none)
    command = plan_of(problems)
    assert main([*command, "--agent", "math-answer"]) == 0
    said = capsys.readouterr().out
    assert "38 training tasks, 2 held out" in said and "rlvr" in said and "agent math-answer" in said
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "agent: shell works in a repository, and coins-" in said and "math-answer (a whole solution)" in said
    assert main([*command, "--agent", "math-answer", "--evaluation-split", str(problems)]) == 2
    assert "40 of the tasks of rlvr belong to" in capsys.readouterr().err


def test_problems_without_an_answer_are_left_out_by_name(problems: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = {
        "id": "proof",
        "question": "Show that 2 is even.",
        "solution": "1. **Halve.** It is 1.\n2. **End.** So it is.",
    }
    with problems.open("a") as file:
        file.write(json.dumps(proof) + "\n")
    (task,) = [task for task in load_tasks(str(problems)) if task.instance_id == "coins-proof"]
    assert grade(task, "\\boxed{1}").status is VerdictStatus.UNRESOLVED
    command = plan_of(problems)
    assert main([*command, "--agent", "math-answer", "--validation-share", "0"]) == 0
    said = capsys.readouterr().out
    assert (
        "40 training tasks, 0 held out" in said and "cannot be run here: coins-proof: its row tells no answer" in said
    )


def test_without_math_verify_the_problems_cannot_be_run(problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (task, *_) = load_tasks(str(problems))
    assert obstacle(task, GradingSettings()) == ""
    check_sandboxes([task], "docker")
    monkeypatch.setitem(sys.modules, "math_verify", None)
    assert "pip install 'swe-srl[math]'" in obstacle(task, GradingSettings())


def test_a_problem_is_worked_on_in_no_sandbox(problems: Path) -> None:
    (task, *_) = load_tasks(str(problems))
    agent = AgentDefinition.load("math")
    env = open_environment(task, agent, "default", "docker")
    assert isinstance(env, AnswerEnv) and env.reset()[0] == task.problem_statement
    env.step("First.")
    env.step("So \\boxed{4}.")
    assert env.patch() == "First.\n\nSo \\boxed{4}."
    env.reset()
    assert env.patch() == ""
    check_agent(agent, [task])
    with pytest.raises(ConfigError, match="oracle-edit works in a repository"):
        check_agent(AgentDefinition.load("oracle-edit"), [task])


def in_a_thread(solutions: Sequence[tuple[Task, str]]) -> list[VerdictStatus]:
    with ThreadPoolExecutor(1) as pool:
        return [pool.submit(grade, task, text).result().status for task, text in solutions]


def test_answers_are_compared_from_any_thread(problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the main thread, also after the process that compares was killed; it ends with its owner's pipe."""
    tasks = {task.instance_id: task for task in load_tasks(str(problems))}
    four = next(task for task in tasks.values() if answer_of(task) == "4")
    asked = [(four, "\\boxed{\\frac{8}{2}}"), (four, "\\boxed{5}"), (four, "4"), (four, "\\boxed{4}")]
    expected = [VerdictStatus.RESOLVED, VerdictStatus.UNRESOLVED, VerdictStatus.EMPTY_PATCH, VerdictStatus.RESOLVED]
    assert in_a_thread(asked) == [grade(*one).status for one in asked] == expected
    process = comparing._comparers[os.getpid()]._process
    process.kill()
    process.wait()
    assert in_a_thread(asked) == expected
    other = comparing._comparers[os.getpid()]._process
    assert other.pid != process.pid and other.stdin is not None
    other.stdin.close()
    assert other.wait(60) == 0
    comparing._comparers.clear()
    monkeypatch.setattr(comparing, "SECONDS", 0.0)
    with pytest.raises(GradingError, match=r"was silent for 0 seconds, twice: over '\\\\frac\{8\}\{2\}' against '4'"):
        in_a_thread(asked)
    assert not comparing._comparers


def test_a_forked_process_compares_answers_with_its_own(problems: Path) -> None:
    """Whatever a thread of its parent was asking; the parent's process ends with the parent alone."""
    asked = [(load_tasks(str(problems))[0], "\\boxed{0.5}")]
    in_a_thread(asked)
    comparer = comparing._comparers[os.getpid()]
    with comparing._lock:
        child = os.fork()
        if child == 0:
            worker = threading.Thread(target=in_a_thread, args=(asked,), daemon=True)
            worker.start()
            worker.join(60)
            closed = comparer._process.stdin is not None and comparer._process.stdin.closed
            os._exit(0 if closed and not worker.is_alive() and os.getpid() in comparing._comparers else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert in_a_thread(asked) == [grade(*asked[0]).status]
    assert comparing._comparers[os.getpid()] is comparer


def test_answers_are_compared_where_many_descriptors_are_open(problems: Path) -> None:
    """As where there are hundreds of sandboxes: `select` knows 1024 alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("no 2048 descriptors may be open here")
    asked = [(load_tasks(str(problems))[0], "\\boxed{0.5}")]
    if comparer := comparing._comparers.pop(os.getpid(), None):
        comparer.end()
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        assert in_a_thread(asked) == [grade(*asked[0]).status]
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
