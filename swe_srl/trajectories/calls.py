"""The command in an assistant's text: a `<function=…>` call, a `<tool_call>`, or a fenced block."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swe_srl.trajectories.fields import clean

SHELL_TOOL = "bash"  # the name under which a plain shell command is passed on

_FUNCTION = re.compile(r"<function\s*=\s*([^>\n]+)>(.*?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"<parameter\s*=\s*([^>\n]+)>(.*?)</parameter>", re.DOTALL)
_TOOL_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_COMMAND = re.compile(r"<command>\n?(.*?)\n?</command>", re.DOTALL)
_FENCE = re.compile(r"^(`{3,})([\w.+-]*)[ \t]*\r?\n(.*?)(?:^|\n)\1[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?[ \t]*(?P<quote>['\"]?)\\?(?P<word>\w+)(?P=quote)")
_SHELL_FENCES = frozenset({"bash", "sh", "shell", "mswea_bash_command"})
_THINK = re.compile(r"\A\s*<think>(.*?)</think>\s*", re.DOTALL)
_LABEL = re.compile(r"\A\s*(?:THOUGHT|DISCUSSION)\s*:?\s*\n?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a tool. `arguments` is what the tool was given; `{"raw": text}` when that is not a mapping.

    `call_id` is the name by which its answer refers to it, "" when it has none.
    """

    name: str
    arguments: Mapping[str, Any]
    call_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """A call in a text, and the text around it."""

    call: Call
    thought: str


def make_call(name: object, arguments: object, call_id: object = "") -> Call | str:
    """A call from a tool call of the chat-completion form, or why it is none. Arguments may be a mapping or its JSON text."""
    if not isinstance(name, str) or not name:
        return "unparsable: the tool has no name"
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            return "unparsable: the tool's arguments are not JSON"
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        return "unparsable: the tool's arguments are not an object"
    values = {str(key): _cleaned(value) for key, value in arguments.items() if value is not None}
    return Call(name, values, call_id if isinstance(call_id, str) else "")


def _cleaned(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def find_call(text: str, swe_agent: bool = False) -> Found | str:
    """The one call in an assistant's text, or why there is none.

    Args:
        text: the message.
        swe_agent: SWE-agent's rule for fences: any language, and the last block counts; or `<command>` tags.

    >>> find_call("Look.\\n<function=bash>\\n<parameter=command>ls</parameter>\\n</function>")
    Found(call=Call(name='bash', arguments={'command': 'ls'}), thought='Look.')
    >>> find_call("Look.\\n```bash\\nls\\n```").call.arguments
    {'command': 'ls'}
    >>> find_call("I am done.")
    'no command'
    """
    think = _THINK.match(text)
    body = text[think.end() :] if think else text
    for finder in (_functions, _tool_calls, _terminus):
        found = finder(body)
        if found is not None:
            return _with_thought(found, think)
    return _with_thought(_fences(body, swe_agent), think)


def _with_thought(found: Found | str, think: re.Match[str] | None) -> Found | str:
    if isinstance(found, str):
        return found
    said = _LABEL.sub("", found.thought, count=1).strip()
    parts = [think.group(1).strip()] if think else []
    return Found(found.call, "\n\n".join(part for part in (*parts, said) if part))


def _functions(text: str) -> Found | str | None:
    blocks = list(_FUNCTION.finditer(text))
    if not blocks:
        return "unparsable: <function=…> is not closed" if "<function=" in text else None
    if len(blocks) > 1:
        return "several commands"
    block = blocks[0]
    arguments = {name.strip(): _one_newline_off(value) for name, value in _PARAMETER.findall(block.group(2))}
    if "<parameter" in _PARAMETER.sub("", block.group(2)):
        return "unparsable: <parameter=…> is not closed"
    return Found(Call(block.group(1).strip(), arguments), text[: block.start()] + text[block.end() :])


def _one_newline_off(value: str) -> str:
    return value.removeprefix("\n").removesuffix("\n")


def _tool_calls(text: str) -> Found | str | None:
    blocks = list(_TOOL_CALL.finditer(text))
    if not blocks:
        return "unparsable: <tool_call> is not closed or not an object" if "<tool_call>" in text else None
    if len(blocks) > 1:
        return "several commands"
    try:
        content = json.loads(blocks[0].group(1))
    except (ValueError, RecursionError):
        return "unparsable: <tool_call> is not JSON"
    call = make_call(content.get("name"), content.get("arguments", {}))
    if isinstance(call, str):
        return call
    return Found(call, text[: blocks[0].start()] + text[blocks[0].end() :])


def _terminus(text: str) -> Found | str | None:
    """Terminus' answer: one JSON object with an analysis, a plan and keystrokes."""
    text = text.strip()
    if not text.startswith("{") or '"commands"' not in text:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return "unparsable: the answer is not JSON"
    thought = "\n\n".join(content[key] for key in ("analysis", "plan") if isinstance(content.get(key), str))
    commands = content.get("commands")
    if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
        return "unparsable: commands is not a list of objects"
    if len(commands) > 1:
        return "several commands"
    if commands:
        call = make_call("bash_command", commands[0])
        return call if isinstance(call, str) else Found(call, thought)
    return Found(Call("mark_task_complete", {}), thought) if content.get("task_complete") is True else "no command"


def _fences(text: str, swe_agent: bool) -> Found | str:
    if text.count("\n") == text.count("\r\n"):
        text = text.replace("\r\n", "\n")  # a message that was written so as a whole
    blocks = list(_FENCE.finditer(text))
    if swe_agent:
        blocks = (blocks or list(_COMMAND.finditer(text)))[-1:]
    else:
        blocks = [block for block in blocks if block.group(2) in _SHELL_FENCES] or [
            block for block in blocks if not block.group(2)
        ]
    if not blocks:
        return "unparsable: the fence is not closed" if text.count("```") % 2 else "no command"
    if len(blocks) > 1:
        return "several commands"
    block = blocks[0]
    command = block.group(block.re.groups)
    if text.startswith("\r\n", block.start(block.re.groups) - 2):  # its fence was written with such line ends
        command = command.replace("\r\n", "\n").removesuffix("\r")
    if not swe_agent and _is_cut(command, text[block.end() :]):
        return "unparsable: a fence inside the command ends it"
    return Found(Call(SHELL_TOOL, {"command": command}), text[: block.start()] + text[block.end() :])


def _is_cut(command: str, rest: str) -> bool:
    """Whether a here-document of the command ends behind the fence: a fence in its text was taken for the command's own end."""
    words = {found["word"] for found in _HEREDOC.finditer(command)}
    inside = {line.strip() for line in command.split("\n")}
    return not (words - inside).isdisjoint(line.strip() for line in rest.split("\n"))
