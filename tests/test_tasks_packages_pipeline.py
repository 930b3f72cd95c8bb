"""The whole way from a repository to validated tasks with demonstrations, in real sandboxes."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swe_srl.agents.demonstration import referee
from swe_srl.cli import main
from swe_srl.errors import ConfigError, SandboxError, TaskError
from swe_srl.progress import SilentProgress
from swe_srl.sandboxes.local import LocalSandbox
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks import load_tasks, validate
from swe_srl.tasks.packages import pipeline, project
from swe_srl.tasks.packages.origin import export_commit, fetch_package
from swe_srl.tasks.packages.pipeline import synthesise_packages
from swe_srl.tasks.packages.suite import TestBench
from swe_srl.tasks.packages.trial import Trial
from swe_srl.tasks.surroundings import surroundings
from swe_srl.tasks.synthesis.difficulty import level, open_edits
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.synthesis.suite import module_paths
from swe_srl.training.data import load_steps
from swe_srl.training.recipes import load_recipe
from swe_srl.trajectories import read_trajectories
from swe_srl.types import SandboxSpec, Task
from tests.grading_support import interrupted_tests
from tests.package_support import copy_pytest, make_repository

pytestmark = pytest.mark.sandbox
COUNT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository and what its tests need."""
    folder = tmp_path_factory.mktemp("synthesis")
    copy_pytest(folder / "needs")
    make_repository(folder / "repository")
    return folder


@pytest.fixture(autouse=True)
def without_index(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(origin: object, folder: Path, python: str, extras: object, requirements: object) -> Path:
        if not (folder / "needs").exists():
            shutil.copytree(place / "needs", folder / "needs")
        (folder / "needs.extras").write_text("tests\ndocs\n")
        return (folder / "needs").resolve()

    monkeypatch.setattr(project, "install_needs", install)


def settings_of(place: Path, output: Path, workers: int = 2, count: int = COUNT) -> SynthesiseSettings:
    return SynthesiseSettings(
        repo=str(place / "repository"), output=str(output), count=count, workers=workers, timeout=3.0, attempts=6
    )


@pytest.fixture(scope="module")
def made(place: Path) -> Path:
    """A finished folder."""
    with pytest.MonkeyPatch.context() as patch:
        without_index.__wrapped__(place, patch)  # type: ignore[attr-defined]
        arguments = ["--repo", str(place / "repository"), "--count", str(COUNT), "--timeout", "3", "--attempts", "6"]
        assert main(["tasks", "synthesise", *arguments, "--output", str(place / "made")]) == 0
    return place / "made"


def test_extras_that_are_not_asked_for_are_named(place: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    class Told(SilentProgress):
        def note(self, text: str) -> None:
            notes.append(text)

    archive = export_commit(str(place / "repository"), "HEAD", "", tmp_path)
    settings = replace(settings_of(place, tmp_path / "out"), extras=("docs",))
    project.examined_project(archive, settings, tmp_path / "suite.json", Told())
    (offered,) = (note for note in notes if "extras" in note)
    assert offered.endswith("offers extras that are not installed: tests; --extras brings those its tests need")


def tasks_of(folder: Path) -> list[Task]:
    return load_tasks(str(folder))


@pytest.mark.slow
def test_tasks_are_sound_and_say_nothing_of_the_fix(made: Path) -> None:
    tasks = tasks_of(made)
    assert len({task.instance_id for task in tasks}) == len(tasks) == COUNT
    assert {task.repo for task in tasks} == {"local/repository"}
    for task in tasks:
        extra = json.loads(task.extra)
        fixed = [line[1:].strip() for line in task.patch.split("\n") if line[:1] == "+" and line[:3] != "+++"]
        assert not any(line in task.problem_statement for line in fixed if line.count(" ") > 1)
        assert "test_" not in task.problem_statement
        assert "```python" in task.problem_statement
        assert extra["module"] == "src/ranges/numbers.py"
        assert task.fail_to_pass
        assert task.pass_to_pass
        assert not {"tests/test_ranges.py::test_always_fails"} & {*task.fail_to_pass, *task.pass_to_pass}
        assert not any("test_ambiguous" in name for name in (*task.fail_to_pass, *task.pass_to_pass))
    judge = referee()
    assert validate(tasks[0], judge.run_tests, judge.statuses).problems == ()


def test_the_failing_tests_are_withheld(made: Path) -> None:
    for task in tasks_of(made):
        base = prepare_repository(task.source, task.setup_patch).path
        for name in task.fail_to_pass:
            path, _, test = name.partition("::")
            assert f"def {test.rpartition('::')[2].partition('[')[0]}(" not in (base / path).read_text()
        assert not (base / "uncommitted.py").exists()


def test_the_expert_resolves_every_task(made: Path) -> None:
    tasks, shown = tasks_of(made), list(read_trajectories(made / "trajectories.jsonl"))
    assert [trajectory.task_id for trajectory in shown] == [task.instance_id for task in tasks]
    assert all(trajectory.resolved and len(trajectory.turns) >= 5 for trajectory in shown)
    for task, trajectory in zip(tasks, shown, strict=True):
        assert [line for line in trajectory.patch.split("\n") if line[:1] in "+-" and line[:2] not in ("++", "--")] == [
            line for line in task.patch.split("\n") if line[:1] in "+-" and line[:2] not in ("++", "--")
        ]
        assert "passed" in trajectory.turns[-2].observation
        if json.loads(task.extra)["script"]:
            before, after = (turn for turn in trajectory.turns if turn.action.command.startswith("python3 - <<"))  # type: ignore[union-attr]
            assert (before.exit_code, after.exit_code) == (1, 0)


def test_replay_reproduces_the_demonstrations(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["trajectories", "replay", str(made / "trajectories.jsonl"), "--split", str(made), "--limit", "2"]
    assert main(arguments) == 0
    said = "2 of 2 trajectories reproduce what they record; there are more: --limit 0 replays all\n"
    assert said in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="peft is not installed (pip install 'swe-srl[lora]')"
)
def test_logs_of_ones_own_agent_become_a_trained_lora(made: Path, run_root: Path) -> None:
    """Logs of mini-swe-agent's form on some of the tasks; steps; a LoRA; an evaluation on the others."""
    episodes = ["--policy", "expert", "--samples", "1", "--shard", "1/2", "--output", "runs/solved"]
    assert main(["trajectories", "collect", "--split", str(made), *episodes]) == 0
    assert main(["trajectories", "export", "runs/solved", "--output", "logs"]) == 0
    logs = sorted(Path("logs").iterdir())
    assert len(logs) == 2 and all(log.name.endswith(".traj.json") for log in logs)
    assert json.loads(logs[0].read_text())["trajectory_format"].startswith("mini-swe-agent")
    small = ["--updates", "1", "--batch-steps", "2", "--group-size", "2", "--max-new-tokens", "24", "--eval-every", "0"]
    recipe = ["train", "--config", "own-repository", "--model", "quickstart", "--trajectories", "logs", *small]
    assert main([*recipe, "--output", "runs/lora", "stages.0.epsilon=0"]) == 0
    steps = json.loads(Path("runs/lora/steps.json").read_text())
    assert steps["formats"] == {"mini-swe-agent": 2} and steps["turns"] == [] == steps["records"]
    assert steps["trajectories_trained_on"] == 1 and steps["training"] + steps["validation"] == steps["turns_read"]
    assert (Path("runs/lora") / "model" / "adapter" / "adapter_config.json").is_file()
    evaluation = ["eval", "--split", str(made), "--shard", "2/2", "--policy", "runs/lora/model"]
    assert main([*evaluation, "--max-turns", "1", "--max-new-tokens", "8", "--output", "runs/after"]) == 0
    report = json.loads(Path("runs/after/report.json").read_text())
    assert report["samples"] == report["tasks"] == 1


def test_logs_stand_beside_the_demonstrations(made: Path, run_root: Path) -> None:
    assert main(["trajectories", "export", str(made), "--output", "logs"]) == 0
    recipe = load_recipe("own-repository", model="quickstart", trajectories=str(made), logs="logs")
    data = load_steps(recipe)
    assert data.report.formats == {"swe-srl": COUNT, "mini-swe-agent": COUNT}
    steps = [*data.training, *data.validation]
    assert len({step.step_id for step in steps}) == len(steps) == data.report.turns_read
    assert len({step.trajectory_id for step in steps}) == 2 * COUNT
    assert {step.task_id for step in steps} == {task.instance_id for task in tasks_of(made)}
    main(["trajectories", "steps", str(made), "--output", "steps.jsonl"])
    with pytest.raises(ConfigError, match=r"logs: they are trajectories, and steps\.jsonl holds steps"):
        load_steps(replace(recipe, trajectories="steps.jsonl"))


def test_tasks_of_a_package_tell_their_difficulty(made: Path) -> None:
    for task in tasks_of(made):
        extra = json.loads(task.extra)
        base = prepare_repository(task.source, task.setup_patch).path
        texts = {path: (base / path).read_text() for path in module_paths(base)}
        again = open_edits(texts, extra["module"], extra["function"], task.problem_statement)
        assert extra["candidates"] == again > 0 and extra["difficulty"] == level(again, extra["kind"])


def test_the_report_counts_every_mutation(made: Path) -> None:
    (report,) = json.loads((made / "report.json").read_text())
    rows = [json.loads(line) for line in (made / "journals").glob("*.jsonl").__next__().read_text().splitlines()]
    assert report["reasons"]["kept"] == COUNT
    assert sum(kind["tried"] for kind in report["kinds"].values()) == sum(report["reasons"].values()) <= len(rows)
    known = Counter(row["reason"] for row in rows)
    assert all(count <= known[reason] for reason, count in report["reasons"].items())


def test_a_folder_that_was_moved_still_works(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "moved", symlinks=True)
    (task, *_) = tasks_of(tmp_path / "moved")
    assert str(tmp_path / "moved") in task.source
    assert surroundings(task).shown[0][0].startswith(str(tmp_path / "moved"))
    shutil.rmtree(tmp_path / "moved" / "packages")
    with pytest.raises(TaskError, match="its packages are not at"):
        surroundings(task)


def test_one_worker_makes_the_same_and_a_finished_run_tries_nothing(
    made: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed run leaves is a journal without its last rows, and a torn one: the rest is made anew, by one worker."""
    shutil.copytree(made, tmp_path / "again", symlinks=True)
    (journal,) = (tmp_path / "again" / "journals").glob("*-????????????.jsonl")
    rows = journal.read_text().splitlines(keepends=True)
    kept = [number for number, row in enumerate(rows) if '"task"' in row]
    journal.write_text("".join(rows[: kept[-1]]) + rows[kept[-1]][:40])
    for name in ("tasks.jsonl", "trajectories.jsonl", "report.json"):
        (tmp_path / "again" / name).unlink()
    counts = synthesise_packages(settings_of(place, tmp_path / "again", workers=1), referee())
    for name in ("tasks.jsonl", "trajectories.jsonl", "report.json"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()
    monkeypatch.setattr(Trial, "attempt", lambda *_: pytest.fail("a known mutation is tried again"))
    assert synthesise_packages(settings_of(place, tmp_path / "again"), referee()) == counts
    with pytest.raises(ConfigError, match="attempts: was 6, is 12"):
        synthesise_packages(
            SynthesiseSettings(repo=str(place / "repository"), output=str(tmp_path / "again")), referee()
        )


def test_a_broken_suite_is_told_in_words(place: Path, tmp_path: Path) -> None:
    settings = SynthesiseSettings(repo=str(place / "repository"), output=str(tmp_path / "o"), tests=("src",))
    with pytest.raises(
        TaskError, match=r"local/repository: pytest finds no tests in it \(doctests do not count\): give the place"
    ):
        synthesise_packages(settings, referee())


@pytest.mark.slow
def test_what_does_not_count_of_a_suite_is_told(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same at the start and when a run goes on."""
    repository = make_repository(tmp_path / "shop")
    (repository / "tests" / "test_missing.py").write_text("import no_such_module\n")
    for arguments in (["add", "tests"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "more"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    arguments = ["--repo", str(repository), "--count", "1", "--timeout", "3", "--output", str(tmp_path / "o")]
    for _ in range(2):
        assert main(["tasks", "synthesise", *arguments]) == 0
        said = capsys.readouterr().err
        assert "--repo" in said and "uncommitted.py: not as in commit" in said
        assert "1 of its test files cannot be imported, the first is tests/test_missing.py: ModuleNotFoundError" in said
        assert "tests fail, the first is tests/test_ranges.py::test_always_fails" in said
        assert "names that a log does not tell apart, the first is tests/more/test_more.py::test_ambiguous" in said


def test_a_failure_of_the_machine_is_no_rejection(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Trial, candidate: object) -> str:
        raise SandboxError("no more room")

    monkeypatch.setattr(Trial, "attempt", broken)
    with pytest.raises(SandboxError, match="no more room"):
        synthesise_packages(settings_of(place, tmp_path / "o"), referee())
    assert not list((tmp_path / "o" / "journals").glob("*-????????????.jsonl"))


def test_a_sandbox_that_opens_late_is_closed(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others have found all tasks while a worker still waited for its sandbox."""
    benches = [TestBench(LocalSandbox(SandboxSpec())) for _ in range(2)]
    opening = iter(benches)
    monkeypatch.setattr(pipeline, "open_bench", lambda *arguments: next(opening))
    parts: Any = SimpleNamespace(root=tmp_path, seconds=1.0)
    workers = pipeline._Workers(parts, parts, settings_of(place, tmp_path / "o"), parts, parts)
    workers._opened()
    assert benches[0].sandbox.run("echo open").output == "open\n"
    workers.close()
    with pytest.raises(SandboxError, match="the synthesis has ended"):
        workers._opened()
    for bench in benches:
        with pytest.raises(SandboxError, match="closed"):
            bench.sandbox.run("true")


@pytest.mark.timeout(60)
def test_neither_an_interrupt_nor_a_sandbox_that_cannot_be_closed_leaves_another_one_open(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C left the tests of the others running, and the process waited for them."""
    closing, closed = threading.Event(), threading.Event()

    def stubborn() -> None:
        assert closing.wait(10)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        raise SandboxError("the engine is away")

    def other() -> None:
        closing.set()
        closed.set()

    opening = iter(SimpleNamespace(sandbox=SimpleNamespace(close=close)) for close in (stubborn, other))
    monkeypatch.setattr(pipeline, "open_bench", lambda *arguments: next(opening))
    parts: Any = SimpleNamespace(root=tmp_path, seconds=1.0)
    workers = pipeline._Workers(parts, parts, settings_of(place, tmp_path / "o"), parts, parts)
    for _ in range(2):
        workers._opened()
    with pytest.raises(KeyboardInterrupt):
        workers.close()
    assert closed.wait(10)


@pytest.mark.slow
def test_an_interrupted_synthesis_ends_at_once(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = interrupted_tests(monkeypatch)
    arguments = ["--repo", str(place / "repository"), "--workers", "1", "--output", str(tmp_path / "o")]
    assert main(["tasks", "synthesise", *arguments]) == 130
    assert set(ended) == {True}
    assert len(ended) <= 2
    assert "go on with: swe-srl tasks synthesise" in capsys.readouterr().err


KILLED = """
import shutil
import sys

from swe_srl.cli import main
from swe_srl.tasks.packages import pipeline, project


def install(origin, folder, *_):
    shutil.copytree(sys.argv[1], folder / "needs")
    return (folder / "needs").resolve()


project.install_needs = install
sys.exit(main(["tasks", "synthesise", *sys.argv[2:]]))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(made: Path, place: Path, tmp_path: Path) -> None:
    """kill -9 in the middle; the same settings make the same files."""
    arguments = ["--repo", str(place / "repository"), "--count", str(COUNT), "--timeout", "3", "--attempts", "6"]
    command = [sys.executable, "-c", KILLED, str(place / "needs"), *arguments, "--output", str(tmp_path / "o")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        journals = tmp_path / "o" / "journals"
        while not any(path.stat().st_size for path in journals.glob("*-????????????.jsonl")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "o" / "tasks.jsonl").exists()
    synthesise_packages(settings_of(place, tmp_path / "o"), referee())
    for name in ("tasks.jsonl", "trajectories.jsonl", "report.json"):
        assert (tmp_path / "o" / name).read_bytes() == (made / name).read_bytes()


@pytest.mark.slow
def test_a_published_package_becomes_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip fetches the package and what its tests need; without an index there is nothing to test."""
    monkeypatch.undo()
    spec = "inflection==0.5.1"
    try:
        fetch_package(spec, tmp_path / "o" / "repositories")
    except TaskError as error:
        pytest.skip(f"no package index: {str(error)[:200]}")
    shutil.rmtree(tmp_path / "o")
    settings = SynthesiseSettings(package=(spec,), output=str(tmp_path / "o"), count=2)
    (counts,) = synthesise_packages(settings, referee())
    assert counts.by_reason()["kept"] == 2
    (pins,) = (tmp_path / "o" / "packages").glob("*.txt")
    assert "inflection" not in pins.read_text()
    assert not list((tmp_path / "o" / "packages").glob("*/inflection*.py"))
