"""The text form of an action: `<think>…</think>`, then the command in one of three forms.

    bash    one fenced `bash` command
    plain   the rest of the completion, whatever it is: for models without a format, and for other domains
    tool    one `<tool_call>` with JSON inside, as the chat templates of Qwen and Hermes write it

Parsing is strict on what matters for training (exactly one command) and says why a completion is malformed.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from swe_srl.trajectories.fields import clean
from swe_srl.types import Action, FormatError

FORMS = ("bash", "plain", "tool")
_SHELL = frozenset({"bash", "tool"})  # forms whose commands a shell runs
SUBMIT = "submit"  # the reserved command that ends an episode, in trajectories of every format

_THINK = re.compile(r"\A\s*<think>(.*?)</think>", re.DOTALL)
_FENCE = re.compile(r"^(?P<mark>`{3,})(?P<language>[^\n`]*)$", re.MULTILINE)
_OPENED = re.compile(r"^`{3,}", re.MULTILINE)
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?[ \t]*['\"\\]?(?P<word>\w+)")
_BACKTICKS = re.compile(r"`{3,}")
_CALL, _CALLED = "<tool_call>", "</tool_call>"
_SHELL_LANGUAGES = frozenset({"bash", "sh", "shell"})


class _Block(NamedTuple):
    """A fenced block or a tool call: where it is in the text, what stands after the fence's mark, and what it holds."""

    start: int
    end: int
    language: str
    body: str


def is_shell(form: str) -> bool:
    """Whether the commands of a form are a shell's; those of `plain` are texts of any domain.

    >>> [form for form in FORMS if is_shell(form)]
    ['bash', 'tool']
    """
    return form in _SHELL


def format_action(action: Action, thought: bool = True, form: str = "bash") -> str:
    """The completion that holds `action`. The fence is longer than any run of backticks in the command, and at least three.

    >>> format_action(Action("ls", "Look around."))
    '<think>Look around.</think>\\n```bash\\nls\\n```'
    >>> format_action(Action("ls", "Look around."), thought=False)
    '```bash\\nls\\n```'
    >>> format_action(Action("ls", "Look around."), form="tool")
    '<think>Look around.</think>\\n<tool_call>\\n{"name": "bash", "arguments": {"command": "ls"}}\\n</tool_call>'
    """
    said = _written(action.command, form)
    return f"<think>{action.thought}</think>\n{said}" if thought else said


def _written(command: str, form: str) -> str:
    if form == "plain":
        return command
    if form == "tool":
        call = {"name": "bash", "arguments": {"command": command}}
        return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"
    mark = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(command))])
    return f"{mark}bash\n{command}\n{mark}"


def unwritable(action: Action, form: str = "bash") -> str:
    """Why the completion of `format_action` would not be read as this action; "" when it would.

    >>> unwritable(Action("ls", "It prints </think>."))
    'cannot be written: more than one thought'
    """
    read = parse_action(format_action(action, bool(action.thought), form), form)
    if isinstance(read, FormatError):
        return f"cannot be written: {read.reason}"
    return "" if read.command == as_read(action.command, form) else "cannot be written: read back as another command"


def as_read(command: str, form: str = "bash") -> str:
    """A command as `parse_action` gives it back: without the white space that a completion's form does not keep."""
    return command.strip() if form == "plain" else command.rstrip("\n")


def parse_action(text: str, form: str = "bash") -> Action | FormatError:
    """The action in a completion, or why there is none.

    A thought is optional, but an opened one must be closed; after it there is exactly one command, in its form. A thought that
    is closed but not opened is one too: chat templates of reasoning models open it in the prompt. Text around a fenced
    command or a tool call is the thought when there is no other, or is ignored.

    >>> parse_action("<think>Look around.</think>\\n```bash\\nls\\n```")
    Action(command='ls', thought='Look around.')
    >>> parse_action("Look around.</think>\\n```bash\\nls\\n```")
    Action(command='ls', thought='Look around.')
    >>> parse_action("ls").reason
    'no fenced bash command'
    >>> parse_action("<think>Half of 8.</think> 4", form="plain")
    Action(command='4', thought='Half of 8.')
    """
    think = _THINK.match(text)
    thought, rest = (think.group(1), text[think.end() :]) if think else _opened_before(text, form)
    said = _without(rest, _BLOCKS[form](rest))
    if "<think>" in said or (thought is not None and think is None and "<think>" in thought):
        return FormatError(
            "<think> is not closed, or does not come first" if think is None else "more than one thought", text
        )
    if "</think>" in said:
        return FormatError("more than one thought", text)
    commands = _READERS[form](rest)
    if isinstance(commands, str):
        return FormatError(commands, text)
    if len(commands) > 1:
        return FormatError(f"{len(commands)} commands: give exactly one", text)
    if not commands[0].strip():
        return FormatError("the command is empty", text)
    if thought is None:
        thought = "" if form == "plain" else rest[: rest.index(_OPENINGS[form])]
    return Action(command=commands[0].rstrip("\n"), thought=thought.strip())


def _fenced(rest: str) -> list[str] | str:
    """The commands of a completion's rest after the thought, or why it is malformed."""
    blocks = _fences(rest)
    commands = [_body(found) for found in blocks if found.language.strip() in _SHELL_LANGUAGES]
    left_open = _OPENED.search(_without(rest, blocks)) is not None
    if commands and left_open:
        return "a fence is left open: one inside the command ends it, so give the command a longer fence"
    for found, following in itertools.pairwise(blocks):
        if not following.language.strip() and found.language.strip() in _SHELL_LANGUAGES and _is_cut(_body(found)):
            return "a fence inside the command ends it in a here-document or a quote: give the command a longer fence"
    if blocks and not commands and not left_open:
        return "no fenced bash command: the block is not opened by ```bash"
    return commands or ("the fenced command is not closed" if "```" in rest else "no fenced bash command")


def _fences(text: str) -> list[_Block]:
    """The fenced blocks, each closed by the next line that is its mark. Takes no longer for many that are never closed."""
    found: list[_Block] = []
    unclosed: set[str] = set()  # marks that no line behind closes
    start = 0
    while opening := _FENCE.search(text, start):
        start, mark = opening.end(), opening["mark"]
        if mark in unclosed:
            continue
        closing = re.compile(rf"\n{mark}[ \t]*\r?$", re.MULTILINE).search(text, start)
        if closing is None:
            unclosed.add(mark)
            continue
        body = text[opening.end() + 1 : closing.start() + 1]
        found.append(_Block(opening.start(), closing.end(), opening["language"], body))
        start = closing.end()
    return found


def _calls(text: str) -> list[_Block]:
    """The tool calls, each closed by the next tag that closes one."""
    found: list[_Block] = []
    start = 0
    while (opening := text.find(_CALL, start)) >= 0 and (closing := text.find(_CALLED, opening)) >= 0:
        start = closing + len(_CALLED)
        found.append(_Block(opening, start, "", text[opening + len(_CALL) : closing]))
    return found


def _without(text: str, blocks: Sequence[_Block]) -> str:
    ends = [0, *(block.end for block in blocks)]
    starts = [*(block.start for block in blocks), len(text)]
    return "".join(text[end:start] for end, start in zip(ends, starts, strict=True))


def _body(block: _Block) -> str:
    """What a fence holds. One whose opening line ends in a carriage return and a line feed was written with such line ends."""
    return block.body.replace("\r\n", "\n") if block.language.endswith("\r") else block.body


def _is_cut(command: str) -> bool:
    """Whether a here-document, or else a quote, is not closed."""
    lines = [line.strip() for line in command.split("\n")]
    words = [found["word"] for found in _HERE_DOCUMENT.finditer(command)]
    if words:
        return any(word not in lines for word in words)
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def _called(rest: str) -> list[str] | str:
    calls = _calls(rest)
    if _CALL in _without(rest, calls):
        return "the tool call is not closed"
    if not calls:
        return "no tool call"
    commands = []
    for call in calls:
        try:
            read = json.loads(call.body, object_pairs_hook=_unambiguous)
            name, command = read["name"], read["arguments"]["command"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return 'a tool call is not {"name": "bash", "arguments": {"command": …}}'
        if name != "bash" or not isinstance(command, str):
            return f"a call of {name!r} with a command of type {type(command).__name__}: the tool is bash, with a text"
        commands.append(clean(command))  # JSON can say half a character, which no tokenizer takes
    return commands


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name occurs twice")
    return dict(pairs)


_READERS: dict[str, Callable[[str], list[str] | str]] = {
    "bash": _fenced,
    "plain": lambda rest: [rest.strip()],
    "tool": _called,
}
_BLOCKS: dict[str, Callable[[str], list[_Block]]] = {"bash": _fences, "plain": lambda text: [], "tool": _calls}
_OPENINGS = {"bash": "```", "tool": _CALL}


def _opened_before(text: str, form: str) -> tuple[str | None, str]:
    """The thought that the prompt opened (None when there is none) and what follows it."""
    end = text.find("</think>")
    if end < 0 or any(found.start < end < found.end for found in _BLOCKS[form](text)):
        return None, text
    return text[:end], text[end + len("</think>") :]
