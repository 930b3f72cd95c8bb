"""The executor `ray`: an evaluation's episodes and gradings, done by the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swe_srl.agents import AgentDefinition, Episode, EpisodeJob
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.errors import SweSrlError
from swe_srl.evaluation.cluster.connecting import connected
from swe_srl.evaluation.cluster.fleet import EPISODE, GRADE, Fleet, Member
from swe_srl.evaluation.cluster.node import Plan, Reply
from swe_srl.evaluation.cluster.starting import Starter
from swe_srl.evaluation.policies import agent_of, check_source, key_variable, make_policy, model_path
from swe_srl.evaluation.selection import Selection
from swe_srl.evaluation.settings import SCRIPTED, EvalSettings
from swe_srl.progress import Progress
from swe_srl.protocols import Policy
from swe_srl.provenance import fingerprint
from swe_srl.types import Task, TestRun, Trajectory, Verdict, VerdictStatus


@dataclass
class Cluster:
    """The nodes of a run.

    Args:
        settings: of the run.
        agent: shows tasks to the policy.
        policy: acts in place of the one that the settings name.
        selection: the tasks that a node can run, and why none can run the others.
        members: the nodes that take part.
    """

    settings: EvalSettings
    agent: AgentDefinition
    policy: Policy | None
    selection: Selection
    members: list[Member]
    _starter: Starter
    _ray: Any
    _fleet: Fleet | None = None

    def load(self) -> None:
        """Make the policy act on the nodes.

        A script travels to the nodes; an endpoint is asked by every node; a model is loaded by every node for itself, and a
        policy of the caller's is copied to every node. The last two are asked by one thread at a time.

        Raises:
            SweSrlError: it can act on no node.
        """
        policy = self.policy
        together = policy is not None or needs_model(self.settings)
        if policy is None and self.settings.policy in SCRIPTED:
            policy = make_policy(self.settings, self.agent, self.selection.tasks)
        self.members = self._starter.load(self.members, policy, together)

    @property
    def fleet(self) -> Fleet:
        """Gives work to the nodes."""
        if self._fleet is None:
            self._fleet = Fleet(self._ray, self.members, self._starter.note, self._starter.again)
        return self._fleet

    @property
    def gradings_at_a_time(self) -> int:
        """Patches that all nodes grade at a time."""
        return self.fleet.room(GRADE)

    def row(self) -> dict[str, Any]:
        """What the run folder keeps of the nodes."""
        nodes = [{"name": member.name, "at_a_time": dict(member.room)} for member in self.members]
        return {"nodes": nodes, "left_out": dict(self._starter.left_out)}

    def episodes(self, jobs: Sequence[EpisodeJob]) -> Generator[Episode, None, None]:
        """Run every job and yield each episode as it ends.

        Raises:
            GenerationError: the policy's model or endpoint failed.
            SweSrlError: no node is left.
        """
        pool = ThreadPoolExecutor(self.fleet.room(EPISODE), thread_name_prefix="episode")
        try:
            for future in as_completed([pool.submit(self._episode, job) for job in jobs]):
                yield future.result()
        finally:
            self.fleet.stop(EPISODE)
            pool.shutdown(wait=True, cancel_futures=True)

    def grade(self, task: Task, patch: str, keep: Callable[[TestRun], None]) -> Verdict:
        """The verdict on one patch; `keep` is handed what the tests left behind.

        Raises:
            StoppedError: the run ends.
            SweSrlError: no node is left.
        """
        reply = self._tried(GRADE, task.instance_id, task, patch)
        if reply.value is None:
            return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, reply.failed)
        verdict, runs = reply.value
        for run in runs:
            keep(run)
        assert isinstance(verdict, Verdict)
        return verdict

    def stop(self) -> None:
        """End everything in progress."""
        self.fleet.stop(EPISODE, GRADE)

    def close(self) -> None:
        """End the nodes' processes. Idempotent."""
        self.fleet.close()

    def _episode(self, job: EpisodeJob) -> Episode:
        name = job.task.instance_id
        reply = self._tried(EPISODE, name, job)
        if reply.value is None:
            return Episode(name, job.sample, Trajectory(f"{name}#{job.sample}", name, ()), "", reply.failed)
        assert isinstance(reply.value, Episode)
        return reply.value

    def _tried(self, kind: str, task_id: str, *arguments: Any) -> Reply:
        """What the infrastructure broke is tried again, on another node where there is one."""
        avoid: set[str] = set()
        for _ in range(1 + self.settings.retries):
            reply, name = self.fleet.run(kind, task_id, *arguments, avoid=avoid)
            if not reply.failed:
                break
            avoid.add(name)
        return reply


@contextmanager
def cluster_for(
    settings: EvalSettings, tasks: Sequence[Task], progress: Progress, policy: Policy | None = None
) -> Iterator[Cluster]:
    """The nodes of the cluster, at work for a run until the block ends.

    Args:
        settings: of the run.
        tasks: that it is about.
        progress: is told of nodes that take no part or are lost.
        policy: acts in place of the one that the settings name.

    Raises:
        ConfigError: ray is not installed, or settings that no node can work by.
        SweSrlError: no cluster answers, or no node of it can take part.
    """
    plan = plan_of(settings, tasks, policy)
    with connected(settings.ray_address) as ray:
        gpu = policy is None and needs_model(settings) and settings.device.startswith(("auto", "cuda"))
        starter = Starter(ray, plan, tasks, gpu, progress.note)
        cluster = Cluster(settings, plan.agent, policy, Selection((), {}), starter.start(), starter, ray)
        try:
            cluster.selection = _selection(tasks, cluster.members, progress)
            yield cluster
        finally:
            cluster.close()


def plan_of(settings: EvalSettings, tasks: Sequence[Task], policy: Policy | None = None) -> Plan:
    """What the nodes are told; paths are made absolute. With a policy, what the settings name as theirs is only a name.

    Raises:
        ConfigError: there is no such model or definition, or an endpoint's key is not where the settings say.
    """
    key, model = key_variable(settings) if settings.is_endpoint and policy is None else "", ""
    given = settings
    if policy is None and needs_model(settings):
        check_source(settings)
        if Path(settings.policy).is_dir():
            given = replace(given, policy=str(Path(settings.policy).absolute()))
        if Path(model_path(given.policy)).is_dir():
            model = fingerprint(model_path(given.policy))
    if settings.cache:
        given = replace(given, cache=str(Path(settings.cache).absolute()))
    if Path(settings.environment).is_file():
        given = replace(given, environment=str(Path(settings.environment).absolute()))
    names = {given.environment_name(task) for task in tasks}
    definitions = {name: EnvironmentDefinition.load(name) for name in sorted(names)}
    given = replace(given, api_key_env=key)
    return Plan(given, agent_of(settings), definitions, model, key, str(Path.cwd()))


def needs_model(settings: EvalSettings) -> bool:
    """Whether the policy is a model that every node loads for itself."""
    return not settings.is_endpoint and settings.policy not in SCRIPTED


def _selection(tasks: Sequence[Task], members: Sequence[Member], progress: Progress) -> Selection:
    """The tasks that some node can run."""
    unavailable: dict[str, str] = {}
    for task in tasks:
        reasons = [
            f"{member.name}: {member.unavailable[task.instance_id]}"
            for member in members
            if task.instance_id in member.unavailable
        ]
        if len(reasons) == len(members):
            unavailable[task.instance_id] = f"on no node: {reasons[0]}"
    for member in members:
        lacking = [name for name in member.unavailable if name not in unavailable]
        if lacking:
            progress.note(f"{member.name} leaves {len(lacking)} tasks to other nodes: {member.unavailable[lacking[0]]}")
    left = tuple(task for task in tasks if task.instance_id not in unavailable)
    if not left:
        first = next(iter(unavailable.values()))
        raise SweSrlError(f"none of the {len(tasks)} tasks can be run on a node. The first reason: {first}")
    return Selection(left, unavailable)
