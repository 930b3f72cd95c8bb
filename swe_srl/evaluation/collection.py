"""Trajectories from a policy's own episodes: those that resolved their task become demonstrations (rejection sampling)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from swe_srl.evaluation.collect_settings import CollectSettings
from swe_srl.evaluation.pipeline import Attempt, Journal
from swe_srl.evaluation.report import Report
from swe_srl.evaluation.running import evaluate
from swe_srl.files import write_jsonl
from swe_srl.progress import Progress, Watch
from swe_srl.protocols import Policy
from swe_srl.runs import RunFolder
from swe_srl.trajectories.rows import trajectory_to_row
from swe_srl.types import FormatError, Trajectory

FILE = "trajectories.jsonl"


@dataclass(frozen=True, slots=True)
class Collection:
    """What was kept of a run's episodes, and why not the others.

    Args:
        trajectories: the kept ones, by task id, the best of a task first.
        episodes: how many were graded.
        unresolved: did not resolve their task by the rules that decide.
        fooled: resolved it by the official rules but not by the hardened ones; they are among `unresolved`.
        duplicates: ran the same commands as a better one of the same task.
        beyond: resolved, but more than `keep` of their task.
    """

    trajectories: tuple[Trajectory, ...] = ()
    episodes: int = 0
    unresolved: int = 0
    fooled: int = 0
    duplicates: int = 0
    beyond: int = 0

    @property
    def tasks(self) -> int:
        """Tasks with at least one kept trajectory."""
        return len({trajectory.task_id for trajectory in self.trajectories})


def collect(
    settings: CollectSettings,
    progress: Progress | None = None,
    policy: Policy | None = None,
    watch: Watch | None = None,
) -> tuple[Collection, Report]:
    """Run the evaluation, or go on with it, and write what is kept to `trajectories.jsonl` in its folder.

    Raises:
        SweSrlError: as `evaluate` does.
    """
    report = evaluate(settings.evaluation, progress, policy, watch)
    collection = collected(settings)
    write_jsonl(settings.folder / FILE, map(trajectory_to_row, collection.trajectories))
    return collection, report


def collected(settings: CollectSettings) -> Collection:
    """What the folder's episodes come to, as far as they are there; nothing is run."""
    journal = Journal(RunFolder.read(settings.folder, ("eval",)), settings.policy)
    journal.load([("", sample) for sample in range(settings.samples)])
    return choose(journal.attempts(journal.episodes), settings.keep, settings.hardened and not settings.asks_problems)


def choose(attempts: Iterable[Attempt], keep: int, hardened: bool) -> Collection:
    """The resolved attempts, without duplicates, at most `keep` of a task: few malformed turns first, then few turns.

    Args:
        attempts: episodes with their verdicts.
        keep: of one task at most; 0 for all.
        hardened: whether the hardened rules decide; else the official ones.
    """
    by_task: dict[str, list[Attempt]] = {}
    episodes = unresolved = fooled = 0
    for attempt in attempts:
        resolved = attempt.verdict.hardened if hardened else attempt.verdict.official
        episodes += 1
        unresolved += not resolved
        fooled += hardened and attempt.verdict.official and not resolved
        by_task.setdefault(attempt.task_id, []).extend([attempt] if resolved else [])
    kept: list[Trajectory] = []
    duplicates = beyond = 0
    for _, several in sorted(by_task.items()):
        different: dict[tuple[str, ...], Attempt] = {}
        for attempt in sorted(several, key=_rank):
            different.setdefault(_commands(attempt.trajectory), attempt)
        duplicates += len(several) - len(different)
        best = list(different.values())[: keep or None]
        beyond += len(different) - len(best)
        kept += [replace(attempt.trajectory, resolved=True) for attempt in best]
    return Collection(tuple(kept), episodes, unresolved, fooled, duplicates, beyond)


def _rank(attempt: Attempt) -> tuple[int, int, int]:
    turns = attempt.trajectory.turns
    return sum(isinstance(turn.action, FormatError) for turn in turns), len(turns), attempt.sample


def _commands(trajectory: Trajectory) -> tuple[str, ...]:
    actions: Sequence[object] = [turn.action for turn in trajectory.turns]
    return tuple(str(getattr(action, "command", "")).strip() for action in actions)
