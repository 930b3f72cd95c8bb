"""From an issue and the turns so far to chat messages: the one renderer that training and acting share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import jinja2

from swe_srl.errors import ConfigError
from swe_srl.trajectories.action_format import FORMS, format_action
from swe_srl.types import Action, Message, Turn

CONTEXT_POLICIES = ("full", "last_k")


@dataclass(frozen=True, slots=True)
class Prompting:
    """How a policy is shown its task. Filled from an agent definition (`agents/*.yaml`).

    Args:
        system: system message, or "" for none.
        instance: jinja2 template of the first user message; variable `problem_statement`.
        observation: jinja2 template of an observation; variables `output`, `killed`, and `exit_code` (None when the command
            was killed, and in trajectories of tools that do not record it).
        context: `full` shows every round; `last_k` shows the issue and the last `rounds` action–observation rounds (the
            paper's software setting has 2).
        rounds: k of `last_k`.
        history_thoughts: whether earlier assistant messages keep their thoughts.
        observation_chars: longer observations lose their middle, and the text says so.
        action_format: how a completion holds its command: `bash` (fenced), `plain` or `tool` (see `action_format`).
    """

    system: str = ""
    instance: str = "{{ problem_statement }}"
    observation: str = "{{ output }}"
    context: str = "full"
    rounds: int = 2
    history_thoughts: bool = False
    observation_chars: int = 10_000
    action_format: str = "bash"

    def __post_init__(self) -> None:
        if self.action_format not in FORMS:
            raise ConfigError(f"action_format must be one of {', '.join(FORMS)}, not {self.action_format!r}")
        if self.context not in CONTEXT_POLICIES:
            raise ConfigError(f"context must be one of {', '.join(CONTEXT_POLICIES)}, not {self.context!r}")
        if self.rounds < 0:
            raise ConfigError(f"rounds must be at least 0, not {self.rounds}")


@lru_cache(maxsize=64)
def _template(source: str) -> jinja2.Template:
    return jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=False).from_string(source)


def _render(name: str, source: str, **variables: object) -> str:
    try:
        return _template(source).render(**variables)
    except jinja2.TemplateError as error:
        known = ", ".join(variables)
        raise ConfigError(f"{name} template of the agent definition: {error} (its variables: {known})") from error


def elide(text: str, limit: int) -> str:
    """`text` with its middle cut when it is longer than `limit` characters; the cut is said in the text.

    >>> elide("abcdefgh", 4)
    'ab\\n[4 characters cut]\\ngh'
    """
    if len(text) <= limit:
        return text
    head = limit - limit // 2
    tail = limit // 2
    return f"{text[:head]}\n[{len(text) - limit} characters cut]\n{text[len(text) - tail :] if tail else ''}"


def render_observation(prompting: Prompting, output: str, exit_code: int | None, killed: bool = False) -> str:
    """The user message that follows a command."""
    shown = elide(output, prompting.observation_chars)
    return _render("observation", prompting.observation, output=shown, exit_code=exit_code, killed=killed)


def render_messages(prompting: Prompting, problem_statement: str, turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The chat a policy sees before turn `len(turns)`; it ends with a user message.

    Observations in `turns` are raw terminal texts. A malformed turn keeps its text as the assistant's message, so that the
    policy sees what it wrote and why it was refused.
    """
    rounds = [_round(prompting, turn) for turn in _shown(prompting, turns)]
    return (*_opening(prompting, problem_statement), *chain.from_iterable(rounds))


def render_contexts(
    prompting: Prompting, problem_statement: str, turns: Sequence[Turn]
) -> Iterator[tuple[Message, ...]]:
    """`render_messages` before every turn in order, each turn rendered once: contexts 0 to `len(turns) - 1`."""
    opening = _opening(prompting, problem_statement)
    rounds: list[tuple[Message, Message]] = []
    for turn in turns:
        yield (*opening, *chain.from_iterable(_shown(prompting, rounds)))
        rounds.append(_round(prompting, turn))


def _shown(prompting: Prompting, turns: Sequence[Any]) -> Sequence[Any]:
    return turns[max(0, len(turns) - prompting.rounds) :] if prompting.context == "last_k" else turns


def _opening(prompting: Prompting, problem_statement: str) -> list[Message]:
    messages = [Message("system", prompting.system)] if prompting.system else []
    issue = _render("instance", prompting.instance, problem_statement=problem_statement)
    return [*messages, Message("user", issue)]


def _round(prompting: Prompting, turn: Turn) -> tuple[Message, Message]:
    if isinstance(turn.action, Action):
        thought = prompting.history_thoughts and bool(turn.action.thought)
        said = format_action(turn.action, thought, prompting.action_format)
    else:
        said = turn.action.text
    seen = render_observation(prompting, turn.observation, turn.exit_code, turn.killed)
    return Message("assistant", said), Message("user", seen)
