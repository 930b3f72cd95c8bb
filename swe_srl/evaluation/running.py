"""`swe-srl eval`: from settings to a report, resumable at any moment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_srl.agents import AgentDefinition, Episode, EpisodeJob
from swe_srl.agents.definition import GOLD_FILES
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.errors import SweSrlError
from swe_srl.evaluation.lengthening import lengths_of
from swe_srl.evaluation.markdown import denominator, report_markdown
from swe_srl.evaluation.pipeline import Journal, Key, Pipeline, missing, missing_episodes
from swe_srl.evaluation.policies import agent_of, alike, check_policy, expert_trajectories, make_policy
from swe_srl.evaluation.problems import check_problems, rate_name, work_on_problems
from swe_srl.evaluation.pulling import BackOff
from swe_srl.evaluation.report import Report, make_report
from swe_srl.evaluation.selection import (
    Selection,
    check_tasks,
    excluded_ids,
    is_unpinned,
    rows_fingerprint,
    select_tasks,
)
from swe_srl.evaluation.settings import RAY, RUNTIME, SCRIPTED, EvalSettings, parse_size
from swe_srl.evaluation.store import ImageStore
from swe_srl.files import write_atomic
from swe_srl.grading import GradingSettings, OpenSandboxes, check_sandboxes
from swe_srl.progress import NoWatch, Progress, SharedProgress, SilentProgress, Tally, Watch
from swe_srl.protocols import Policy
from swe_srl.provenance import fingerprint
from swe_srl.rewards import get_similarity
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.tasks.sources import built_images
from swe_srl.trajectories.action_format import is_shell
from swe_srl.types import Task

if TYPE_CHECKING:
    from swe_srl.evaluation.cluster.work import Cluster


def evaluate(
    settings: EvalSettings,
    progress: Progress | None = None,
    policy: Policy | None = None,
    watch: Watch | None = None,
) -> Report:
    """Let a policy work on tasks, grade its patches, and report.

    Everything is kept in the run folder (`settings.folder`) as soon as it is there: the same call goes on where a killed one
    stopped, and tries again what the infrastructure broke.

    Args:
        settings: of the run.
        progress: is told of episodes and gradings.
        policy: acts in place of the one that `settings.policy` names, which then is only a name.
        watch: sees the episodes on their way, and what there is so far.

    Returns:
        The report; it is also in the folder as report.json and report.md.

    Raises:
        ConfigError: settings that do not fit each other, or the folder holds another run.
        TaskError: the tasks cannot be read.
        GenerationError: the model or endpoint failed; what was finished is kept.
        SweSrlError: no task can be run here.
    """
    told, seen = SharedProgress(progress or SilentProgress()), watch or NoWatch()
    tasks = select_tasks(settings)
    check_environment(settings)
    if warning := alike(settings):
        told.note(warning)
    if settings.asks_problems:
        return _evaluate_problems(settings, tasks, told, policy, seen)
    if settings.executor == RAY:
        from swe_srl.evaluation.cluster.work import cluster_for

        _resumes(settings)  # a folder that is refused is refused before the cluster is asked for anything
        with cluster_for(settings, tasks, told, policy) as cluster:
            return _evaluate(settings, cluster.selection, told, policy, seen, cluster)
    selection = check_tasks(tasks, grading_settings(settings), settings.pull)
    return _evaluate(settings, selection, told, policy, seen)


def _evaluate(
    settings: EvalSettings,
    selection: Selection,
    told: Progress,
    policy: Policy | None,
    seen: Watch,
    cluster: Cluster | None = None,
) -> Report:
    """An evaluation on this machine, or on the nodes of a cluster."""
    store = image_store(settings, told)
    for reason in selection.unavailable.values():
        told.note(f"not run: {reason}")
    agent = agent_of(settings)
    jobs = [EpisodeJob(task, sample) for sample in range(settings.samples) for task in selection.tasks]
    keys = [(job.task.instance_id, job.sample) for job in jobs]
    with started(settings) as run:
        journal = Journal(run, settings.policy)
        journal.load(keys)
        left = missing(jobs, journal)
        episodes = _no_episodes()
        try:
            if left and cluster:
                cluster.load()
                episodes = cluster.episodes(left)
            elif left:
                if policy is None:
                    check_sandboxes(selection.tasks, settings.sandbox)
                acting = policy if policy is not None else make_policy(settings, agent, selection.tasks)
                episodes = missing_episodes(jobs, journal, acting, agent, settings, store, seen)
        except SweSrlError:
            run.abandon()  # a model that does not load must not keep the folder from a second, better start
            raise
        if cluster:
            run.append("nodes", cluster.row())
        Pipeline(settings, journal, grading_settings(settings), told, store, seen, cluster).work(jobs, episodes)
        report = report_of(settings, journal, selection, keys)
        write_report(run.path, report)
        run.lengthened()
    seen.counted(Tally())
    told.note(denominator(report))
    return report


def _evaluate_problems(
    settings: EvalSettings, tasks: Sequence[Task], progress: Progress, policy: Policy | None, watch: Watch
) -> Report:
    if policy is None:
        check_problems(settings, tasks)
    with started(settings) as run:
        journal, keys = work_on_problems(settings, run, tasks, policy, progress, watch)
        report = report_of(settings, journal, Selection(tuple(tasks), {}), keys)
        write_report(run.path, report)
        run.lengthened()
    watch.counted(Tally())
    progress.note(denominator(report))
    return report


def grading_settings(settings: EvalSettings) -> GradingSettings:
    """How a run's patches are graded."""
    return GradingSettings(
        settings.sandbox,
        settings.grading_timeout,
        hardened=settings.hardened,
        times=settings.regrade,
        open=OpenSandboxes(),
    )


def title_of(settings: EvalSettings) -> str:
    """Who worked on what; an oracle is said."""
    oracle = (
        " (oracle: shown the files to change)" if AgentDefinition.load(settings.agent_name).show == GOLD_FILES else ""
    )
    return f"{settings.policy}{oracle} on {settings.split}{f', part {settings.shard}' if settings.shard else ''}"


def image_store(settings: EvalSettings, progress: Progress) -> ImageStore:
    """Where a run's images come from. Its pools of ready sandboxes make way for an image that has to go."""
    from swe_srl.envs.pool import let_go_of_image

    return ImageStore(
        pull=settings.pull,
        pulls=settings.pulls,
        budget=parse_size(settings.disk_budget),
        platform=settings.platform,
        back_off=BackOff(note=progress.note, silence=settings.pull_timeout),
        let_go=let_go_of_image,
    )


def report_of(settings: EvalSettings, journal: Journal, selection: Selection, keys: Sequence[Key]) -> Report:
    """The report of what a run's journal holds.

    Args:
        settings: of the run.
        journal: its results so far.
        selection: its tasks.
        keys: the samples it was asked for.
    """
    form = AgentDefinition.load(settings.agent_name).prompting.action_format
    return make_report(
        title=title_of(settings),
        attempts=journal.attempts(keys),
        failures=list(journal.failures.values()),
        unavailable=selection.unavailable,
        asked=len(keys),
        experts={} if settings.asks_problems else expert_trajectories(settings, selection.tasks),
        similarity=get_similarity("sequence", shell=is_shell(form)),
        hardened=settings.hardened,
        tasks={task.instance_id: task for task in selection.tasks},
        prices=(settings.price_prompt, settings.price_completion),
        excluded=excluded_ids(settings),
        answers=rate_name(settings),
    )


def check_run(settings: EvalSettings, progress: Progress | None = None) -> tuple[Selection, AgentDefinition, bool]:
    """Look at everything a run needs, and neither run nor write anything.

    Args:
        settings: of the run.
        progress: is told of what nodes of a cluster lack.

    Returns:
        The tasks, the agent definition, and whether the folder holds this run already.

    Raises:
        SweSrlError: as `evaluate` would.
    """
    tasks, agent = select_tasks(settings), agent_of(settings)
    check_environment(settings)
    resumes = _resumes(settings)
    if settings.asks_problems:
        check_problems(settings, tasks)
        return Selection(tuple(tasks), {}), agent, resumes
    if settings.executor == RAY:
        from swe_srl.evaluation.cluster.work import cluster_for

        with cluster_for(settings, tasks, progress or SilentProgress()) as cluster:
            return cluster.selection, agent, resumes
    selection = check_tasks(tasks, grading_settings(settings), settings.pull)
    check_actor(settings, selection.tasks)
    check_sandboxes(selection.tasks, settings.sandbox)
    return selection, agent, resumes


def check_actor(settings: EvalSettings, tasks: Sequence[Task]) -> None:
    """Look at who acts and where, without loading a model.

    Raises:
        ConfigError: no such policy, agent or environment; or the expert is asked for and a task has no expert trajectory.
    """
    check_environment(settings)
    agent = agent_of(settings)
    check_policy(settings)
    if settings.policy in SCRIPTED:
        make_policy(settings, agent, tasks)


def check_environment(settings: EvalSettings) -> None:
    """A ConfigError when there is no such environment definition."""
    if settings.environment:
        EnvironmentDefinition.load(settings.environment)


def _resumes(settings: EvalSettings) -> bool:
    """Whether the folder holds this run already; a ConfigError when it holds something else."""
    return RunFolder.check(settings.folder, "eval", *_identity(settings))


def started(settings: EvalSettings) -> RunFolder:
    """The run's folder; a ConfigError when it holds something else."""
    return RunFolder.start(settings.folder, "eval", *_identity(settings))


def _identity(settings: EvalSettings) -> tuple[Any, ...]:
    """What makes a folder this run's: arguments of `RunFolder.start`."""
    return as_mapping(settings), data_of(settings), RUNTIME, usual(), lengths_of(settings)


def usual() -> dict[str, Any]:
    """What counts for settings that an older run folder does not know."""
    return as_mapping(EvalSettings())


def _no_episodes() -> Generator[Episode, None, None]:
    yield from ()


def write_report(folder: Path, report: Report) -> None:
    """Write report.json and report.md."""
    write_atomic(folder / "report.json", json.dumps(report.as_dict(), indent=2) + "\n")
    write_atomic(folder / "report.md", report_markdown(report).encode(errors="replace"))


def data_of(settings: EvalSettings) -> dict[str, str]:
    """Fingerprints of what decides the run's results: files, and rows that nothing else pins."""
    files = {name: getattr(settings, name) for name in ("tasks", "split", "policy", "trajectories")}
    found = {name: fingerprint(path) for name, path in files.items() if path and Path(path).exists()}
    rows = [path for name, path in files.items() if name in ("tasks", "split") and name in found]
    if built := [image for path in rows for image in built_images(Path(path))]:
        found["dockerfiles"] = f"sha256:{hashlib.sha256(' '.join(sorted(built)).encode()).hexdigest()}"
    if any(entry.endswith(".txt") for entry in settings.exclude):
        found["exclude"] = f"sha256:{hashlib.sha256(chr(10).join(excluded_ids(settings)).encode()).hexdigest()}"
    if is_unpinned(settings):
        found["rows"] = rows_fingerprint(select_tasks(replace(settings, shard="")))  # the same for every part
    return found
