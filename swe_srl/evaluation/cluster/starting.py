"""From the nodes of a cluster to those that can work for a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swe_srl import __version__
from swe_srl.errors import SweSrlError
from swe_srl.evaluation.cluster.connecting import Machine, machines, make_probe, on
from swe_srl.evaluation.cluster.describing import code_digest
from swe_srl.evaluation.cluster.fleet import EPISODE, GRADE, Member
from swe_srl.evaluation.cluster.node import Findings, Node, Plan, Reply
from swe_srl.evaluation.settings import usual_episodes
from swe_srl.protocols import Policy
from swe_srl.types import Task

PROBE_SECONDS = 60.0  # for a process to start on a node
WAIT_SECONDS = 120.0  # for a node's CPUs to be free, when another node is ready
PATIENCE_SECONDS = 30.0  # before the user is told who is waited for
_OTHERS = 4  # calls that a node's process takes beside episodes and gradings


@dataclass
class Starter:
    """Starts the processes on the nodes.

    Args:
        ray: the package, connected.
        plan: of the run.
        tasks: of the run.
        gpu: whether a node's process needs a GPU, where there is one.
        note: tells the user.
    """

    ray: Any
    plan: Plan
    tasks: Sequence[Task]
    gpu: bool
    note: Callable[[str], None]
    left_out: dict[str, str] = field(default_factory=dict)  # why nodes take no part, by name
    _policy: tuple[Any, bool] | None = None  # what `load` was given
    _refs: list[Any] = field(default_factory=list)

    def start(self) -> list[Member]:
        """The nodes that can work for the run.

        Raises:
            SweSrlError: none can; the message says why not, of each.
        """
        self._refs = [self.ray.put(self.plan), self.ray.put(tuple(self.tasks))]
        found = machines(self.ray)
        if not found:
            raise SweSrlError(
                "the Ray cluster has no node with CPUs to give: start its nodes with `ray start --num-cpus N`"
            )
        members = self._placed([self._member(machine, told) for machine, told in self._probed(found)])
        ready = self._ask(members, lambda member: member.actor.examine.remote(self._refs[1]))
        fit = []
        for member, answer in ready:
            problem = answer.problem if isinstance(answer, Findings) else str(answer)
            if problem:
                self._leave_out(member.machine, problem)
                self.ray.kill(member.actor)
            else:
                fit.append(replace(member, unavailable=answer.unavailable))
        return self._some(fit)

    def load(self, members: Sequence[Member], policy: Policy | None, together: bool) -> list[Member]:
        """Make the policy act on the nodes; those where it cannot are left out.

        Raises:
            SweSrlError: it can nowhere.
        """
        self._policy = (None if policy is None else self.ray.put(policy), together)
        loaded = []
        for member, answer in self._ask(members, lambda member: member.actor.load.remote(*self._given())):
            error = answer.error if isinstance(answer, Reply) else answer
            if error is None:
                loaded.append(member)
                continue
            self._leave_out(member.machine, str(error))
            self.ray.kill(member.actor)
            if isinstance(error, SweSrlError) and len(members) == 1:
                raise error
        return self._some(loaded)

    def again(self, lost: Member) -> Member:
        """A node whose process was lost, with a new one.

        Raises:
            SweSrlError: it cannot do the work any more.
            RayError: the node is gone.
        """
        member = replace(lost, actor=self._actor(lost.machine, lost.room), starts=lost.starts + 1, lost="", failures=0)
        member.busy = type(lost.busy)()
        findings = self.ray.get(member.actor.examine.remote(self._refs[1]))
        if findings.problem:
            raise SweSrlError(findings.problem)
        if self._policy is not None:
            reply = self.ray.get(member.actor.load.remote(*self._given()))
            if reply.error is not None:
                raise reply.error
        return replace(member, unavailable=findings.unavailable)

    def _given(self) -> tuple[Any, bool]:
        assert self._policy is not None
        return self._policy

    def _probed(self, found: Sequence[Machine]) -> list[tuple[Machine, Mapping[str, Any]]]:
        """The nodes that have the same package, with what they tell."""
        probe = self.ray.remote(num_cpus=0, max_retries=0)(make_probe())
        asked = {machine: probe.options(scheduling_strategy=on(self.ray, machine)).remote() for machine in found}
        self.ray.wait(list(asked.values()), num_returns=len(asked), timeout=PROBE_SECONDS)
        same, own = [], code_digest()
        for machine, ref in asked.items():
            try:
                told = self.ray.get(ref, timeout=0.1)
            except self.ray.exceptions.RayError as error:
                self._leave_out(machine, f"no process could be started there: {' '.join(str(error).split())[:300]}")
                continue
            if "code" not in told and not told["version"]:
                self._leave_out(machine, f"swe-srl is not installed for Ray's Python there: {told['problem']}")
            elif told.get("code") != own:
                whose = f"swe-srl {told['version']} is there, {__version__} here"
                same_version = f"swe-srl {__version__} is there with other code than here"
                what = same_version if told["version"] == __version__ else whose
                self._leave_out(machine, f"{what}: install the same")
            else:
                same.append((machine, told))
        self._some(same)
        return same

    def _member(self, machine: Machine, told: Mapping[str, Any]) -> Member:
        settings = self.plan.settings
        cores = max(1, min(int(machine.cores), int(told["cores"])))
        episodes = settings.workers or usual_episodes(cores, int(told["memory"]))
        room = {EPISODE: episodes, GRADE: settings.grading_workers}
        return Member(machine, self._actor(machine, room), room)

    def _actor(self, machine: Machine, room: Mapping[str, int]) -> Any:
        options = {
            "num_cpus": machine.cores,
            "num_gpus": 1 if self.gpu and machine.gpus >= 1 else 0,
            "max_concurrency": sum(room.values()) + _OTHERS,
            "scheduling_strategy": on(self.ray, machine),
        }
        return self.ray.remote(**options)(Node).remote(self._refs[0])

    def _placed(self, members: list[Member]) -> list[Member]:
        """The members whose process has started: nodes whose CPUs other work of the cluster keeps are not waited for for ever."""
        waiting = {member.actor.is_here.remote(): member for member in members}
        here: list[Member] = []
        begun, told = time.monotonic(), False
        while waiting and not (here and time.monotonic() - begun > WAIT_SECONDS):
            ready, _ = self.ray.wait(list(waiting), timeout=1.0)
            for ref in ready:
                member = waiting.pop(ref)
                try:
                    self.ray.get(ref)
                    here.append(member)
                except self.ray.exceptions.RayError as error:
                    self._leave_out(member.machine, " ".join(str(error).split())[:300])
            if waiting and not told and time.monotonic() - begun > PATIENCE_SECONDS:
                told = True
                names = ", ".join(member.name for member in waiting.values())
                self.note(f"waiting for {names}: other work of the cluster may be using their CPUs")
        for member in waiting.values():
            self._leave_out(member.machine, f"its CPUs were not free for {WAIT_SECONDS:.0f} s")
            self.ray.kill(member.actor)
        return self._some(here)

    def _ask(self, members: Sequence[Member], ask: Callable[[Member], Any]) -> list[tuple[Member, Any]]:
        """The answers of all members, at once; an error stands for the answer of one that has none."""
        asked = [(member, ask(member)) for member in members]
        answers: list[tuple[Member, Any]] = []
        for member, ref in asked:
            try:
                answers.append((member, self.ray.get(ref)))
            except self.ray.exceptions.RayError as error:
                answers.append((member, SweSrlError(" ".join(str(error).split())[:300])))
        return answers

    def _leave_out(self, machine: Machine, reason: str) -> None:
        self.left_out[machine.name] = reason
        self.note(f"{machine.name} takes no part: {reason}")

    def _some(self, found: list[Any]) -> list[Any]:
        if not found:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
            raise SweSrlError(f"no node of the Ray cluster can take part. {reasons}")
        return found
