"""Policies: the expert, the gold patch, nobody, and a model. All the same to the rollout loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swe_srl.errors import TaskError
from swe_srl.protocols import Generator, PolicyOutput
from swe_srl.trajectories.action_format import format_action, parse_action
from swe_srl.types import Action, Completion, Context, FormatError, Refusal, Sampling, Task, Trajectory

SUBMIT = "submit"
CUT = "cut by the token limit"  # how the reason of a malformed completion begins that it made so


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What a policy answers for one context. `action` None: nothing more to do; a refusal: the context was not taken."""

    action: Action | FormatError | Refusal | None
    raw: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thought_tokens: int = 0


class ExpertPolicy:
    """Replays the commands of expert trajectories, turn by turn, whatever the observations are.

    Args:
        trajectories: one per task; a later one of the same task replaces an earlier one.
    """

    def __init__(self, trajectories: Iterable[Trajectory]) -> None:
        self._actions: dict[str, list[Action]] = {
            trajectory.task_id: [turn.action for turn in trajectory.turns if isinstance(turn.action, Action)]
            for trajectory in trajectories
        }

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """The expert's action of each context's turn.

        Raises:
            TaskError: there is no expert trajectory of a context's task.
        """
        return [self._one(context) for context in contexts]

    def _one(self, context: Context) -> PolicyAnswer:
        actions = self._actions.get(context.task_id)
        if actions is None:
            raise TaskError(f"{context.task_id}: no expert trajectory of this task was given to the expert policy")
        return _scripted(actions, context.turn)


class GoldPolicy:
    """Applies the gold patch and submits: a check of environment and grading, never a baseline."""

    def __init__(self, tasks: Iterable[Task], submit: str = SUBMIT) -> None:
        self._actions: Mapping[str, list[Action]] = {
            task.instance_id: [Action(apply_command(task.patch)), Action(submit)] for task in tasks
        }

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """First the patch, then submit."""
        return [_scripted(self._actions[context.task_id], context.turn) for context in contexts]


class EmptyPolicy:
    """Submits at once, without a change: the other check of environment and grading."""

    def __init__(self, submit: str = SUBMIT) -> None:
        self._submit = submit

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """Submit."""
        return [_scripted([Action(self._submit)], context.turn) for context in contexts]


class ModelPolicy:
    """A generator's completions, parsed into actions.

    Args:
        generator: a local model or an endpoint.
        sampling: how completions are drawn; the seed is the context's.
        form: how a completion holds its command: the agent definition's `action_format`.
    """

    def __init__(self, generator: Generator, sampling: Sampling, form: str = "bash") -> None:
        self._generator = generator
        self._sampling = sampling
        self._form = form

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """One completion for each context, generated as one batch."""
        if not contexts:
            return []
        groups = self._generator.generate(
            [context.messages for context in contexts], 1, self._sampling, [context.seed for context in contexts]
        )
        return [answer(group[0], self._form) for group in groups]


def answer(completion: Completion, form: str = "bash") -> PolicyAnswer:
    """A completion as a policy's answer. A malformed completion that the token limit cut says so.

    `thought_tokens` is the thought's share of the characters, rounded: the tokenizer's own count is not known here.
    """
    if completion.refusal is not None:
        return PolicyAnswer(completion.refusal, prompt_tokens=completion.prompt_tokens)
    action = parse_action(completion.text, form)
    if not completion.finished and isinstance(action, FormatError):
        action = FormatError(f"{CUT}; {action.reason}", completion.text)
    count = completion.completion_tokens or len(completion.token_ids)
    head = completion.text.find("</think>")
    share = (head + len("</think>")) / len(completion.text) if head >= 0 else 0.0
    return PolicyAnswer(action, completion.text, completion.prompt_tokens, count, round(count * share))


def apply_command(patch: str) -> str:
    """A command that applies a diff given in a here-document."""
    marker = "END_OF_PATCH"
    while marker in patch:
        marker += "_"
    return f"git apply --whitespace=nowarn - <<'{marker}'\n{patch.rstrip(chr(10))}\n{marker}"


def _scripted(actions: Sequence[Action], turn: int) -> PolicyAnswer:
    if turn >= len(actions):
        return PolicyAnswer(None)
    return PolicyAnswer(actions[turn], format_action(actions[turn], thought=bool(actions[turn].thought)))
