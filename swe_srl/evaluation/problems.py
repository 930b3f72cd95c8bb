"""Evaluation on problems with a final answer: the same run folder, rollout loop, statistics and comparison; no sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from swe_srl.agents import EmptyPolicy, EpisodeJob, run_episodes
from swe_srl.agents.policies import PolicyAnswer
from swe_srl.agents.showing import check_agent
from swe_srl.envs.answers import AnswerEnv
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.evaluation.pipeline import Failure, Journal, Key
from swe_srl.evaluation.policies import agent_of, check_policy, make_policy
from swe_srl.evaluation.report import RIGHT
from swe_srl.evaluation.settings import SCRIPTED, EvalSettings
from swe_srl.evaluation.tally import tally
from swe_srl.grading.answers import check_answers, grade_answer
from swe_srl.progress import Progress, Watch
from swe_srl.protocols import Policy, PolicyOutput
from swe_srl.runs import RunFolder
from swe_srl.tasks.problems import answer_of
from swe_srl.types import Action, Context, Task, Trajectory


class AnswerKey:
    """Gives every problem's own answer: a check of the answers and of their comparison."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._answers = {task.instance_id: answer_of(task) for task in tasks}

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """Answer."""
        return [PolicyAnswer(Action(f"\\boxed{{{self._answers[context.task_id]}}}")) for context in contexts]


def check_problems(settings: EvalSettings, tasks: Sequence[Task]) -> None:
    """Look at what a run on problems needs.

    Raises:
        ConfigError: a policy, agent or setting that problems know nothing of, or no such model.
        GradingError: answers cannot be compared here.
    """
    check_answers()
    if settings.policy == "expert" or settings.trajectories:
        raise ConfigError(
            f"{settings.split}: problems have no expert here: policy is a model, an endpoint, gold or empty"
        )
    check_policy(settings)
    if settings.policy not in SCRIPTED:
        check_agent(agent_of(settings), tasks)


def answer_policy(settings: EvalSettings, tasks: Sequence[Task]) -> Policy:
    """The policy that the settings name.

    Raises:
        ConfigError: there is no such model.
        GenerationError: it cannot be loaded.
    """
    if settings.policy == "gold":
        return AnswerKey(tasks)
    agent = agent_of(settings)
    return EmptyPolicy(agent.submit) if settings.policy == "empty" else make_policy(settings, agent, tasks)


def rate_name(settings: EvalSettings) -> str:
    """What the field calls the rate of right answers: greedy at temperature 0, else Avg@k of k samples each."""
    if settings.policy in SCRIPTED:
        return RIGHT
    return "greedy" if not agent_of(settings).sampling.temperature else f"Avg@{settings.samples}"


def work_on_problems(
    settings: EvalSettings,
    run: RunFolder,
    tasks: Sequence[Task],
    policy: Policy | None,
    progress: Progress,
    watch: Watch,
) -> tuple[Journal, list[Key]]:
    """Let a policy answer the problems, and compare its answers. What is finished is kept, as in any evaluation.

    Returns:
        The results, and the samples that were asked for.

    Raises:
        GenerationError: the model or endpoint failed.
    """
    agent = agent_of(settings)
    jobs = [EpisodeJob(task, sample) for sample in range(settings.samples) for task in tasks]
    keys = [(job.task.instance_id, job.sample) for job in jobs]
    known = {task.instance_id: task for task in tasks}
    journal = Journal(run, settings.policy)
    journal.load(keys)
    left = [job for job, key in zip(jobs, keys, strict=True) if key not in journal.episodes]
    try:
        acting = policy or (answer_policy(settings, tasks) if left else EmptyPolicy())
    except SweSrlError:
        run.abandon()
        raise
    progress.track("answers", len(keys), len(keys) - len(left))
    for task_id, sample in keys:
        if (task_id, sample) in journal.episodes and (task_id, sample) not in journal.verdicts:
            journal.keep_verdict(sample, grade_answer(known[task_id], text_of(journal.episodes[task_id, sample][0])))
    workers, retries = settings.episodes_at_a_time, settings.retries
    with closing(run_episodes(left, acting, AnswerEnv, agent, settings.seed, workers, retries, watch)) as episodes:
        for episode in episodes:
            if episode.error:
                journal.keep_failure(Failure(episode.task_id, episode.sample, "episode", episode.error))
                said = "failed"
            else:
                journal.keep_episode(replace(episode, patch=""))  # its turns are the solution
                verdict = grade_answer(known[episode.task_id], text_of(episode.trajectory))
                journal.keep_verdict(episode.sample, verdict)
                said = "right" if verdict.official else "wrong"
            progress.advance("answers", info=f"{episode.task_id} {said}")
            watch.counted(tally(keys, journal.verdicts, len(journal.failures)))
    return journal, keys


def text_of(trajectory: Trajectory) -> str:
    """What was written as the solution: all its steps; thoughts and malformed completions are not part of it."""
    return "\n\n".join(turn.action.command for turn in trajectory.turns if isinstance(turn.action, Action))
