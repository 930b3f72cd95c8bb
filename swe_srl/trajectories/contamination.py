"""Whether training steps come from tasks of an evaluation split."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from swe_srl.types import Step, Task

REMEMBERED = 64  # texts that were looked up last
_WORD = re.compile(r"\w+")
_ESCAPED = re.compile(r"\\+[nrt]")  # line ends and tabs of a text that was written as JSON once more
# `owner__name-1`, and as images, pull requests and other sets write it: `owner_1776_name-1`, `owner/name#1`, `owner/name:pr-1`.
_ISSUE = re.compile(r"(?=(?:_1776_|__|/)([a-z0-9_.-]{1,100}?)(?:-|_+|#|:pr-|/pull/)([0-9]+)(?!\.?[0-9]))")
_OWNER = re.compile(r"[a-z0-9-]+\Z")
_LONGEST_OWNER = 40  # characters, and one more than GitHub allows
_HOST = re.compile(r"\A(?:https?://|ssh://)?(?:\w+@)?github\.com[/:]")
_ABBREVIATED = 8  # digits of a commit that tell it in its repository
_CERTAIN = 12  # digits of a commit that tell it whatever the repository is called: repositories are renamed, forked and mirrored
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
        self._issues: dict[tuple[str, str, str], str] = {}
        self._commits: dict[tuple[str, str], str] = {}
        self._shingles: dict[int, list[str]] = {}
        self._sizes: dict[str, int] = {}
        self._seen: dict[str, str] = {}
        for task in tasks:
            self._ids[task.instance_id.strip().lower()] = task.instance_id
            for issue in _issues(task.instance_id, whole=True):
                self._issues[issue] = task.instance_id
            for key in _commit_keys(task.repo, task.base_commit):
                self._commits[key] = task.instance_id
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
        if task := self._ids.get(name.strip().lower()):
            return task, "task"
        if task := next((self._issues[issue] for issue in _issues(name) if issue in self._issues), ""):
            return task, "task"
        if task := next((self._commits[key] for key in _commit_keys(repo, commit) if key in self._commits), ""):
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


def _issues(name: str, whole: bool = False) -> list[tuple[str, str, str]]:
    """Owner, repository and number of the issues that an id names, in whatever form; of one that is nothing else, if `whole`."""
    name = name.strip().lower()
    found = []
    for issue in _ISSUE.finditer(name):
        owner = _OWNER.search(name, max(0, issue.start() - _LONGEST_OWNER), issue.start())
        if owner and (not whole or (owner.start() == 0 and issue.end(2) == len(name))):
            found.append((owner[0], issue[1], issue[2]))
    return found


def _commit_keys(repo: str, commit: str) -> list[tuple[str, str]]:
    """What a base commit is known by: repository and abbreviation, and enough digits of it whatever the repository."""
    commit = commit.strip().lower()
    keys = [("", commit[:_CERTAIN])] if len(commit) >= _CERTAIN else []
    if repo.strip() and len(commit) >= _ABBREVIATED:
        name = _HOST.sub("", repo.strip().lower()).removesuffix("/").removesuffix(".git").replace("__", "/")
        keys.append((name, commit[:_ABBREVIATED]))
    return keys


def _shingles(text: str) -> set[int]:
    words = _WORD.findall(_ESCAPED.sub(" ", html.unescape(text)).lower())
    return {hash(tuple(words[start : start + _SHINGLE])) for start in range(len(words) - _SHINGLE + 1)}
