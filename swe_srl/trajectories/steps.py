"""From trajectories to training steps: the context up to a turn, and the target command of that turn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from swe_srl.errors import ConfigError
from swe_srl.settings import check_at_least, setting
from swe_srl.trajectories.action_format import SUBMIT, as_read, unwritable
from swe_srl.trajectories.contamination import ContaminationIndex
from swe_srl.trajectories.prompting import Prompting, render_contexts, split_title
from swe_srl.trajectories.report import ReadReport
from swe_srl.types import Action, Message, Step, Trajectory, Turn


@dataclass(frozen=True, slots=True)
class StepSettings:
    """Which turns become steps. Every turn that does not is reported with the reason."""

    include_last: bool = setting(
        True, "Whether the last turn is a target too; off gives the paper's literal N-1 steps."
    )
    resolved_only: bool = setting(False, "Use only trajectories known to have resolved their task.")
    require_thought: bool = setting(False, "Leave out turns whose demonstration has no thought.")
    first_turn: int = setting(0, "First turn (from 0) of a trajectory that may be a target.")
    last_turn: int = setting(-1, "Last turn of a trajectory that may be a target; -1 for no limit.")
    max_target_characters: int = setting(0, "Leave out longer target commands; 0 for no limit.")
    max_context_characters: int = setting(0, "Leave out steps whose context has more characters; 0 for no limit.")
    max_trajectory_turns: int = setting(0, "Leave out trajectories with more turns; 0 for no limit.")
    repositories: tuple[str, ...] = setting((), "Use only trajectories of these repositories (owner/name).")
    deduplicate: bool = setting(False, "Keep only the first of steps with equal context and target.")

    def __post_init__(self) -> None:
        check_at_least(self, first_turn=0, last_turn=-1, max_target_characters=0, max_context_characters=0)
        check_at_least(self, max_trajectory_turns=0)


def make_steps(
    trajectories: Iterable[Trajectory],
    prompting: Prompting,
    report: ReadReport | None = None,
    settings: StepSettings | None = None,
    evaluation: ContaminationIndex | None = None,
    submit: str = SUBMIT,
) -> Iterator[Step]:
    """Stream the steps of trajectories; their contexts are the ones a policy would see (`prompting.render_messages`).

    Args:
        trajectories: what `read_trajectories` yields.
        prompting: how contexts are rendered: the agent definition's.
        report: receives the number of turns read, of steps, and of turns left out by reason.
        settings: which turns become steps.
        evaluation: tasks that no step may come from; theirs are reported as contaminated.
        submit: the agent definition's reserved command, which takes the place of `SUBMIT` in the demonstrations.
    """
    report = report if report is not None else ReadReport()
    chooser = _Chooser(settings or StepSettings(), evaluation)
    for trajectory in trajectories:
        turns = tuple(as_acted(turn, submit, prompting.action_format) for turn in trajectory.turns)
        report.turns_read += len(turns)
        refused = chooser.trajectory(trajectory)
        contexts = render_contexts(prompting, trajectory.problem_statement, turns)
        for index, (turn, context) in enumerate(zip(turns, contexts, strict=True)):
            if not isinstance(turn.action, Action):
                report.report(turn.action.reason, trajectory.trajectory_id, index, turn.action.text)
                continue
            _, target = split_title(prompting, turn.action.command)
            step = _step(trajectory, index, replace(turn.action, command=target), context)
            reason = refused or chooser.step(step, last=index == len(turns) - 1)
            reason = reason or unwritable(replace(turn.action, command=target), prompting.action_format)
            if reason:
                report.report(reason, trajectory.trajectory_id, index, turn.action.command)
            else:
                report.steps += 1
                yield step


def choose_steps(
    steps: Iterable[Step],
    report: ReadReport | None = None,
    settings: StepSettings | None = None,
    evaluation: ContaminationIndex | None = None,
    form: str = "bash",
) -> Iterator[Step]:
    """Those of already made steps that the settings keep; the others are reported with the reason, as by `make_steps`.

    Args:
        form: how their answers are to be written (`action_format.FORMS`); one that cannot be is reported.

    Raises:
        ConfigError: a setting asks for what single steps do not tell.
    """
    report = report if report is not None else ReadReport()
    settings = settings or StepSettings()
    for name, default in (("include_last", True), ("resolved_only", False), ("max_trajectory_turns", 0)):
        if getattr(settings, name) != default:
            raise ConfigError(f"{name}: steps without their trajectories do not tell it: leave it at {default}")
    chooser = _Chooser(settings, evaluation)
    for step in steps:
        report.turns_read += 1
        action = Action(step.target, step.thought)
        other = settings.repositories and step.repo.lower() not in chooser.repositories
        reason = "other repository" if other else chooser.step(step, last=False) or unwritable(action, form)
        if reason:
            report.report(reason, step.trajectory_id, step.index, step.target)
        else:
            report.steps += 1
            yield step


def as_acted(turn: Turn, submit: str, form: str) -> Turn:
    """A demonstrated turn as a policy's own would be that says the same: what trains is then what acting shows. `SUBMIT`
    becomes the definition's reserved command.

    >>> as_acted(Turn(Action("ls\\n", " Look. ")), "submit", "bash").action
    Action(command='ls', thought='Look.')
    """
    if not isinstance(turn.action, Action):
        return turn
    command = turn.action.command
    command = submit if command.strip() == SUBMIT else as_read(command, form)
    return replace(turn, action=Action(command, turn.action.thought.strip()))


def commands_of(trajectory: Trajectory, submit: str = SUBMIT, form: str = "bash") -> tuple[str, ...]:
    """A demonstration's commands as a policy would give them, with the definition's reserved one; a malformed turn has none.

    >>> commands_of(Trajectory("t", "task", (Turn(Action("ls")), Turn(Action("submit")))), "done")
    ('ls', 'done')
    """
    turns = (as_acted(turn, submit, form) for turn in trajectory.turns)
    return tuple(turn.action.command for turn in turns if isinstance(turn.action, Action))


def _step(trajectory: Trajectory, index: int, action: Action, context: tuple[Message, ...]) -> Step:
    return Step(
        step_id=f"{trajectory.trajectory_id}:{index}",
        trajectory_id=trajectory.trajectory_id,
        task_id=trajectory.task_id,
        index=index,
        context=context,
        target=action.command,
        thought=action.thought,
        repo=trajectory.repo,
        base_commit=trajectory.base_commit,
    )


class _Chooser:
    """Says why a trajectory or step is left out, or "" to keep it."""

    def __init__(self, settings: StepSettings, evaluation: ContaminationIndex | None) -> None:
        self._settings = settings
        self._evaluation = evaluation
        self.repositories = frozenset(name.lower() for name in settings.repositories)
        self._seen: set[bytes] = set()

    def trajectory(self, trajectory: Trajectory) -> str:
        settings = self._settings
        if settings.resolved_only and trajectory.resolved is not True:
            return "unresolved outcome" if trajectory.resolved is False else "unknown outcome"
        if self.repositories and trajectory.repo.lower() not in self.repositories:
            return "other repository"
        if settings.max_trajectory_turns and len(trajectory.turns) > settings.max_trajectory_turns:
            return "trajectory too long"
        return ""

    def step(self, step: Step, last: bool) -> str:
        settings = self._settings
        if last and not settings.include_last:
            return "last turn"
        if step.index < settings.first_turn or 0 <= settings.last_turn < step.index:
            return "turn out of range"
        if settings.require_thought and not step.thought.strip():
            return "empty thought"
        if settings.max_target_characters and len(step.target) > settings.max_target_characters:
            return "target too long"
        if settings.max_context_characters and _characters(step) > settings.max_context_characters:
            return "context too long"
        if self._evaluation is not None and self._evaluation.match(step) is not None:
            return "contaminated"
        return "duplicate" if settings.deduplicate and self._is_duplicate(step) else ""

    def _is_duplicate(self, step: Step) -> bool:
        digest = hashlib.blake2b(digest_size=16)
        for message in step.context:
            digest.update(f"{message.role}\0{message.content}\0".encode("utf-8", "surrogatepass"))
        digest.update(step.target.encode("utf-8", "surrogatepass"))
        key = digest.digest()
        duplicate = key in self._seen
        self._seen.add(key)
        return duplicate


def _characters(step: Step) -> int:
    return sum(len(message.content) for message in step.context)
