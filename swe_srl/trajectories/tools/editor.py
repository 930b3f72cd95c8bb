"""The `str_replace_editor` family: view, create, str_replace, insert."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from swe_srl.trajectories.tools.scene import Scene, Untranslatable
from swe_srl.trajectories.tools.shell import edit_file, literal, quote, replace_once, write_file

NAMES = frozenset({"str_replace_editor", "str_replace_based_edit_tool", "file_editor", "edit_anthropic"})

_DIRECTORY = re.compile(r"files and directories up to 2 levels deep", re.IGNORECASE)
_REFUSED = re.compile(
    r"\A(?:OBSERVATION:\s*|EXECUTION RESULT of \[[\w.-]+\]:\s*)?"
    r"(?:ERROR|Error|Invalid `|No replacement was performed|File already exists|Parameter `|Ran into |The path )"
)


def translate_editor(arguments: Mapping[str, Any], scene: Scene) -> str | Untranslatable:
    """The shell command with the same effect on the files, and for a view the same lines shown."""
    command, path = arguments.get("command"), arguments.get("path")
    if not isinstance(command, str) or not isinstance(path, str) or not path:
        return Untranslatable("unparsable: the editor call lacks its command or path")
    if command == "view":
        return _view(path, arguments.get("view_range"), scene)
    if command == "str_replace":
        return _str_replace(path, arguments)
    if command not in ("create", "insert"):
        return Untranslatable(f"no shell equivalent: editor command {command[:40]}")
    if _REFUSED.match(scene.observation):
        return Untranslatable("the tool refused the edit")
    if command == "create":
        text = arguments.get("file_text", "")
        return write_file(path, text) if isinstance(text, str) else Untranslatable("unparsable: file_text is no text")
    return _insert(path, arguments)


def _view(path: str, view_range: object, scene: Scene) -> str | Untranslatable:
    lines = _integers(view_range)
    if lines is None:
        return Untranslatable("unparsable: view_range is not two integers")
    if lines:
        start, stop = lines
        return f"cat -n {quote(path)} | sed -n '{max(start, 1)},{'$' if stop == -1 else stop}p'"
    if _DIRECTORY.search(scene.observation[:400]):
        return f"find {quote(path)} -maxdepth 2 -not -path '*/.*'"
    return f"cat -n {quote(path)}"


def _integers(value: object) -> tuple[int, int] | tuple[()] | None:
    """Two integers; () when there is no range; None when it is malformed."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if value is None or value == []:
        return ()
    if not isinstance(value, list) or len(value) != 2:
        return None
    first, second = value
    if isinstance(first, bool) or not isinstance(first, int) or not isinstance(second, int):
        return None
    return first, second


def _str_replace(path: str, arguments: Mapping[str, Any]) -> str | Untranslatable:
    old, new = arguments.get("old_str"), arguments.get("new_str", "")
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        return Untranslatable("unparsable: str_replace lacks old_str")
    return replace_once(path, old, new)


def _insert(path: str, arguments: Mapping[str, Any]) -> str | Untranslatable:
    line, new = arguments.get("insert_line"), arguments.get("new_str")
    if isinstance(line, str) and line.strip().lstrip("-").isdigit():
        line = int(line)
    if isinstance(line, bool) or not isinstance(line, int) or line < 0 or not isinstance(new, str):
        return Untranslatable("unparsable: insert lacks insert_line or new_str")
    return edit_file(
        path,
        f"lines = text.split('\\n')\nlines[{line}:{line}] = {literal(new)}.split('\\n')\ntext = '\\n'.join(lines)",
    )
