"""SWE-agent's own commands: the windowed file viewer, its editors, and its searches."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from swe_srl.trajectories.tools.scene import Scene, Untranslatable
from swe_srl.trajectories.tools.shell import edit_file, literal, quote, replace_all, replace_lines, replace_once

VIEWS = frozenset({"open", "goto", "scroll_up", "scroll_down"})
SEARCHES = frozenset({"find_file", "search_dir", "search_file"})
NAMES = VIEWS | SEARCHES | {"create", "edit", "insert", "set_cursors", "undo_edit"}

_HEADER = re.compile(r"\[File: (.+?) \((\d+) lines total\)\]")
_NUMBERED = re.compile(r"^(\d+):", re.MULTILINE)
_REFUSED = re.compile(
    r"Your changes have NOT been applied|Your edit was not applied|No changes were made|has introduced new syntax error"
    r"|No file open|Usage: edit|already exists|command not found"
)
_LINE_EDIT = re.compile(r"\Aedit[ \t]+(\d+)[ \t]*:[ \t]*(\d+)[ \t]*\n(.*)\Z", re.DOTALL)
_CURSOR_EDIT = re.compile(r"\Aedit[ \t]*\n")
_END_OF_EDIT = re.compile(r"(?:\A|\n)end_of_edit\s*\Z")


def parse_command(text: str) -> tuple[str, Mapping[str, Any]] | Untranslatable:
    """A command line of one of SWE-agent's tools as a name and its arguments.

    >>> parse_command('open "a b.py" 12')
    ('open', {'path': 'a b.py', 'line_number': '12'})
    """
    text = text.strip()
    if found := _LINE_EDIT.match(text):
        return "edit", {
            "start_line": int(found.group(1)),
            "end_line": int(found.group(2)),
            "replacement_text": _END_OF_EDIT.sub("", found.group(3)),
        }
    if _CURSOR_EDIT.match(text):
        return Untranslatable("no shell equivalent: edit at the cursors")
    try:
        name, *words = shlex.split(text)
    except ValueError:
        return Untranslatable("unparsable: the tool's quoting is not closed")
    if name == "str_replace_editor":
        return _editor_options(words)
    keys = {
        "open": ("path", "line_number"),
        "goto": ("line_number",),
        "create": ("filename",),
        "edit": ("search", "replace", "replace-all"),
        "insert": ("text", "line"),
        "find_file": ("file_name", "dir"),
        "search_dir": ("search_term", "dir"),
        "search_file": ("search_term", "file"),
    }.get(name, ())
    if len(words) > len(keys):
        return Untranslatable(f"unparsable: {name} has too many arguments")
    return name, dict(zip(keys, words, strict=False))


def _editor_options(words: list[str]) -> tuple[str, Mapping[str, Any]] | Untranslatable:
    if len(words) < 2:
        return Untranslatable("unparsable: the editor call lacks its command or path")
    arguments: dict[str, Any] = {"command": words[0], "path": words[1]}
    index = 2
    while index < len(words):
        option = words[index].removeprefix("--")
        if option == "view_range":
            numbers = words[index + 1 : index + 3]
            if not all(number.lstrip("-").isdigit() for number in numbers):
                return Untranslatable("unparsable: view_range is not two integers")
            arguments[option] = [int(number) for number in numbers]
            index += 3
        elif words[index].startswith("--") and index + 1 < len(words):
            arguments[option] = words[index + 1]
            index += 2
        else:
            return Untranslatable("unparsable: the editor call has a stray argument")
    return "str_replace_editor", arguments


def translate_windowed(name: str, arguments: Mapping[str, Any], scene: Scene) -> str | Untranslatable:
    """The shell command with the same effect on the files, and for a view the same lines shown."""
    if name in VIEWS:
        return _view(name, arguments, scene)
    if name in SEARCHES:
        return _search(name, {key: str(value) for key, value in arguments.items()}, scene)
    if name not in ("create", "edit", "insert"):
        return Untranslatable(f"no shell equivalent: {name}")
    if _REFUSED.search(scene.observation):
        return Untranslatable("the tool refused the edit")
    if name == "create":
        return _create(str(arguments.get("filename", "")), scene)
    if not scene.open_file:
        return Untranslatable("no shell equivalent: the file in the viewer is not known")
    return _edit(arguments, scene.open_file) if name == "edit" else _insert(arguments, scene.open_file)


def _view(name: str, arguments: Mapping[str, Any], scene: Scene) -> str | Untranslatable:
    header = _HEADER.search(scene.observation)
    if header is None:
        if name == "open" and arguments.get("path"):
            return f"cat -n {quote(str(arguments['path']))}"
        return Untranslatable("no shell equivalent: the viewer's window is not in the observation")
    numbers = [int(number) for number in _NUMBERED.findall(scene.observation[header.end() :])]
    path = quote(header.group(1))
    if not numbers or numbers[-1] - numbers[0] + 1 >= int(header.group(2)):
        return f"cat -n {path}"
    return f"cat -n {path} | sed -n '{numbers[0]},{numbers[-1]}p'"


def _search(name: str, arguments: Mapping[str, str], scene: Scene) -> str | Untranslatable:
    term = arguments.get("file_name" if name == "find_file" else "search_term", "")
    if not term:
        return Untranslatable(f"unparsable: {name} lacks what to search for")
    folder = quote(arguments.get("dir") or ".")
    if name == "find_file":
        return f"find {folder} -type f -name {quote(term)}"
    if name == "search_dir":
        return f"find {folder} -type f ! -path '*/.*' -exec grep -nIH -- {quote(term)} {{}} + | cut -d: -f1 | uniq -c"
    file = arguments.get("file") or scene.open_file
    if not file:
        return Untranslatable("no shell equivalent: the file in the viewer is not known")
    return f"grep -nH -- {quote(term)} {quote(file)}"


def _create(path: str, scene: Scene) -> str | Untranslatable:
    if not path:
        return Untranslatable("unparsable: create lacks the file's name")
    header = _HEADER.search(scene.observation)
    if header is None:
        return Untranslatable("the tool refused the edit")
    return f"echo > {quote(path)}" if header.group(2) == "1" else f"touch {quote(path)}"


def _edit(arguments: Mapping[str, Any], path: str) -> str | Untranslatable:
    if "search" in arguments and "replace" in arguments:
        search, replacement = arguments["search"], arguments["replace"]
        if not isinstance(search, str) or not isinstance(replacement, str) or not search:
            return Untranslatable("unparsable: edit lacks what to replace")
        every = str(arguments.get("replace-all", arguments.get("replace_all", ""))).lower() not in ("", "false", "0")
        return replace_all(path, search, replacement) if every else replace_once(path, search, replacement)
    start, stop = arguments.get("start_line"), arguments.get("end_line")
    if isinstance(lines := arguments.get("line_range"), str) and lines.count(":") == 1:
        start, stop = lines.split(":")
    text = arguments.get("replacement_text", "")
    if not str(start).isdigit() or not str(stop).isdigit() or not isinstance(text, str):
        return Untranslatable("unparsable: edit lacks its lines")
    return replace_lines(path, int(str(start)), int(str(stop)), text.removesuffix("\n"))


def _insert(arguments: Mapping[str, Any], path: str) -> str | Untranslatable:
    text, line = arguments.get("text"), arguments.get("line")
    if not isinstance(text, str) or not text or not (line is None or str(line).lstrip("-").isdigit()):
        return Untranslatable("unparsable: insert lacks its text or line")
    new = literal(text.removesuffix("\n"))
    if line is None:
        return edit_file(path, f"text = text.removesuffix('\\n') + '\\n' * bool(text) + {new}")
    if int(str(line)) < 0:
        return edit_file(path, f"text = {new} + '\\n' * bool(text) + text.removeprefix('\\n')")
    return edit_file(path, f"lines = text.split('\\n')\nlines.insert({line}, {new})\ntext = '\\n'.join(lines)")
