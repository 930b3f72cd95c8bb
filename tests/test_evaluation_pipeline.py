"""The pipeline: every result kept at once, failures apart, the rest done by the next start."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import GOLD, make_repository, named, tiny_task

from swe_srl.agents import EmptyPolicy, Episode, EpisodeJob
from swe_srl.errors import ConfigError, GenerationError, SandboxError, SandboxUnavailableError, SweSrlError, TaskError
from swe_srl.evaluation import EvalSettings, compare, evaluate, grade_predictions, judge_again, read_predictions
from swe_srl.evaluation import pipeline as pipeline_module
from swe_srl.evaluation import predictions as predictions_module
from swe_srl.evaluation import running as running_module
from swe_srl.evaluation.policies import agent_of
from swe_srl.evaluation.recorded import RecordedRun
from swe_srl.evaluation.running import data_of
from swe_srl.evaluation.selection import part_of, select_tasks
from swe_srl.evaluation.statistics import wilson
from swe_srl.evaluation.store import ImageStore
from swe_srl.evaluation.tally import tally
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.grading import GradingSettings
from swe_srl.progress import Doing, NoWatch, Progress, Tally
from swe_srl.sandboxes import Capability
from swe_srl.trajectories import read_trajectories
from swe_srl.types import Action, StopReason, Task, TestRun, Trajectory, Turn, Verdict, VerdictStatus

LATER_LINES = (
    "exclude:",
    "shard:",
    "regrade:",
    "images:",
    "pull:",
    "pulls:",
    "pull_timeout:",
    "disk_budget:",
    "platform:",
    "max_seconds:",
    "price_",
)
NAMES = ("tiny__calc-1", "tiny__calc-2", "tiny__calc-3")


class World:
    """Stands in for sandboxes and grading: what fails, and what was done."""

    def __init__(self) -> None:
        self.broken_episodes: set[str] = set()
        self.broken_gradings: set[str] = set()
        self.stop_after = 10**9
        self.ran: list[tuple[str, int]] = []
        self.graded: list[tuple[str, str]] = []

    def episodes(
        self, jobs: Sequence[EpisodeJob], journal: pipeline_module.Journal, *rest: object
    ) -> Iterator[Episode]:
        for job in jobs:
            task = job.task
            if (task.instance_id, job.sample) in journal.episodes:
                continue
            if len(self.ran) >= self.stop_after:
                raise GenerationError("the endpoint is gone")
            self.ran.append((task.instance_id, job.sample))
            error = "no sandbox" if task.instance_id in self.broken_episodes else ""
            patch = "" if task.instance_id == NAMES[2] else task.patch
            turns = (Turn(Action("ls", "Look."), "calc.py", 0, completion_tokens=5),)
            trajectory = Trajectory(
                f"{task.instance_id}#{job.sample}",
                task.instance_id,
                turns,
                repo=task.repo,
                stop_reason=StopReason.SUBMITTED,
            )
            yield Episode(task.instance_id, job.sample, trajectory, patch, error, 1.5)

    def grade(self, task: Task, patch: str, settings: object, cache: object, keep: object, retries: int) -> Verdict:
        self.graded.append((task.instance_id, patch))
        if task.instance_id in self.broken_gradings:
            return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, "daemon gone")
        if not patch:
            return Verdict(task.instance_id, VerdictStatus.EMPTY_PATCH, False, False, "the patch is empty")
        keep(TestRun("a log", 0, applied=True))  # type: ignore[operator]
        return Verdict(task.instance_id, VerdictStatus.RESOLVED, True, True, fail_to_pass_passed=task.fail_to_pass)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(pipeline_module, "grade", made.grade)
    monkeypatch.setattr(running_module, "missing_episodes", made.episodes)
    for module in (running_module, predictions_module):
        monkeypatch.setattr(module, "check_sandboxes", lambda tasks, sandbox: None)
    return made


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "calc")
    task = replace(tiny_task(tmp_path, prepare=False), source=f"dir:{folder}")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, name).row() for name in NAMES])
    return tmp_path / "rows.jsonl"


def settings_for(rows: Path, **more: object) -> EvalSettings:
    values = {"tasks": str(rows), "split": "quickstart", "policy": "gold", "output": rows.parent / "run", **more}
    return EvalSettings(**values)  # type: ignore[arg-type]


class Notes:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.advanced: list[str] = []

    def track(self, name: str, total: int | None = None, done: int = 0) -> None: ...

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        self.advanced.append(f"{name} {info}")

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_run_leaves_everything_in_its_folder(world: World, rows: Path) -> None:
    progress: Progress = Notes()
    report = evaluate(settings_for(rows), progress)
    run = rows.parent / "run"
    assert (report.resolved, report.samples, report.asked) == (2, 3, 3)
    assert report.statuses == {"resolved": 2, "empty_patch": 1}
    assert {trajectory.task_id for trajectory in read_trajectories(run / "episodes.jsonl")} == set(NAMES)
    assert json.loads((run / "report.json").read_text())["resolved"] == 2
    assert "2 of 3" in (run / "report.md").read_text()
    assert (run / "logs" / NAMES[0] / "0" / "test_output.txt").read_text() == "a log"
    assert len(progress.advanced) == 6 and "3 graded samples of 3 tasks" in progress.notes[-1]  # type: ignore[attr-defined]


class Seen(NoWatch):
    """A watch that remembers."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.tallies: list[Tally] = []

    def doing(self, episode: str, what: Doing, turn: int = 0, command: str = "") -> None:
        self.states.append((episode, what.value))

    def ended(self, episode: str) -> None:
        self.states.append((episode, "ended"))

    def counted(self, tally: Tally) -> None:
        self.tallies.append(tally)


def test_a_watch_sees_gradings_and_counts_that_end_as_the_report_does(world: World, rows: Path) -> None:
    world.broken_gradings = {NAMES[1]}
    seen = Seen()
    report = evaluate(settings_for(rows), watch=seen)
    assert seen.tallies[0] == Tally(3) and seen.tallies[-1] == Tally(), "nothing is left to be drawn"
    last = seen.tallies[-2]
    assert (last.asked, last.graded, last.resolved, last.failures) == (3, 2, 1, 1)
    assert (last.low, last.high) == (report.resolve_rate.low, report.resolve_rate.high)
    for name in NAMES:
        assert [what for episode, what in seen.states if episode == f"{name}#0"] == ["grading", "ended"]
    again = Seen()
    evaluate(settings_for(rows), watch=again)
    assert again.tallies[0].graded == 2, "what an earlier start left counts"


def test_the_interval_of_several_samples_is_of_tasks() -> None:
    def verdict(resolved: bool) -> Verdict:
        return Verdict("t", VerdictStatus.RESOLVED, resolved, resolved)

    keys = [(f"t{task}", sample) for task in range(8) for sample in range(4)]
    verdicts = {key: verdict(key[0] in ("t0", "t1", "t2")) for key in keys}
    found = tally(keys, verdicts, 0)
    assert (found.graded, found.resolved) == (32, 12)
    assert found.high - found.low > wilson(12, 32).high - wilson(12, 32).low, "samples of one task depend on each other"


def test_predictions_are_in_the_harnesss_format(world: World, rows: Path) -> None:
    evaluate(settings_for(rows, samples=2))
    run = rows.parent / "run"
    for name in ("predictions.jsonl", "predictions-1.jsonl"):
        text = (run / name).read_text()
        assert text.isascii()
        found = [json.loads(line) for line in text.splitlines()]
        assert {row["instance_id"] for row in found} == set(NAMES)
        assert all(row.keys() == {"instance_id", "model_name_or_path", "model_patch"} for row in found)
    assert {prediction.patch for prediction in read_predictions(run / "predictions.jsonl")} == {GOLD, ""}


def test_a_second_start_does_nothing_again(world: World, rows: Path) -> None:
    first = evaluate(settings_for(rows))
    ran, graded = len(world.ran), len(world.graded)
    second = evaluate(settings_for(rows, workers=7))
    assert (len(world.ran), len(world.graded)) == (ran, graded)
    assert first.as_dict() == second.as_dict()


def test_a_failed_endpoint_keeps_what_was_finished(world: World, rows: Path) -> None:
    world.stop_after = 2
    with pytest.raises(GenerationError):
        evaluate(settings_for(rows))
    assert len(list(read_jsonl(rows.parent / "run" / "episodes.jsonl"))) == 2
    world.stop_after = 10**9
    assert evaluate(settings_for(rows)).samples == 3
    assert sorted(world.ran) == sorted((name, 0) for name in NAMES)


def test_an_interrupt_ends_gradings_in_progress(world: World, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    plain = world.grade

    def endless(task: Task, patch: str, settings: GradingSettings, *rest: object) -> Verdict:
        if task.instance_id != NAMES[0]:
            return plain(task, patch, settings, *rest)  # type: ignore[arg-type]
        sandbox = ClosableSandbox()
        with pytest.raises(SandboxError), settings.open.holding(sandbox):  # type: ignore[union-attr]
            begun.set()
            assert sandbox.closed.wait(60)
            raise SandboxError("closed")
        return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, "closed")

    def interrupted(*rest: object) -> Iterator[Episode]:
        for episode in world.episodes(*rest):  # type: ignore[arg-type]
            yield episode
            assert begun.wait(60)
            raise KeyboardInterrupt

    monkeypatch.setattr(pipeline_module, "grade", endless)
    monkeypatch.setattr(running_module, "missing_episodes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(settings_for(rows))
    assert not (rows.parent / "run" / "failures.jsonl").exists()
    monkeypatch.setattr(pipeline_module, "grade", plain)
    monkeypatch.setattr(running_module, "missing_episodes", world.episodes)
    assert evaluate(settings_for(rows)).samples == 3


def test_an_interrupt_ends_gradings_that_a_failed_model_has_left(
    world: World, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def endless(task: Task, patch: str, settings: GradingSettings, *rest: object) -> Verdict:
        sandbox = ClosableSandbox()
        with pytest.raises(SandboxError), settings.open.holding(sandbox):  # type: ignore[union-attr]
            assert failed.wait(60)
            while not sandbox.closed.wait(0.1):  # the main thread may miss one that comes just before it waits
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            raise SandboxError("closed")
        return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, "closed")

    def failing(*rest: object) -> Iterator[Episode]:
        yield next(iter(world.episodes(*rest)))  # type: ignore[arg-type]
        failed.set()
        raise GenerationError("the endpoint is away")

    monkeypatch.setattr(pipeline_module, "grade", endless)
    monkeypatch.setattr(running_module, "missing_episodes", failing)
    with pytest.raises(KeyboardInterrupt):
        evaluate(settings_for(rows))


class ClosableSandbox:
    """Only notices that it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()

    def __enter__(self) -> ClosableSandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def test_a_reason_with_half_a_character_is_told(world: World, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(task: Task, *rest: object) -> Verdict:
        return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, "daemon \ud800 gone")

    monkeypatch.setattr(pipeline_module, "grade", failed)
    assert len(evaluate(settings_for(rows)).failures) == 3
    assert "daemon ? gone" in (rows.parent / "run" / "report.md").read_text(encoding="utf-8")


def test_infrastructure_failures_are_apart_and_tried_again(world: World, rows: Path) -> None:
    world.broken_episodes, world.broken_gradings = {NAMES[0]}, {NAMES[1]}
    report = evaluate(settings_for(rows))
    assert (report.samples, report.asked) == (1, 3)
    failures = {failure.task_id: failure for failure in report.failures}
    assert failures[NAMES[0]].stage == "episode" and failures[NAMES[0]].reason == "no sandbox"
    assert failures[NAMES[1]].stage == "grading" and failures[NAMES[1]].reason == "daemon gone"
    assert report.resolve_rate.value == 0.0
    world.broken_episodes, world.broken_gradings = set(), set()
    again = evaluate(settings_for(rows))
    assert (again.samples, again.resolved, again.failures) == (3, 2, ())
    assert world.ran.count((NAMES[1], 0)) == 1, "a grading that failed does not run the episode again"


def test_a_torn_journal_and_a_missing_prediction_are_mended(world: World, rows: Path) -> None:
    evaluate(settings_for(rows))
    run = rows.parent / "run"
    predictions = (run / "predictions.jsonl").read_text().splitlines(keepends=True)
    (run / "predictions.jsonl").write_text("".join(predictions[:2]))
    verdicts = (run / "verdicts.jsonl").read_text().splitlines(keepends=True)
    (run / "verdicts.jsonl").write_text("".join(verdicts[:-1]) + verdicts[-1][:20])
    report = evaluate(settings_for(rows))
    assert report.samples == 3
    assert len(read_predictions(run / "predictions.jsonl")) == 3
    assert len(list(read_jsonl(run / "verdicts.jsonl"))) == 3
    assert len(world.graded) == 4


def test_other_settings_or_other_rows_are_refused(world: World, rows: Path) -> None:
    evaluate(settings_for(rows))
    with pytest.raises(ConfigError, match="seed: was 0, is 1"):
        evaluate(settings_for(rows, seed=1))
    write_jsonl(rows, list(read_jsonl(rows))[:2])
    with pytest.raises(ConfigError, match=r"data\.tasks"):
        evaluate(settings_for(rows))


def test_selection(world: World, rows: Path) -> None:
    assert evaluate(settings_for(rows, limit=2, output=rows.parent / "a")).asked == 2
    assert evaluate(settings_for(rows, filter="-[13]$", output=rows.parent / "b")).asked == 2
    assert evaluate(settings_for(rows, instances=(NAMES[1],), output=rows.parent / "c")).asked == 1
    with pytest.raises(ConfigError, match="did you mean 'tiny__calc-1'"):
        evaluate(settings_for(rows, instances=("tiny__calc1",), output=rows.parent / "d"))
    with pytest.raises(ConfigError, match="no task"):
        evaluate(settings_for(rows, filter="nothing", output=rows.parent / "e"))


def test_shards_are_even_stable_and_whole(rows: Path) -> None:
    names = [f"tiny__calc-{number}" for number in range(10)]
    tasks = [named(tiny_task(rows.parent, prepare=False), name) for name in names]
    parts = [[task.instance_id for task in part_of(tasks, f"{i}/3")] for i in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert sorted(map(len, parts)) == [3, 3, 4]
    again = [[task.instance_id for task in part_of(tasks[::-1], f"{i}/3")] for i in (1, 2, 3)]
    assert [sorted(part) for part in again] == [sorted(part) for part in parts]
    assert part_of(tasks, "") == tasks
    for wrong in ("0/3", "4/3", "1", "a/b", "1/0"):
        with pytest.raises(ConfigError, match="part i of n"):
            EvalSettings(shard=wrong)
    with pytest.raises(ConfigError, match="shard 4/4 is empty: there are only 3 tasks"):
        select_tasks(settings_for(rows, shard="4/4"))


def test_tasks_are_excluded_by_name_and_the_report_says_so(world: World, rows: Path) -> None:
    report = evaluate(settings_for(rows, exclude=(NAMES[0],)))
    assert report.asked == 2 and report.excluded == (NAMES[0],)
    text = (rows.parent / "run" / "report.md").read_text()
    assert "excluded by name: 1 task" in text and "## Excluded by name (not counted): 1" in text
    listed = rows.parent / "broken.txt"
    listed.write_text(f"{NAMES[1]}\n{NAMES[2]}\n")
    assert evaluate(settings_for(rows, exclude=(str(listed),), output=rows.parent / "x")).excluded == NAMES[1:]
    listed.write_text("")
    assert evaluate(settings_for(rows, exclude=(str(listed),), output=rows.parent / "none")).excluded == ()
    with pytest.raises(ConfigError, match="did you mean 'tiny__calc-1'"):
        evaluate(settings_for(rows, exclude=("tiny__calc1",), output=rows.parent / "y"))


def test_new_settings_change_neither_old_folders_nor_their_names(world: World, rows: Path) -> None:
    settings = settings_for(rows)
    evaluate(settings)
    file = settings.folder / "settings.yaml"
    old = [line for line in file.read_text().splitlines() if not line.startswith(LATER_LINES)]
    file.write_text("\n".join(old) + "\n")
    assert evaluate(settings).samples == 3
    plain = EvalSettings(policy="gold").folder
    assert plain == Path("runs/eval/quickstart-gold-394211a8"), "the same settings find the folder of an older start"
    assert EvalSettings(policy="gold", shard="1/2").folder != plain
    assert EvalSettings(policy="gold", pull=True, disk_budget="5GB").folder == plain


def test_an_episodes_limits_are_the_settings_or_the_agents() -> None:
    limits = agent_of(EvalSettings(max_turns=3, max_tokens=70, max_seconds=1.5))
    assert (limits.max_turns, limits.max_tokens, limits.max_seconds) == (3, 70, 1.5)
    assert agent_of(EvalSettings(max_seconds=0.0)).max_seconds == 0.0
    with pytest.raises(ConfigError, match="max_seconds must be at least 0"):
        EvalSettings(max_seconds=-1.0)


def test_episodes_at_a_time_follow_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": (64 << 30) // 4096}
    monkeypatch.setattr("os.sysconf", pages.__getitem__)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    assert EvalSettings().episodes_at_a_time == 16 and EvalSettings(workers=3).episodes_at_a_time == 3
    pages["SC_PHYS_PAGES"] = (9 << 30) // 4096
    assert EvalSettings().episodes_at_a_time == 2
    pages["SC_PHYS_PAGES"] = (1 << 30) // 4096
    assert EvalSettings().episodes_at_a_time == 1


def test_rows_of_the_hub_that_nothing_pins_are_part_of_the_run(
    world: World, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    found = list(read_jsonl(rows))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, **options: found)
    hub = settings_for(rows, tasks="", split="some/where", shard="1/2")
    evaluate(hub)
    assert data_of(hub) == data_of(replace(hub, shard="2/2")), "parts can be merged"
    found[0], found[1] = found[1], found[0]
    evaluate(hub)
    found[0] = {**found[0], "PASS_TO_PASS": []}
    with pytest.raises(ConfigError, match=r"data\.rows: was 'sha256"):
        evaluate(hub)
    record = json.loads((hub.folder / "run.json").read_text())
    del record["data"]["rows"]  # as a folder of an older version has it
    (hub.folder / "run.json").write_text(json.dumps(record))
    evaluate(hub)
    for pinned in (settings_for(rows), replace(hub, revision="abc"), replace(hub, split="lite")):
        assert "rows" not in data_of(pinned)


def test_a_file_of_ids_narrows_the_split(world: World, rows: Path) -> None:
    ids = rows.parent / "ids.txt"
    ids.write_text(f"# two of them\n{NAMES[0]}\n{NAMES[2]}\n")
    report = evaluate(settings_for(ids, split=str(rows), output=rows.parent / "f"))
    assert report.asked == 2


def test_tasks_that_cannot_be_run_here_are_listed_apart(world: World, rows: Path) -> None:
    found = list(read_jsonl(rows))
    no_script = {key: value for key, value in found[0].items() if key != "eval_script"}
    no_place = {key: value for key, value in found[1].items() if key != "source"}
    write_jsonl(rows, [no_script, no_place, found[2]])
    progress = Notes()
    report = evaluate(settings_for(rows), progress)
    assert (report.asked, report.tasks) == (1, 1)
    assert "no eval_script" in report.unavailable[NAMES[0]]
    assert "neither an image nor a source" in report.unavailable[NAMES[1]]
    assert sum(note.startswith("not run: ") for note in progress.notes) == 2
    write_jsonl(rows, [no_script])
    with pytest.raises(SweSrlError, match="none of the 1 tasks can be run here"):
        evaluate(settings_for(rows, output=rows.parent / "g"))


def test_a_source_that_cannot_be_prepared_is_listed_apart(world: World, rows: Path) -> None:
    found = list(read_jsonl(rows))
    found[0]["source"] = "dir:/no/such/folder"
    found[1]["source"] = f"git:{rows.parent}@{'0' * 40}"
    write_jsonl(rows, found)
    report = evaluate(settings_for(rows))
    assert (report.asked, report.tasks) == (1, 1)
    assert "there is no folder" in report.unavailable[NAMES[0]] and NAMES[1] in report.unavailable


def test_a_task_that_breaks_later_is_its_own_failure(world: World, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = world.grade

    def gone(task: Task, *rest: object) -> Verdict:
        if task.instance_id == NAMES[0]:
            raise TaskError("there is no folder")
        return plain(task, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline_module, "grade", gone)
    report = evaluate(settings_for(rows))
    assert report.samples == 2
    assert [(failure.task_id, failure.reason) for failure in report.failures] == [(NAMES[0], "there is no folder")]


def test_a_source_that_has_gone_ends_its_own_episode(rows: Path, tmp_path: Path) -> None:
    settings = settings_for(rows, policy="empty", retries=0, sandbox="local")
    task = replace(tiny_task(tmp_path, prepare=False), source="dir:/no/such/folder")
    journal = pipeline_module.Journal(run=None, name="")  # type: ignore[arg-type]
    agent = agent_of(settings)
    (episode,) = pipeline_module.missing_episodes(
        [EpisodeJob(task)], journal, EmptyPolicy(agent.submit), agent, settings
    )
    assert "there is no folder" in episode.error


def test_comparison_of_two_runs(world: World, rows: Path) -> None:
    a, b = rows.parent / "a", rows.parent / "b"
    world.broken_gradings = set()
    evaluate(settings_for(rows, output=a))
    verdicts = [{**row, "official": row["task_id"] != NAMES[0]} for row in read_jsonl(a / "verdicts.jsonl")]
    evaluate(settings_for(rows, output=b))
    write_jsonl(b / "verdicts.jsonl", verdicts)
    found = compare(a, b)
    assert found.tasks == 3 and found.lost == (NAMES[0],) and found.gained == (NAMES[2],)
    assert found.p_value == 1.0
    assert "Worse in B: 1" in found.as_markdown()
    write_jsonl(b / "verdicts.jsonl", verdicts[:2])
    with pytest.raises(ConfigError, match=r"1 only in .*--common"):
        compare(a, b)
    common = compare(a, b, common=True)
    assert common.tasks == 2 and len(common.only_a) == 1


def test_a_comparison_tells_which_settings_differ_and_whether_the_rows_may(world: World, rows: Path) -> None:
    a, b, c = (rows.parent / name for name in "abc")
    for folder, policy in ((a, "gold"), (b, "expert")):
        evaluate(settings_for(rows, output=folder, policy=policy, workers=len(policy)), policy=EmptyPolicy())
    found = compare(a, b)
    assert found.settings == {"policy": ("gold", "expert")} and not found.other_rows
    assert "| policy | gold | expert |" in found.as_markdown() and "same place" not in found.as_markdown()
    settings = b / "settings.yaml"  # of an older version, which did not know --regrade
    settings.write_text("".join(line for line in settings.open() if not line.startswith("regrade:")))
    assert compare(a, b).settings == found.settings
    write_jsonl(rows, [{**row, "PASS_TO_PASS": []} for row in read_jsonl(rows)])
    evaluate(settings_for(rows, output=c))
    found = compare(a, c)
    assert list(found.settings) == ["data.tasks"] and found.other_rows and found.tasks == 3
    assert "**The runs did not read their tasks from the same place and contents**" in found.as_markdown()
    assert compare(a, a).settings == {} and "settings that differ" not in compare(a, a).as_markdown()
    write_jsonl(rows.parent / "p.jsonl", read_jsonl(a / "predictions.jsonl"))
    grade_predictions(rows.parent / "p.jsonl", select_tasks(settings_for(rows)), rows.parent / "graded")
    assert compare(a, rows.parent / "graded").settings == {}


def test_runs_without_hardened_verdicts_are_not_compared_by_them(world: World, rows: Path) -> None:
    a, b = rows.parent / "a", rows.parent / "b"
    evaluate(settings_for(rows, output=a))
    report = evaluate(settings_for(rows, output=b, hardened=False))
    assert report.hardened_rate is None and "not measured" in (b / "report.md").read_text()
    assert compare(a, a, hardened=True).tasks == compare(a, b).tasks == 3
    with pytest.raises(ConfigError, match=r"b: this run made no hardened runs \(--no-hardened\)"):
        compare(a, b, hardened=True)


def test_predictions_of_others(world: World, rows: Path) -> None:
    from swe_srl.tasks import load_tasks

    tasks = load_tasks(str(rows))
    file = rows.parent / "theirs.json"
    file.write_text(json.dumps({NAMES[0]: {"instance_id": NAMES[0], "model_patch": GOLD, "model_name_or_path": "m"}}))
    report = grade_predictions(file, tasks, rows.parent / "graded")
    assert (report.resolved, report.samples) == (1, 1)
    assert set(report.unavailable) == {NAMES[1], NAMES[2]}
    grade_predictions(file, tasks, rows.parent / "graded")
    assert len(world.graded) == 1
    file.write_text(file.read_text().replace("+    return", "+\\t\\treturn"))
    with pytest.raises(ConfigError, match=r"data\.predictions"):
        grade_predictions(file, tasks, rows.parent / "graded")


def test_predictions_are_not_mixed_with_verdicts_on_other_rows(world: World, rows: Path) -> None:
    from swe_srl.tasks import load_tasks

    tasks = load_tasks(str(rows))
    file, folder = rows.parent / "theirs.jsonl", rows.parent / "graded"
    write_jsonl(file, [{"instance_id": NAMES[0], "model_patch": GOLD}])
    grade_predictions(file, tasks, folder)
    moved = [replace(task, image_source="elsewhere") for task in reversed(tasks)]
    other = replace(tasks[1], pass_to_pass=())
    grade_predictions(file, [tasks[0], other, *moved[:1]], folder)  # rows without a prediction count for nothing
    assert len(world.graded) == 1
    harder = replace(tasks[0], fail_to_pass=(*tasks[0].fail_to_pass, "test_more"))
    with pytest.raises(ConfigError, match="rows: was 'sha256"):
        grade_predictions(file, [harder], folder)
    record = json.loads((folder / "run.json").read_text())
    del record["data"]["rows"]  # as a folder of an older version has it
    (folder / "run.json").write_text(json.dumps(record))
    grade_predictions(file, moved, folder)
    assert len(world.graded) == 1


def test_predictions_of_rows_without_images_are_graded_by_a_rule(
    world: World, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swe_srl.cli import main

    seen: list[tuple[object, ...]] = []

    def graded(file: str, tasks: Sequence[Task], *rest: object) -> object:
        seen.append((tasks[0].image, *store_values(rest[-2])))  # type: ignore[arg-type]
        return grade_predictions(file, [replace(task, image="") for task in tasks], rows.parent / "graded")

    monkeypatch.setattr("swe_srl.evaluation.grade_predictions", graded)
    write_jsonl(rows.parent / "theirs.jsonl", [{"instance_id": NAMES[0], "model_patch": GOLD}])
    words = ["grade", str(rows.parent / "theirs.jsonl"), "--tasks", str(rows)]
    flags = "--images swe-gym --pull --pulls 3 --disk-budget 5GB --platform linux/amd64 --pull-timeout 7"
    assert main([*words, *flags.split()]) == 0
    assert main(words) == 0
    assert seen == [("xingyaoww/sweb.eval.x86_64.tiny_s_calc-1:latest", *STORE), ("", False, 2, 0, "", 300.0)]


STORE = (True, 3, 5 * 10**9, "linux/amd64", 7.0)


def store_values(store: ImageStore) -> tuple[object, ...]:
    return store.pull, store.pulls, store.budget, store.platform, store.back_off.silence


def test_what_is_said_of_images_reaches_the_store() -> None:
    settings = EvalSettings(pull=True, pulls=3, disk_budget="5GB", platform="linux/amd64", pull_timeout=7.0)
    assert store_values(running_module.image_store(settings, Notes())) == STORE
    assert store_values(running_module.image_store(EvalSettings(), Notes())) == (False, 2, 0, "", 300.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"instance_id": 3}', "a prediction is an object"),
        ('{"instance_id": "a", "model_patch": 3}', "model_patch is int"),
        ('{"instance_id": "a"}', "no model_patch; this row has instance_id"),
        ('{"instance_id": "a", "model_patch": null}\n{"instance_id": "a", "model_patch": ""}', "occurs twice"),
        ("{", "cannot be read"),
    ],
)
def test_damaged_predictions(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(SweSrlError, match=words):
        read_predictions(tmp_path / "p.jsonl")


def test_predictions_may_hold_exotic_line_separators(tmp_path: Path) -> None:
    row = {"instance_id": "a", "model_patch": "+x = '\u2028'\n", "model_name_or_path": None}
    (tmp_path / "p.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n")
    assert read_predictions(tmp_path / "p.jsonl")[0].patch == "+x = '\u2028'\n"


def test_predictions_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"instance_id": "a", "model_patch": "x"}\r\n', encoding="utf-8-sig", newline="")
    assert read_predictions(tmp_path / "p.jsonl")[0].patch == "x"


def test_saved_logs_are_judged_again(world: World, rows: Path) -> None:
    from swe_srl.tasks import load_tasks

    evaluate(settings_for(rows))
    again = judge_again(rows.parent / "run", load_tasks(str(rows)))
    assert {(sample, verdict.task_id) for sample, verdict in again} == {(0, NAMES[0]), (0, NAMES[1])}
    assert all(verdict.status is VerdictStatus.UNRESOLVED for _, verdict in again), "'a log' resolves nothing"


def test_a_run_of_predictions_records_where_its_tasks_are(
    world: World, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from swe_srl.cli import main

    monkeypatch.chdir(rows.parent)
    write_jsonl(rows.parent / "theirs.jsonl", [{"instance_id": NAMES[0], "model_patch": GOLD}])
    words = ["grade", "theirs.jsonl", "--output", "graded"]
    assert main([*words, "--tasks", rows.name]) == 0
    moved = Path(shutil.copy(rows, tmp_path / "moved.jsonl"))
    assert main([*words, "--tasks", str(moved)]) == 0, "the same rows, from elsewhere"
    monkeypatch.chdir(tmp_path)
    recorded = RecordedRun.read(rows.parent / "graded")
    assert recorded.tasks()[NAMES[0]].patch == GOLD
    capsys.readouterr()
    assert main(["grade", str(rows.parent / "graded")]) == 0, "its saved log is judged again, its tasks need no naming"
    assert "1 logs judged" in capsys.readouterr().out


def test_the_tasks_of_saved_logs_are_the_runs_own(world: World, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from swe_srl.cli import main

    evaluate(settings_for(rows))
    run = str(rows.parent / "run")
    capsys.readouterr()
    assert main(["grade", run]) == 0
    assert "2 logs judged: 0 resolved" in capsys.readouterr().out
    assert main(["grade", run, "--split", "quickstart-train"]) == 1
    said = capsys.readouterr().out
    assert (
        f"3 of the run's tasks are not among the 280 that were read, so their logs were not judged ({NAMES[0]}" in said
    )
    assert "name the run's own tasks" in said
    shutil.rmtree(rows.parent / "run" / "logs")
    assert main(["grade", run]) == 1
    assert "holds no saved log of these tasks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("journal", "row"),
    [
        ("episodes", '{"task_id": 5}'),
        ("verdicts", '{"task_id": "tiny__calc-1", "sample": 0}'),
        ("verdicts", '{"task_id": "tiny__calc-1", "sample": "x"}'),
        ("predictions", "{}"),
    ],
)
def test_a_damaged_row_names_its_file(world: World, rows: Path, journal: str, row: str) -> None:
    evaluate(settings_for(rows))
    file = rows.parent / "run" / f"{journal}.jsonl"
    before = file.read_text()
    file.write_text(before + row + "\n")
    with pytest.raises(SweSrlError, match=rf"{journal}\.jsonl is damaged: \w+Error"):
        evaluate(settings_for(rows))
    if journal == "verdicts":
        with pytest.raises(SweSrlError, match=r"verdicts\.jsonl is damaged"):
            compare(rows.parent / "run", rows.parent / "run")
    file.write_text(before)
    assert evaluate(settings_for(rows)).samples == 3, "nothing else was touched"


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="samples must be at least 1"):
        EvalSettings(samples=0)
    with pytest.raises(ConfigError, match="no regular expression"):
        EvalSettings(filter="(")
    with pytest.raises(ConfigError, match="endpoint_model"):
        EvalSettings(policy="http://localhost:8000/v1")
    same, other = EvalSettings(policy="gold"), EvalSettings(policy="gold", samples=3)
    assert same.folder == EvalSettings(policy="gold", workers=9).folder != other.folder
    assert (EvalSettings().agent_name, EvalSettings(split="lite").agent_name) == ("quickstart", "shell")


def test_a_run_without_a_sandbox_is_refused_before_it_begins(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Capability("local sandbox", False, "no bwrap", "install it: apt-get install bubblewrap")
    monkeypatch.setattr("swe_srl.grading.obstacles.capabilities", lambda docker: [missing])
    settings = settings_for(rows)
    with pytest.raises(SandboxUnavailableError, match=r"local sandbox: no bwrap; install it"):
        evaluate(settings)
    assert not settings.folder.exists()
