"""Check before you spend: gold and empty on a sample of the tasks, to find those whose environment is broken."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError, SandboxError, SweSrlError
from swe_srl.evaluation.holding import image_of
from swe_srl.evaluation.running import check_actor, data_of, grading_settings, image_store, usual
from swe_srl.evaluation.selection import Selection, check_tasks, select_tasks
from swe_srl.evaluation.settings import RUNTIME, EvalSettings
from swe_srl.evaluation.store import ImageStore
from swe_srl.files import row_errors, write_atomic
from swe_srl.grading import GradingSettings, check_sandboxes, judge, log_parser_statuses, run_tests
from swe_srl.progress import Progress, SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.tasks import validate
from swe_srl.types import Task, TestRun

KIND = "check"
BROKEN = "broken.txt"


@dataclass(frozen=True, slots=True)
class Checked:
    """One task's findings.

    Args:
        task_id: the task.
        problems: why its environment is broken: gold is not resolved, empty is, or tests behave otherwise than the row says.
        warnings: what is odd, but breaks no verdict by the official rules (the gold patch is not resolved by the hardened ones).
        lost: the tests could not be run, for a reason of the infrastructure: nothing is known of the task.
    """

    task_id: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Args:
        checked: findings of every task of the sample.
        unavailable: tasks of the sample that cannot be run here, with the reason.
        tasks: how many tasks the sample was drawn from.
    """

    checked: tuple[Checked, ...]
    unavailable: dict[str, str] = field(default_factory=dict)
    tasks: int = 0

    @property
    def broken(self) -> tuple[str, ...]:
        """Tasks whose environment is broken."""
        return tuple(one.task_id for one in self.checked if one.problems and not one.lost)

    @property
    def lost(self) -> tuple[str, ...]:
        """Tasks of which nothing is known."""
        return tuple(one.task_id for one in self.checked if one.lost)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "broken": list(self.broken)}


def check(settings: EvalSettings, sample: int = 20, progress: Progress | None = None) -> CheckReport:
    """Grade the gold patch and the empty one on a sample of an evaluation's tasks.

    The run folder keeps every finding as it is made: the same call goes on where a killed one stopped, and tries again what the
    infrastructure broke. `broken.txt` in it lists the broken tasks, for `--exclude`.

    Args:
        settings: of the evaluation; its folder gets `-check` behind its name.
        sample: tasks to draw, by the settings' seed; 0 takes all.
        progress: is told of every task.

    Raises:
        SweSrlError: as for `evaluate`: who acts is looked at too, though nobody acts.
    """
    told = progress or SilentProgress()
    selection, count = sampled(settings, sample)
    grading = grading_settings(settings)
    folder = check_folder(settings)
    with RunFolder.start(folder, KIND, **_recorded(settings, sample)) as run:
        with row_errors(run.journal("checks")):
            done = {str(row["task_id"]): _from_row(row) for row in run.rows("checks") if not row["lost"]}
        told.track("tasks", len(selection.tasks), sum(task.instance_id in done for task in selection.tasks))
        left = [task for task in selection.tasks if task.instance_id not in done]
        store = image_store(settings, told)
        for one in _checked(left, grading, settings, store):
            run.append("checks", asdict(one))
            done[one.task_id] = one
            told.advance("tasks", info=f"{one.task_id} {'lost' if one.lost else 'broken' if one.problems else 'sound'}")
        found = tuple(done[task.instance_id] for task in selection.tasks)
        report = CheckReport(found, selection.unavailable, count)
        write_atomic(run.file(BROKEN), "".join(f"{name}\n" for name in report.broken))
    return report


def sampled(settings: EvalSettings, sample: int) -> tuple[Selection, int]:
    """The tasks that a check is about, and how many they are drawn from.

    Raises:
        SweSrlError: as for `check`.
    """
    tasks = select_tasks(settings)
    selection = check_tasks(draw(tasks, sample, settings.seed), grading_settings(settings), settings.pull)
    check_actor(settings, selection.tasks)
    check_sandboxes(selection.tasks, settings.sandbox)
    return selection, len(tasks)


def check_resumes(settings: EvalSettings, sample: int) -> bool:
    """Whether the findings' folder holds this check already; a ConfigError when it holds something else."""
    return RunFolder.check(check_folder(settings), KIND, **_recorded(settings, sample))


def check_folder(settings: EvalSettings) -> Path:
    """Where the findings are kept: beside the evaluation's own folder.

    Raises:
        ConfigError: there is nothing beside that folder.
    """
    folder = settings.folder if settings.folder.name not in ("", "..") else settings.folder.absolute().resolve()
    if not folder.name:
        raise ConfigError(f"output: --check writes beside the run folder, and there is no place beside {folder}")
    return folder.with_name(f"{folder.name}-check")


def draw(tasks: Sequence[Task], count: int, seed: int) -> list[Task]:
    """A random sample of the tasks, in their order; the same for the same seed, whatever that order is."""
    if count == 0 or count >= len(tasks):
        return list(tasks)
    names = random.Random(seed).sample(sorted(task.instance_id for task in tasks), count)
    return [task for task in tasks if task.instance_id in names]


def check_task(task: Task, grading: GradingSettings) -> Checked:
    """Run a task's tests on the base commit and with the gold patch."""
    gold: list[TestRun] = []

    def run(task: Task, patch: str) -> TestRun:
        found = run_tests(task, patch, grading if patch else replace(grading, hardened=False))
        if patch:
            gold.append(found)
        return found

    try:
        result = validate(task, run, log_parser_statuses)
    except SweSrlError as error:
        return Checked(task.instance_id, (str(error),))
    if result.infrastructure:
        return Checked(task.instance_id, result.problems, lost=True)
    problems, warnings = list(result.problems), []
    if gold:
        verdict = judge(task, task.patch, gold[0])
        if not verdict.official:
            problems.append(f"the gold patch is not resolved: {verdict.reason}")
        elif grading.hardened and not verdict.hardened:
            warnings.append(f"the gold patch is resolved, but {verdict.reason}")
    return Checked(task.instance_id, tuple(problems), tuple(warnings))


def _checked(tasks: Sequence[Task], grading: GradingSettings, settings: EvalSettings, store: ImageStore) -> Any:
    """Findings, one after the other as the tasks come; an interrupt ends the tests and pulls in progress."""
    stopped = threading.Event()

    def one(task: Task) -> Checked:
        try:
            with store.holding(image_of(task, settings.sandbox), stopped, task.image_source):
                return check_task(task, grading)
        except SandboxError as error:
            return Checked(task.instance_id, (str(error),), lost=True)

    pool = ThreadPoolExecutor(settings.grading_workers, thread_name_prefix="checking")
    try:
        for future in [pool.submit(one, task) for task in tasks]:
            yield future.result()
    except BaseException:  # where nobody asks for more findings, too
        stopped.set()
        if grading.open:
            grading.open.end()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _recorded(settings: EvalSettings, sample: int) -> dict[str, Any]:
    """What a folder of findings is known by: arguments of `RunFolder.start`."""
    return {
        "settings": {**as_mapping(settings), "sample": sample},
        "data": data_of(settings),
        "free": RUNTIME,
        "defaults": {**usual(), "sample": sample},
    }


def _from_row(row: dict[str, Any]) -> Checked:
    return Checked(str(row["task_id"]), tuple(row["problems"]), tuple(row["warnings"]), bool(row["lost"]))
