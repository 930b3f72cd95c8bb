"""Tool calls of other harnesses as shell commands with the same effect, or the reason why there is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from swe_srl.python_source import parse_expression
from swe_srl.trajectories.action_format import SUBMIT
from swe_srl.trajectories.calls import SHELL_TOOL, Call
from swe_srl.trajectories.tools import editor, windowed
from swe_srl.trajectories.tools.scene import Scene, Untranslatable
from swe_srl.trajectories.tools.shell import quote

__all__ = ["Scene", "Untranslatable", "translate"]

SHELLS = frozenset(
    {
        SHELL_TOOL,
        "execute_bash",
        "bash_command",
        "terminal",
        "run",
        "shell",
        "run_command",
        "execute_command",
        "run_in_terminal",
        "cmd",
    }
)
SUBMITS = frozenset({"submit", "finish", "mark_task_complete", "task_complete", "finish_task", "attempt_completion"})
THOUGHTS = frozenset({"think", "task_tracker", "plan", "message"})
JUPYTERS = frozenset({"execute_ipython_cell", "ipython", "run_ipython", "jupyter"})

_COMMAND_KEYS = ("command", "cmd", "keystrokes", "code", "script")
_MINI_SUBMIT = re.compile(
    r"""\A\s*echo\s+['"]?(?:COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT|MINI_SWE_AGENT_FINAL_OUTPUT)['"]?\s*(?:&&|;|\n|\Z)"""
)
_KEYS = re.compile(r"\A(?:C-[a-z]|ctrl\+[a-z])\Z", re.IGNORECASE)
_PYTHON_CALL = re.compile(rf"\A\s*({'|'.join(sorted(windowed.NAMES | editor.NAMES | SUBMITS))})\(.*\)\s*\Z", re.DOTALL)
_LONG_TEXT = re.compile(r'replacement_text="(.*\n.*)"\)\Z', re.DOTALL)
_FIRST_WORD = re.compile(r"\A\s*([\w.-]+)(?=\s|\Z)")


def translate(call: Call, scene: Scene) -> str | Untranslatable:
    """The shell command of one tool call.

    >>> translate(Call("str_replace_editor", {"command": "view", "path": "a.py", "view_range": [1, 9]}), Scene())
    "cat -n a.py | sed -n '1,9p'"
    >>> translate(Call("finish", {}), Scene())
    'submit'
    >>> translate(Call("web_search", {"query": "x"}), Scene()).reason
    'unknown tool: web_search'
    """
    name, arguments = call.name.strip(), call.arguments
    short = name.rpartition(".")[2].rpartition("__")[2] or name
    if name in SHELLS:
        return _shell(arguments, scene)
    if name in SUBMITS:
        return SUBMIT
    if name in THOUGHTS:
        return Untranslatable("no command")
    if name in editor.NAMES or short in editor.NAMES:
        return editor.translate_editor(arguments, scene)
    if name in windowed.NAMES and scene.swe_agent:
        return windowed.translate_windowed(name, arguments, scene)
    if name in JUPYTERS:
        return Untranslatable("no shell equivalent: a Jupyter cell, whose variables last")
    if name == "search" and "search_term" in arguments:
        return _search(arguments)
    return Untranslatable(f"unknown tool: {name[:60]}")


def _shell(arguments: Mapping[str, Any], scene: Scene) -> str | Untranslatable:
    key = next((key for key in _COMMAND_KEYS if key in arguments), "")
    command = arguments.get(key)
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        command = command[-1] if command[:2] == ["bash", "-lc"] else " ".join(map(quote, command))
    if not isinstance(command, str):
        return Untranslatable("unparsable: the shell call lacks its command")
    if str(arguments.get("is_input", "")).lower() == "true" or _KEYS.match(command.strip("\n")):
        return Untranslatable("no shell equivalent: input to a running command")
    if key == "keystrokes" and command.strip() and not command.endswith("\n"):
        return Untranslatable("no shell equivalent: keys without a final newline")
    if not command.strip():
        return Untranslatable("empty command")
    if _MINI_SUBMIT.match(command):
        return SUBMIT
    if written := _PYTHON_CALL.match(command):
        return _python_call(written.group(1), command, scene)
    return _swe_agent(command, scene) if scene.swe_agent else command


def _python_call(name: str, command: str, scene: Scene) -> str | Untranslatable:
    """A tool call written as a Python call in the place of a shell command: the Agent Data Protocol's rendering."""
    command = command.strip()
    if long := _LONG_TEXT.search(command):  # a text whose newlines stand unescaped between single quotation marks
        command = f"{command[: long.start(1) - 1]}{long.group(1)!r})"
    try:
        node = parse_expression(command)
        if not isinstance(node, ast.Call) or node.args:
            return Untranslatable(f"unparsable: {name} with positional arguments")
        arguments = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError, …: of literal_eval
        return Untranslatable(f"unparsable: {name} is not a call with literal arguments")
    if name in windowed.NAMES:
        return windowed.translate_windowed(name, arguments, scene)
    return translate(Call(name, arguments), scene)


def _swe_agent(command: str, scene: Scene) -> str | Untranslatable:
    word = _FIRST_WORD.match(command)
    name = word.group(1) if word else ""
    if name in SUBMITS:
        return SUBMIT if command.strip() == name else Untranslatable("no shell equivalent: submit with an argument")
    if name in windowed.NAMES or name == "str_replace_editor":
        parsed = windowed.parse_command(command)
        if isinstance(parsed, Untranslatable):
            return parsed
        return translate(Call(*parsed), scene)
    if name in scene.tools:
        return Untranslatable(f"unknown tool: {name[:60]}")
    return command


def _search(arguments: Mapping[str, Any]) -> str:
    """R2E-Gym's search: the lines of a file or folder that hold a term."""
    only = " --include='*.py'" if str(arguments.get("python_only", "")).lower() == "true" else ""
    return f"grep -rnF{only} -- {quote(str(arguments['search_term']))} {quote(str(arguments.get('path') or '.'))}"
