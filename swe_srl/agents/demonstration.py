"""The scripted expert at work on synthesised tasks: its trajectories, each kept only if what it leaves resolves the task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from swe_srl import grading as rules
from swe_srl.agents.definition import AgentDefinition
from swe_srl.agents.episode import EpisodeJob
from swe_srl.agents.policies import ExpertPolicy
from swe_srl.agents.rollout import run_episodes
from swe_srl.envs import SweEnv
from swe_srl.errors import SandboxError
from swe_srl.grading import GradingSettings, OpenSandboxes, grade
from swe_srl.tasks.expert import expert_actions
from swe_srl.tasks.packages.pipeline import Referee
from swe_srl.types import StopReason, Task, TestRun, Trajectory, Turn, VerdictStatus

ENVIRONMENT, AGENT = "default", "shell"  # in which the expert works on tasks made from packages


def demonstrations(
    tasks: Sequence[Task],
    environment: str,
    agent: str,
    grading: GradingSettings | None = None,
    workers: int = 1,
) -> Iterator[tuple[Task, Trajectory | str]]:
    """Let the scripted expert work on tasks, in local sandboxes, and grade what it leaves.

    Args:
        tasks: synthesised ones, with different ids.
        environment: name of the environment definition.
        agent: name of the agent definition, which says how an episode is submitted.
        grading: how; None for the local sandbox.
        workers: episodes at a time.

    Yields:
        Each task, in order, with the expert's trajectory; or with the reason why it does not resolve the task by both
        the official and the hardened rules. No trajectory holds times: the same one comes out each time.

    Raises:
        SandboxError: the infrastructure failed.
        TaskError: a task that the scripted expert does not know.
    """
    scripts = [
        Trajectory("", task.instance_id, tuple(Turn(action) for action in expert_actions(task))) for task in tasks
    ]
    episodes = run_episodes(
        [EpisodeJob(task) for task in tasks],
        ExpertPolicy(scripts),
        lambda task: SweEnv([task], definition=environment, sandbox="local"),
        AgentDefinition.load(agent),
        workers=workers,
    )
    found = {episode.task_id: episode for episode in episodes}
    for task in tasks:
        episode = found[task.instance_id]
        if episode.error:
            raise SandboxError(f"{task.instance_id}: {episode.error}")
        yield task, _verified(task, episode.trajectory, grading or GradingSettings(sandbox="local"))


def referee(sandboxes: OpenSandboxes | None = None) -> Referee:
    """What judges tasks made from packages: local sandboxes, the scripted expert, and both rules.

    Args:
        sandboxes: knows those in use, so that they can be ended from outside.
    """
    known = sandboxes or OpenSandboxes()
    plain = GradingSettings(sandbox="local", hardened=False, open=known)
    hardened = GradingSettings(sandbox="local", open=known)

    def demonstrate(task: Task) -> Trajectory | str:
        ((_, shown),) = demonstrations([task], ENVIRONMENT, AGENT, hardened)
        if isinstance(shown, Trajectory) and _changes(shown.patch) != _changes(task.patch):
            return "it leaves something else than the gold patch"
        return shown

    def run(task: Task, patch: str) -> TestRun:
        return rules.run_tests(task, patch, plain)

    return Referee(run, rules.log_parser_statuses, demonstrate, known.end)


def _changes(patch: str) -> list[str]:
    return [line for line in patch.split("\n") if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]


def _verified(task: Task, trajectory: Trajectory, grading: GradingSettings) -> Trajectory | str:
    verdict = grade(task, trajectory.patch, grading)
    if verdict.status is VerdictStatus.INFRASTRUCTURE:
        raise SandboxError(f"{task.instance_id}: {verdict.reason}")
    if not (verdict.official and verdict.hardened) or trajectory.stop_reason is not StopReason.SUBMITTED:
        stop = trajectory.stop_reason.value if trajectory.stop_reason else "no end"
        return f"{verdict.status.value} after {stop}: {verdict.reason}"
    turns = tuple(replace(turn, seconds=0.0) for turn in trajectory.turns)
    return replace(trajectory, trajectory_id=f"{task.instance_id}#expert", turns=turns, resolved=True)
