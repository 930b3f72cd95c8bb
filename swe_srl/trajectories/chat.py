"""From the messages of a chat, whatever the format, to turns: who said what, and which command it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swe_srl.trajectories.calls import Call, find_call
from swe_srl.trajectories.observations import Observation, parse_observation
from swe_srl.trajectories.statements import problem_statement_of, repository_of
from swe_srl.trajectories.tools import Scene, Untranslatable, translate
from swe_srl.types import Action, FormatError, StopReason, Trajectory, Turn

_DOCUMENTED = re.compile(r"^(\w+):?\n\s+(?:docstring|signature): ", re.MULTILINE)  # SWE-agent's list of its tools
OBSERVERS = frozenset({"user", "tool"})


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `role` is "system", "user", "assistant" or "tool"; `reasoning` is thinking kept apart from the text."""

    role: str
    text: str
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    exit_code: int | None = None
    killed: bool = False
    problem: str = ""  # why this message is malformed in the file
    written: str = ""  # the message as the model wrote it, where `text` is only a part of it
    plain: bool = False  # an observation that is the terminal's own text, with nothing wrapped around it
    answers: str = ""  # the `call_id` of the call that this observation answers, where the file tells it


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole recorded episode before its commands are understood.

    Args:
        said: the messages in order.
        swe_agent: SWE-agent's rules hold: the last fence is the command, and `open`, `edit`, … are tools, not programs.
        other fields: as in `Trajectory`; empty ones are filled from the messages where they can be.
    """

    said: tuple[Said, ...]
    trajectory_id: str
    task_id: str = ""
    source_format: str = ""
    swe_agent: bool = False
    problem_statement: str = ""
    repo: str = ""
    base_commit: str = ""
    resolved: bool | None = None
    patch: str = ""
    stop_reason: StopReason | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def assemble(conversation: Conversation) -> Trajectory:
    """The trajectory of a conversation. Every assistant message is one turn: an action, or a format error with the reason."""
    said = conversation.said
    first = next((index for index, message in enumerate(said) if message.role == "assistant"), len(said))
    opening = said[:first]
    statement = conversation.problem_statement or problem_statement_of(
        [message.text for message in opening if message.role == "user"]
    )
    system = "\n\n".join(message.text for message in opening if message.role == "system")
    task_id = conversation.task_id
    return Trajectory(
        trajectory_id=conversation.trajectory_id,
        task_id=task_id,
        turns=tuple(_turns(said[first:], conversation.swe_agent, frozenset(_DOCUMENTED.findall(system)))),
        problem_statement=statement,
        system_prompt=system,
        repo=conversation.repo or repository_of(task_id),
        base_commit=conversation.base_commit,
        resolved=conversation.resolved,
        patch=conversation.patch,
        stop_reason=conversation.stop_reason,
        source_format=conversation.source_format,
        extra=json.dumps(conversation.extra, sort_keys=True, default=str),
    )


def _turns(said: Sequence[Said], swe_agent: bool, tools: frozenset[str]) -> list[Turn]:
    turns: list[Turn] = []
    scene = Scene(swe_agent=swe_agent, tools=tools)
    index = 0
    while index < len(said):
        message = said[index]
        answers: list[Said] = []
        index += 1
        while index < len(said) and said[index].role != "assistant":
            if said[index].role in OBSERVERS:
                answers.append(said[index])
            index += 1
        last = index >= len(said)
        for part, told in _split(message, answers):
            observation = _observe(told)
            turn = _turn(part, observation, scene, missing=not told and not last)
            turns.append(replace(turn, killed=any(answer.killed for answer in told)))
            scene = scene.after(observation)
    return turns


def _split(message: Said, answers: list[Said]) -> list[tuple[Said, list[Said]]]:
    """One part a call where a message's calls were run one by one, each with its own answer; else the message as it is."""
    results = _in_order(message.calls, [answer for answer in answers if answer.role == "tool"])
    if len(message.calls) < 2 or message.problem or len(results) != len(message.calls):
        return [(message, answers)]
    parts = [
        (replace(message, calls=(call,), text="", reasoning="", written=""), [result])
        for call, result in zip(message.calls, results, strict=True)
    ]
    parts[0] = (replace(message, calls=message.calls[:1], written=""), parts[0][1])
    parts[-1][1].extend(answer for answer in answers if answer.role != "tool")
    return parts


def _in_order(calls: Sequence[Call], results: Sequence[Said]) -> Sequence[Said]:
    """The results in the order of the calls that they name; as they stand where nothing is named; none where names differ."""
    named = {result.answers: result for result in results}
    names = [call.call_id for call in calls]
    if len(set(names)) < len(names) or len(named) < len(results) or "" in names or "" in named:
        return results
    return [named[name] for name in names] if named.keys() == set(names) else ()


def _observe(answers: Sequence[Said]) -> Observation:
    raw = "\n".join(answer.text for answer in answers)
    plain = bool(answers) and all(answer.plain for answer in answers)
    observation = Observation(raw, None, raw) if plain else parse_observation(raw)
    codes = [answer.exit_code for answer in answers if answer.exit_code is not None]
    return replace(observation, exit_code=codes[-1]) if codes else observation


def _turn(message: Said, observation: Observation, scene: Scene, missing: bool) -> Turn:
    action = _action(message, observation, scene)
    if missing and isinstance(action, Action):
        action = FormatError("observation missing", _raw(message))
    output = observation.output
    wrapped = output != observation.raw
    if wrapped and isinstance(action, Action) and output.startswith(f"{action.command}\n"):
        output = output[len(action.command) + 1 :]  # a terminal that echoes what was typed
    return Turn(
        action=action,
        observation=output,
        exit_code=observation.exit_code,
        raw=_raw(message),
    )


def _raw(message: Said) -> str:
    if message.written or not message.calls:
        return message.written or message.text
    calls = "\n".join(f"{call.name}({json.dumps(call.arguments, default=str)})" for call in message.calls)
    return f"{message.text}\n{calls}" if message.text else calls


def _action(message: Said, observation: Observation, scene: Scene) -> Action | FormatError:
    text = _raw(message)
    if message.problem:
        return FormatError(message.problem, text)
    if len(message.calls) > 1:
        return FormatError("several commands", text)
    if message.calls:
        call, thought = message.calls[0], message.text
    else:
        found = find_call(message.text, scene.swe_agent)
        if isinstance(found, str):
            return FormatError(found, text)
        call, thought = found.call, found.thought
    command = translate(call, replace(scene, observation=observation.raw))
    if isinstance(command, Untranslatable):
        return FormatError(command.reason, text)
    return _shell(command, _thought(message.reasoning, thought), text)


def _shell(command: str, thought: str, text: str) -> Action | FormatError:
    command = command.strip("\r\n")
    return Action(command, thought) if command.strip() else FormatError("empty command", text)


def _thought(reasoning: str, text: str) -> str:
    return "\n\n".join(part.strip() for part in (reasoning, text) if part.strip())
