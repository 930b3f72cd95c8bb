"""Whether training steps come from tasks of an evaluation split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from swe_srl.types import Step, Task

REMEMBERED = 64  # texts that were looked up last
_WORD = re.compile(r"\w+")
_SHINGLE = 5  # words
# Share of an issue's shingles that must be in the step's first message. Between the issues of different tasks of SWE-bench
# Verified and Lite the largest share is 0.63 (shared templates); with one word in twenty changed, 97% of issues keep 0.65.
NEAR_DUPLICATE = 0.65


@dataclass(frozen=True, slots=True)
class Contamination:
    """A step that belongs to an evaluation task, and by what: "task", "base commit" or "issue text"."""

    step_id: str
    trajectory_id: str
    task_id: str
    by: str


class ContaminationIndex:
    """The evaluation tasks, arranged for looking steps up.

    Args:
        tasks: the evaluation split.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._ids: dict[str, str] = {}
        self._commits: dict[tuple[str, str], str] = {}
        self._shingles: dict[int, list[str]] = {}
        self._sizes: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        for task in tasks:
            self._ids[task.instance_id.lower()] = task.instance_id
            if task.repo and task.base_commit:
                self._commits[task.repo.lower(), task.base_commit[:8].lower()] = task.instance_id
            shingles = _shingles(task.problem_statement)
            self._sizes[task.instance_id] = len(shingles)
            for shingle in shingles:
                self._shingles.setdefault(shingle, []).append(task.instance_id)

    def match(self, step: Step) -> Contamination | None:
        """The evaluation task that the step comes from, or None."""
        opening = list(takewhile(lambda message: message.role != "assistant", step.context))
        users = [message.content for message in opening if message.role == "user"]
        task, by = self._find(step.task_id, step.repo, step.base_commit, users[0] if users else "")
        if (
            not task and not step.task_id and len(opening) > 1
        ):  # of unknown origin: the issue may stand anywhere before the work
            task, by = next(
                ((found, "issue text") for one in opening if (found := self._nearest(one.content))), ("", "")
            )
        return Contamination(step.step_id, step.trajectory_id, task, by) if task else None

    def match_task(self, task: Task) -> Contamination | None:
        """The evaluation task that a training task is, or None."""
        found, by = self._find(task.instance_id, task.repo, task.base_commit, task.problem_statement)
        return Contamination(task.instance_id, "", found, by) if found else None

    def _find(self, name: str, repo: str, commit: str, text: str) -> tuple[str, str]:
        """The task, and what gave it away."""
        if task := self._ids.get(name.lower()):
            return task, "task"
        if repo and commit and (task := self._commits.get((repo.lower(), commit[:8].lower()))):
            return task, "base commit"
        return self._nearest(text), "issue text"

    def _nearest(self, text: str) -> str:
        if text not in self._seen:  # the steps of a trajectory share their first messages
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[text] = self._look_up(text)
        return self._seen[text]

    def _look_up(self, text: str) -> str:
        hits: Counter[str] = Counter()
        for shingle in _shingles(text):
            hits.update(self._shingles.get(shingle, ()))
        task, count = max(hits.items(), key=lambda item: item[1] / self._sizes[item[0]], default=("", 0))
        return task if task and count / self._sizes[task] >= NEAR_DUPLICATE else ""


def contaminated(steps: Iterable[Step], tasks: Iterable[Task]) -> list[Contamination]:
    """The steps whose task is in an evaluation split: same instance id, same repository and base commit, or same issue text."""
    index = ContaminationIndex(tasks)
    return [found for found in map(index.match, steps) if found is not None]


def _shingles(text: str) -> set[int]:
    words = _WORD.findall(text.lower())
    return {hash(tuple(words[start : start + _SHINGLE])) for start in range(len(words) - _SHINGLE + 1)}
