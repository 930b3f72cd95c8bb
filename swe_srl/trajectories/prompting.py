"""From an issue and the turns so far to chat messages: the one renderer that training and acting share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import jinja2

from swe_srl.errors import ConfigError
from swe_srl.trajectories.action_format import FORMS, format_action
from swe_srl.types import Action, Message, Turn

_TITLE = re.compile(r"\A\*\*(?P<title>[^*\n]+?):?\*\*:?\s*")
CONTEXT_POLICIES = ("full", "last_k", "inline")


@dataclass(frozen=True, slots=True)
class Prompting:
    """How a policy is shown its task. Filled from an agent definition (`agents/*.yaml`).

    Args:
        system: system message, or "" for none.
        instance: jinja2 template of the first user message; variables `problem_statement` and, when `context` is `inline`,
            `steps` (the commands so far) and `title` (of the step that comes next, where that is known and `titles` is on).
        observation: jinja2 template of an observation; variables `output`, `killed`, and `exit_code` (None when the command
            was killed, and in trajectories of tools that do not record it).
        context: `full` shows every round; `last_k` shows the issue and the last `rounds` action–observation rounds (the
            paper's software setting has 2); `inline` is one user message, in which `instance` shows what was done so far.
        rounds: k of `last_k`.
        history_thoughts: whether earlier assistant messages keep their thoughts.
        observation_chars: longer observations lose their middle, and the text says so.
        titles: whether a demonstrated step's title is part of its context instead of its target (`n. **TITLE** ACTION`).
        action_format: how a completion holds its command: `bash` (fenced), `plain` or `tool` (see `action_format`).
    """

    system: str = ""
    instance: str = "{{ problem_statement }}"
    observation: str = "{{ output }}"
    context: str = "full"
    rounds: int = 2
    history_thoughts: bool = False
    observation_chars: int = 10_000
    titles: bool = False
    action_format: str = "bash"

    def __post_init__(self) -> None:
        if self.action_format not in FORMS:
            raise ConfigError(f"action_format must be one of {', '.join(FORMS)}, not {self.action_format!r}")
        if self.context not in CONTEXT_POLICIES:
            raise ConfigError(f"context must be one of {', '.join(CONTEXT_POLICIES)}, not {self.context!r}")
        if self.titles and self.context != "inline":
            raise ConfigError(f"titles are shown in inline contexts alone, and context is {self.context!r}")
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
    if prompting.context == "inline":
        return tuple(_opening(prompting, problem_statement, _done(turns)))
    rounds = [_round(prompting, turn) for turn in _shown(prompting, turns)]
    return (*_opening(prompting, problem_statement), *chain.from_iterable(rounds))


def render_contexts(
    prompting: Prompting, problem_statement: str, turns: Sequence[Turn]
) -> Iterator[tuple[Message, ...]]:
    """`render_messages` before every turn in order, each turn rendered once: contexts 0 to `len(turns) - 1`."""
    if prompting.context == "inline":
        for index, turn in enumerate(turns):
            yield tuple(_opening(prompting, problem_statement, _done(turns[:index]), _title(prompting, turn)))
        return
    opening = _opening(prompting, problem_statement)
    rounds: list[tuple[Message, Message]] = []
    for turn in turns:
        yield (*opening, *chain.from_iterable(_shown(prompting, rounds)))
        rounds.append(_round(prompting, turn))


def _shown(prompting: Prompting, turns: Sequence[Any]) -> Sequence[Any]:
    return turns[max(0, len(turns) - prompting.rounds) :] if prompting.context == "last_k" else turns


def split_title(prompting: Prompting, command: str) -> tuple[str, str]:
    """The title of a demonstrated step, when it is shown in the context, and what is left for the target.

    >>> split_title(Prompting(titles=True, context="inline"), "**Add the terms:** So 2 + 2 = 4.")
    ('Add the terms', 'So 2 + 2 = 4.')
    >>> split_title(Prompting(), "**Add the terms:** So 2 + 2 = 4.")
    ('', '**Add the terms:** So 2 + 2 = 4.')
    """
    found = _TITLE.match(command) if prompting.titles else None
    return (found["title"].strip(), command[found.end() :]) if found else ("", command)


def _title(prompting: Prompting, turn: Turn) -> str:
    return split_title(prompting, turn.action.command)[0] if isinstance(turn.action, Action) else ""


def _done(turns: Sequence[Turn]) -> list[str]:
    return [turn.action.command for turn in turns if isinstance(turn.action, Action)]


def _opening(prompting: Prompting, problem_statement: str, steps: Sequence[str] = (), title: str = "") -> list[Message]:
    messages = [Message("system", prompting.system)] if prompting.system else []
    inline = {"steps": list(steps), "title": title} if prompting.context == "inline" else {}
    issue = _render("instance", prompting.instance, problem_statement=problem_statement, **inline)
    return [*messages, Message("user", issue)]


def _round(prompting: Prompting, turn: Turn) -> tuple[Message, Message]:
    if isinstance(turn.action, Action):
        thought = prompting.history_thoughts and bool(turn.action.thought)
        said = format_action(turn.action, thought, prompting.action_format)
    else:
        said = turn.action.text
    seen = render_observation(prompting, turn.observation, turn.exit_code, turn.killed)
    return Message("assistant", said), Message("user", seen)
