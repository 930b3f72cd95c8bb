"""The text form of an action: `<think>…</think>`, then one fenced `bash` command.

Parsing is strict on what matters for training (exactly one command) and says why a completion is malformed.
"""

from __future__ import annotations

import re

from swe_srl.types import Action, FormatError

SUBMIT = "submit"  # the reserved command that ends an episode, in trajectories of every format

_THINK = re.compile(r"\A\s*<think>(.*?)</think>", re.DOTALL)
_FENCE = re.compile(r"^(?P<mark>`{3,})(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=mark)[ \t]*$", re.DOTALL | re.MULTILINE)
_BACKTICKS = re.compile(r"`{3,}")
_SHELL_LANGUAGES = frozenset({"bash", "sh", "shell"})


def format_action(action: Action, thought: bool = True) -> str:
    """The completion that holds `action`. The fence is longer than any run of backticks in the command, and at least three.

    >>> format_action(Action("ls", "Look around."))
    '<think>Look around.</think>\\n```bash\\nls\\n```'
    >>> format_action(Action("ls", "Look around."), thought=False)
    '```bash\\nls\\n```'
    """
    mark = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(action.command))])
    fence = f"{mark}bash\n{action.command}\n{mark}"
    return f"<think>{action.thought}</think>\n{fence}" if thought else fence


def unwritable(action: Action) -> str:
    """Why the completion of `format_action` would not be read as this action; "" when it would.

    >>> unwritable(Action("ls", "It prints </think>."))
    'cannot be written: more than one thought'
    """
    read = parse_action(format_action(action, thought=bool(action.thought)))
    if isinstance(read, FormatError):
        return f"cannot be written: {read.reason}"
    return "" if read.command == action.command.rstrip("\n") else "cannot be written: read back as another command"


def parse_action(text: str) -> Action | FormatError:
    """The action in a completion, or why there is none.

    A thought is optional, but an opened one must be closed; after it there is exactly one fenced bash command. A thought that
    is closed but not opened is one too: chat templates of reasoning models open it in the prompt.

    >>> parse_action("<think>Look around.</think>\\n```bash\\nls\\n```")
    Action(command='ls', thought='Look around.')
    >>> parse_action("Look around.</think>\\n```bash\\nls\\n```")
    Action(command='ls', thought='Look around.')
    >>> parse_action("ls").reason
    'no fenced bash command'
    """
    think = _THINK.match(text)
    thought, rest = (think.group(1), text[think.end() :]) if think else _opened_before(text)
    said = _FENCE.sub("", rest)  # what a command holds is its own business
    if "<think>" in said or (thought is not None and think is None and "<think>" in thought):
        return FormatError(
            "<think> is not closed, or does not come first" if think is None else "more than one thought", text
        )
    if "</think>" in said:
        return FormatError("more than one thought", text)
    commands = [found["body"] for found in _FENCE.finditer(rest) if found["language"].strip() in _SHELL_LANGUAGES]
    if not commands:
        reason = "the fenced command is not closed" if "```" in rest else "no fenced bash command"
        return FormatError(reason, text)
    if len(commands) > 1:
        return FormatError(f"{len(commands)} commands: give exactly one", text)
    if not commands[0].strip():
        return FormatError("the command is empty", text)
    if thought is None:
        thought = rest[: rest.index("```")]
    return Action(command=commands[0].rstrip("\n"), thought=thought.strip())


def _opened_before(text: str) -> tuple[str | None, str]:
    """The thought that the prompt opened (None when there is none) and what follows it."""
    end = text.find("</think>")
    if end < 0 or any(found.start() < end < found.end() for found in _FENCE.finditer(text)):
        return None, text
    return text[:end], text[end + len("</think>") :]
