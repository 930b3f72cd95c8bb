"""One episode as the pages show it: its turns beside the expert's, its patch, its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from swe_srl.errors import SweSrlError
from swe_srl.evaluation.logs import load_test_run, log_folders
from swe_srl.evaluation.recorded import RecordedRun, verdict_tests
from swe_srl.grading.workshop import HardenedReport
from swe_srl.protocols import Similarity
from swe_srl.runs import RunFolder
from swe_srl.tasks.difficulty import difficulty_of
from swe_srl.types import Action, FormatError, Task, Trajectory, Turn, Verdict

LOG_CHARACTERS = 20_000  # of a test log: its end
SEARCHED = 200  # characters of a command that the search looks at


@dataclass(frozen=True)
class Expertise:
    """What is known of the tasks of a run, and of how an expert solved them.

    Args:
        tasks: by id; empty when they cannot be read any more.
        trajectories: the experts', by task.
        similarities: by name; the first is the one that summaries tell.
    """

    tasks: Mapping[str, Task]
    trajectories: Mapping[str, Trajectory]
    similarities: Mapping[str, Similarity]

    def target(self, turn: Turn, task_id: str, index: int) -> str | None:
        """The expert's command of a turn: the recorded target, else what the expert's trajectory has at that turn."""
        if turn.target is not None:
            return turn.target
        expert = self.trajectories.get(task_id)
        if expert is None or index >= len(expert.turns):
            return None
        action = expert.turns[index].action
        return action.command if isinstance(action, Action) else None

    def scores(self, action: Action | FormatError, target: str | None) -> list[dict[str, Any]]:
        """Every similarity of a command to the target, with its parts."""
        if target is None or not isinstance(action, Action):
            return []
        found = []
        for name, similarity in self.similarities.items():
            score = similarity(action.command, target)
            found.append({"name": name, "value": score.value, "reason": score.reason, "parts": dict(score.parts)})
        return found


def episode_page(recorded: RecordedRun, key: tuple[str, int], expertise: Expertise) -> dict[str, Any]:
    """Everything the page of one episode shows."""
    task_id, sample = key
    trajectory, _ = recorded.episodes[key]
    task, expert = expertise.tasks.get(task_id), expertise.trajectories.get(task_id)
    turns = [_turn(turn, expertise, task_id, index) for index, turn in enumerate(trajectory.turns)]
    verdict = recorded.verdicts.get(key)
    return {
        "issue": trajectory.problem_statement or (task.problem_statement if task else ""),
        "base_commit": trajectory.base_commit,
        "turns": turns,
        "expert": [_expert_turn(turn) for turn in expert.turns] if expert else None,
        "expert_id": expert.trajectory_id if expert else "",
        "patch": trajectory.patch,
        "gold": task.patch if task else "",
        "difficulty": difficulty_of(task) if task else "",
        "verdict": _verdict(verdict) if verdict else None,
        "logs": _logs(recorded.run, task_id, sample),
        "fork": f"{recorded.run.path}:{task_id}#{sample}",
    }


def episode_row(
    trajectory: Trajectory, seconds: float, verdict: Verdict | None, page: Mapping[str, Any], hardened: bool
) -> dict[str, Any]:
    """What lists and filters know of an episode.

    Args:
        trajectory: the episode.
        seconds: its wall time.
        verdict: None as long as it is not graded.
        page: of the episode.
        hardened: whether the run made hardened runs; if not, nothing is told of the hardened rules.
    """
    graded = verdict is not None and hardened
    return {
        "repo": trajectory.repo,
        "difficulty": page["difficulty"],
        "issue": " ".join(page["issue"].split())[:160],
        "status": verdict.status.value if verdict else "ungraded",
        "official": verdict.official if verdict else None,
        "hardened": verdict.hardened if verdict and graded else None,
        "reason": verdict.reason if verdict else "",
        "flags": list(verdict.flags) if verdict else [],
        "stop": trajectory.stop_reason.value if trajectory.stop_reason else "unknown",
        "turns": len(trajectory.turns),
        "format_errors": sum(not isinstance(turn.action, Action) for turn in trajectory.turns),
        "seconds": seconds,
        "tokens": sum(turn.completion_tokens for turn in trajectory.turns),
        "similarity": _mean_similarity(page["turns"]),
        "changed": sum(line.startswith("diff --git ") for line in trajectory.patch.split("\n")),
    }


def searchable(trajectory: Trajectory) -> str:
    """The commands of an episode, shortened, for the search."""
    commands = [turn.action.command for turn in trajectory.turns if isinstance(turn.action, Action)]
    return "\n".join(command[:SEARCHED] for command in commands)


def _turn(turn: Turn, expertise: Expertise, task_id: str, index: int) -> dict[str, Any]:
    target = expertise.target(turn, task_id, index)
    row: dict[str, Any] = {
        "output": turn.observation,
        "exit_code": turn.exit_code,
        "killed": turn.killed,
        "seconds": turn.seconds,
        "tokens": [turn.prompt_tokens, turn.thought_tokens, turn.completion_tokens],
        "target": target,
        "scores": expertise.scores(turn.action, target),
    }
    if isinstance(turn.action, Action):
        return {**row, "thought": turn.action.thought, "command": turn.action.command}
    return {**row, "error": turn.action.reason, "text": turn.action.text or turn.raw}


def _expert_turn(turn: Turn) -> dict[str, str]:
    if isinstance(turn.action, Action):
        return {"thought": turn.action.thought, "command": turn.action.command}
    return {"thought": "", "command": turn.action.text}


def _mean_similarity(turns: list[dict[str, Any]]) -> float | None:
    """Mean of the first similarity over the turns that have a target; a malformed turn counts 0."""
    scored = [turn["scores"][0]["value"] if turn["scores"] else 0.0 for turn in turns if turn["target"] is not None]
    return fmean(scored) if scored else None


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status.value,
        "official": verdict.official,
        "hardened": verdict.hardened,
        "reason": verdict.reason,
        "flags": list(verdict.flags),
        "seconds": verdict.seconds,
        "tests": {name: list(tests) for name, tests in verdict_tests(verdict).items()},
    }


def _logs(run: RunFolder, task_id: str, sample: int) -> list[dict[str, str]]:
    """The ends of the test logs; none when the patch was never run, or the task's name leads out of the run's folder."""
    found = []
    inside = run.file("logs").resolve()
    for number, folder in enumerate(log_folders(run, task_id, sample)):
        if inside not in folder.resolve().parents:
            return []
        of = f" of grading {number + 1}" if number else ""
        try:
            saved = load_test_run(folder)
            hardened = HardenedReport.from_text(saved.report).log if saved.report else ""
        except SweSrlError as error:
            found.append({"title": f"Test log{of}", "text": f"the saved log cannot be read: {error}"})
            continue
        found.append({"title": f"Test log{of}", "text": _end_of(saved.log)})
        found.append({"title": f"Log of the hardened run{of}", "text": _end_of(hardened)})
    return [log for log in found if log["text"]]


def _end_of(log: str) -> str:
    if len(log) <= LOG_CHARACTERS:
        return log
    return f"[the first {len(log) - LOG_CHARACTERS} characters are left out]\n{log[-LOG_CHARACTERS:]}"
