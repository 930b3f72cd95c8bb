"""`swe-srl trajectories replay`: run recorded commands again, and say where the terminal shows something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console
from swe_srl.cli.tasks import REVISION, SPLIT
from swe_srl.cli.trajectories import FORMAT, PATH
from swe_srl.errors import ConfigError, GradingError, SandboxError, TaskError, TrajectoryError
from swe_srl.settings import check_at_least, setting
from swe_srl.types import Verdict, VerdictStatus

if TYPE_CHECKING:
    from swe_srl.trajectories.replay import Replayed
    from swe_srl.types import Task, Trajectory


@dataclass(frozen=True)
class ReplaySettings:
    """Settings of `swe-srl trajectories replay`."""

    path: str = setting("", PATH)
    format: str = setting("", FORMAT)
    split: str = setting("quickstart-train", f"Where the trajectories' tasks are. {SPLIT}")
    revision: str = setting("", REVISION)
    instances: tuple[str, ...] = setting((), "Only trajectories of these tasks: ids, or .txt lists.")
    limit: int = setting(5, "At most so many trajectories; 0 for all.")
    sandbox: str = setting("auto", "Where the commands run.", choices=("auto", "local", "docker"))
    timeout: float = setting(0.0, "Seconds a command may take; 0 for the sandbox's own limit.")
    grade: bool = setting(True, "Run the task's tests on the end state, and say whether it resolves the task.")
    full: bool = setting(False, "Show the turns that agree too, and whole differences.")

    def __post_init__(self) -> None:
        check_at_least(self, limit=0, timeout=0)


@dataclass(slots=True)
class Outcome:
    """What replaying one trajectory found."""

    turns: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    exit_codes: int = 0
    same_patch: bool | None = None
    verdict: Verdict | None = None
    recorded: bool | None = None  # whether the trajectory is said to have resolved its task

    @property
    def reproduced(self) -> bool:
        unknown = self.verdict is None or self.verdict.status is VerdictStatus.INFRASTRUCTURE
        judged = unknown or self.recorded is None or self.recorded == (self.verdict and self.verdict.official)
        return not self.counts.get("different") and not self.exit_codes and self.same_patch is not False and judged

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        patch = {None: "", True: ", same patch", False: ", another patch"}[self.same_patch]
        if self.verdict is None:
            return f"{self.turns} turns: {counts}{patch}"
        status = self.verdict.status.value.replace("_", " ")
        told = {None: "", True: " (recorded as resolved)", False: " (recorded as not resolved)"}[self.recorded]
        reason = f": {self.verdict.reason}" if self.verdict.status is VerdictStatus.INFRASTRUCTURE else ""
        return f"{self.turns} turns: {counts}{patch}; the end state: {status}{reason}{told}"


def run(settings: ReplaySettings, console: Console) -> int:
    """Replay; the exit code is 1 when something differs."""
    from swe_srl.tasks import load_tasks
    from swe_srl.tasks.naming import chosen_ids
    from swe_srl.trajectories import ReadReport, read_trajectories

    tasks = {task.instance_id: task for task in load_tasks(settings.split, settings.revision)}
    report = ReadReport()
    read = read_trajectories(settings.path, report, settings.format)
    names = chosen_ids(settings.instances)
    chosen = (trajectory for trajectory in read if not names or trajectory.task_id in names)
    console.sweep()
    outcomes = []
    for trajectory in islice(chosen, settings.limit or None):
        if trajectory.task_id not in tasks:
            raise ConfigError(f"{trajectory.trajectory_id}: its task {trajectory.task_id} is not in {settings.split}")
        outcome = replay_one(trajectory, tasks[trajectory.task_id], settings, console)
        console.say(f"{trajectory.trajectory_id}: {outcome}")
        outcomes.append(outcome)
    reproduced = sum(outcome.reproduced for outcome in outcomes)
    if not outcomes:
        reasons = ", ".join(report.records) or "none of the tasks asked for"
        raise TrajectoryError(f"{settings.path}: no trajectory to replay ({reasons})")
    for reason, entry in report.records.items():
        console.say(f"{entry.count} records could not be read: {reason}")
    more = "; there are more: --limit 0 replays all" if next(chosen, None) is not None else ""
    console.say(f"{reproduced} of {len(outcomes)} trajectories reproduce what they record{more}")
    return 0 if reproduced == len(outcomes) and not report.records else 1


def replay_one(trajectory: Trajectory, task: Task, settings: ReplaySettings, console: Console) -> Outcome:
    """Replay one trajectory in an environment of its task, and grade what it leaves."""
    from swe_srl.envs import SweEnv
    from swe_srl.grading import GradingSettings, grade
    from swe_srl.trajectories.replay import end_diff, replay, same_patch

    outcome = Outcome(recorded=trajectory.resolved)
    env = SweEnv(tasks=[task], sandbox=settings.sandbox)
    try:
        env.reset(seed=0, options={"task": task.instance_id})
        if env.sandbox is None:
            raise SandboxError(f"{task.instance_id}: the environment has no sandbox after its reset")
        for turn in replay(trajectory, env.sandbox, settings.timeout or None):
            outcome.turns += 1
            outcome.counts[turn.observation] = outcome.counts.get(turn.observation, 0) + 1
            outcome.exit_codes += turn.exit_code_differs
            for line in describe(turn, settings.full):
                console.say(line)
        if trajectory.patch:
            outcome.same_patch = same_patch(trajectory.patch, end_diff(env.sandbox))
        left = env.patch() if settings.grade else ""
    finally:
        env.close()
    if settings.grade:
        try:
            outcome.verdict = grade(task, left, GradingSettings(settings.sandbox, hardened=False))
        except (TaskError, GradingError) as error:  # a row that says nothing of its tests
            outcome.verdict = Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, str(error))
    return outcome


def describe(turn: Replayed, everything: bool) -> Iterator[str]:
    """Lines about one turn; none for a turn that agrees, unless everything is asked for."""
    differs = turn.observation == "different" or turn.exit_code_differs
    if not differs and not everything:
        return
    note = f" ({turn.note})" if turn.note else ""
    yield f"turn {turn.index}: {turn.observation}{note}: {turn.command.partition(chr(10))[0]}"
    if turn.result is None:
        return
    if turn.exit_code_differs:
        yield f"  exit code {turn.result.exit_code}, recorded {turn.recorded_exit_code}"
    if differs:
        yield from difference({"recorded": turn.recorded, "shown": turn.result.output}, everything)


def difference(texts: Mapping[str, str], everything: bool) -> Iterator[str]:
    """A unified diff of what was recorded and what was shown; its first lines, or all of it."""
    import difflib

    (old_name, old), (new_name, new) = texts.items()
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")
    for line in islice(lines, None if everything else 12):
        yield f"  {line}"
