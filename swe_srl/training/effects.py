"""What commands do where the expert was: each tried in a sandbox of the step's task, after the expert's earlier turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from swe_srl.agents import AgentDefinition
from swe_srl.definitions import environment_for
from swe_srl.envs import SandboxProbe, SweEnv
from swe_srl.envs.pool import pools_kept
from swe_srl.errors import SandboxError, TaskError, TrainingError
from swe_srl.grading import OpenSandboxes
from swe_srl.protocols import Similarity
from swe_srl.rewards import get_similarity
from swe_srl.rewards.effect import Effect, untold
from swe_srl.rewards.registry import EFFECT
from swe_srl.training.expert_states import ExpertStates
from swe_srl.training.settings import TrainSettings
from swe_srl.trajectories.replay import replay
from swe_srl.types import Score, Step, Task

ATTEMPTS = 2  # at a state whose sandbox fails
MOST_CHARACTERS = 100_000_000  # of the effects that are remembered
OVERHEAD = 500  # characters that an effect counts beside its own


def by_method(score: Score) -> dict[str, float]:
    """Whether a value came of effects, and whether of the commands' words because effects could not tell.

    >>> by_method(Score(0.5, {"method": "effect"}))
    {'by_effect': 1.0, 'by_shell': 0.0}
    """
    method = str(score.parts.get("method", ""))
    return {"by_effect": float(method == "effect"), "by_shell": float(method.startswith("shell"))}


class Remembered:
    """Effects by step and command; of too many, those that were not asked for longest are forgotten.

    Args:
        most: characters.
    """

    def __init__(self, most: int = MOST_CHARACTERS) -> None:
        self._most, self._size = most, 0
        self._effects: OrderedDict[tuple[str, str], Effect] = OrderedDict()

    def get(self, step: str, command: str) -> Effect | None:
        """The effect, when it is known."""
        found = self._effects.get((step, command))
        if found is not None:
            self._effects.move_to_end((step, command))
        return found

    def put(self, step: str, command: str, effect: Effect) -> None:
        """Remember an effect."""
        if (step, command) in self._effects:
            return
        self._effects[step, command] = effect
        self._size += _size(command, effect)
        while self._size > self._most:
            (_, oldest), forgotten = self._effects.popitem(last=False)
            self._size -= _size(oldest, forgotten)


@dataclass(frozen=True)
class Tried:
    """What was found at one state.

    Args:
        effects: by command.
        elsewhere: whether one of the earlier turns showed something else than recorded.
    """

    effects: Mapping[str, Effect]
    elsewhere: bool


class Effects:
    """Tries commands at the states of steps, and remembers for the run what they did.

    Args:
        states: of the steps.
        definition: environment definition of a task.
        kind: of sandbox: "local", "docker" or "auto".
        workers: states that commands are tried at, at a time.
        reserved: the command that ends an episode, which no shell runs.
        note: is told, once, that a state may not be the one that the expert saw.
    """

    def __init__(
        self,
        states: ExpertStates,
        definition: Callable[[Task], str],
        kind: str = "auto",
        workers: int = 8,
        reserved: str = "",
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.states, self.workers, self.reserved = states, workers, reserved
        self._definition, self._kind, self._note = definition, kind, note
        self._remembered = Remembered()
        self._noted = False

    @classmethod
    def of(
        cls, settings: TrainSettings, states: ExpertStates, note: Callable[[str], None] = lambda text: None
    ) -> Self | None:
        """Those of a run; None when no stage tries commands."""

        def definition(task: Task) -> str:
            return settings.environment or environment_for(task, settings.sandbox, settings.bundled_tasks)

        submit = AgentDefinition.load(settings.agent_name).submit
        return cls(states, definition, settings.sandbox, settings.workers, submit, note) if states.tasks else None

    @property
    def fingerprint(self) -> str:
        """Of everything that effects depend on but this machine."""
        names = sorted({self._definition(task) for task in self.states.tasks.values()})
        return " ".join([*self.states.fingerprints().values(), self._kind, self.reserved, *names])

    def similarities(self, groups: Sequence[tuple[Step, Sequence[str]]]) -> list[Similarity]:
        """For every step the similarity of these commands to its target, once all that it compares was tried.

        A command is tried once, whatever it is compared with; one that is worth the same whatever it does is not tried.

        Raises:
            TrainingError: a sandbox failed twice; the message names task and step.
            KeyboardInterrupt: passed on; running commands are ended, not waited for.
        """
        wanted = [self._wanted(step, commands) for step, commands in groups]
        known = [
            {command: effect for command in commands if (effect := self._remembered.get(step.step_id, command))}
            for (step, _), commands in zip(groups, wanted, strict=True)
        ]
        missing: dict[int, list[str]] = {}
        for index, (step, _) in enumerate(groups):
            if step.target not in known[index] or not untold(known[index][step.target]):
                missing[index] = [command for command in wanted[index] if command not in known[index]]
        jobs = {index: (groups[index][0], commands) for index, commands in missing.items() if commands}
        for index, effects in self._try_all(jobs).items():
            known[index] |= effects
            for command, effect in effects.items():
                self._remembered.put(groups[index][0].step_id, command, effect)
        return [get_similarity(EFFECT, _Known(effects), self.reserved) for effects in known]

    def _wanted(self, step: Step, commands: Sequence[str]) -> list[str]:
        """The commands whose effects are compared, the target before all others."""
        asking = _Asking()
        similarity = get_similarity(EFFECT, asking, self.reserved)
        for command in commands:
            similarity(command, step.target)
        return list(asking.asked)

    def _try_all(self, jobs: Mapping[int, tuple[Step, Sequence[str]]]) -> dict[int, Mapping[str, Effect]]:
        found: dict[int, Tried] = {}
        if not jobs:
            return {}
        open = OpenSandboxes()
        pool = ThreadPoolExecutor(min(self.workers, len(jobs)), thread_name_prefix="effect")
        try:
            with pools_kept():
                futures = {pool.submit(self._try, *job, open): index for index, job in jobs.items()}
                for future in as_completed(futures):
                    found[futures[future]] = future.result()
        except BaseException:
            open.end()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        self._say([jobs[index][0] for index in jobs if found[index].elsewhere], len(jobs))
        return {index: found[index].effects for index in jobs}

    def _try(self, step: Step, commands: Sequence[str], open: OpenSandboxes) -> Tried:
        """Try commands at one state; when its sandbox fails, again in a fresh one what is not known yet.

        A target that tells nothing is tried alone: nothing is compared with it.
        """
        found: dict[str, Effect] = {}
        for attempt in range(ATTEMPTS):
            try:
                with self._state(step, open) as (probe, elsewhere):
                    for command in commands:
                        if command not in found:
                            found[command] = probe.effect(command)
                        if command == step.target and untold(found[command]):
                            break
                return Tried(found, elsewhere)
            except (SandboxError, TaskError) as error:
                if open.ended:
                    raise
                if attempt == ATTEMPTS - 1:
                    raise TrainingError(
                        f"similarity effect: the sandbox of task {step.task_id} failed {ATTEMPTS} times at step "
                        f"{step.step_id}: {error}. The same command goes on from the last checkpoint"
                    ) from error
        raise AssertionError("an attempt returns or raises")

    @contextmanager
    def _state(self, step: Step, open: OpenSandboxes) -> Iterator[tuple[SandboxProbe, bool]]:
        """A fresh sandbox after the expert's earlier turns, and whether one of these showed something else than recorded."""
        task = self.states.tasks[step.task_id]
        env = SweEnv([task], self._definition(task), self._kind, max_turns=0)
        try:
            env.reset(seed=0, options={"task": task.instance_id})
            sandbox = env.sandbox
            if sandbox is None:
                raise SandboxError("the environment has no sandbox after its reset")
            with open.holding(sandbox):
                turns = list(replay(self.states.before(step), sandbox))
                elsewhere = any(turn.observation == "different" or turn.exit_code_differs for turn in turns)
                with SandboxProbe(sandbox, env.definition.workdir, open=open) as probe:
                    yield probe, elsewhere
        finally:
            env.close()

    def _say(self, elsewhere: Sequence[Step], count: int) -> None:
        if not elsewhere or self._noted:
            return
        self._noted = True
        self._note(
            f"similarity effect: at {len(elsewhere)} of {count} states the expert's earlier turns show something else here than "
            f"recorded, such as before {elsewhere[0].step_id}: commands are compared in the states as they are here"
        )


class _Known:
    """A probe that knows the effects already."""

    def __init__(self, effects: Mapping[str, Effect]) -> None:
        self._effects = effects

    def effect(self, command: str) -> Effect:
        return self._effects[command]


class _Asking:
    """A probe that takes down what it is asked, in order."""

    def __init__(self) -> None:
        self.asked: dict[str, None] = {}

    def effect(self, command: str) -> Effect:
        self.asked[command] = None
        return Effect("something to compare", 0)


def _size(command: str, effect: Effect) -> int:
    changes = sum(len(path) + len(change) for path, change in effect.changes.items())
    return OVERHEAD + len(command) + len(effect.output) + len(effect.state) + changes
