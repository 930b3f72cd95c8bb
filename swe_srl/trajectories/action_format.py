"""The text form of an action: `<think>…</think>`, then one fenced `bash` command.

Parsing is strict on what matters for training (exactly one command) and says why a completion is malformed.
"""

from __future__ import annotations

import re

from swe_srl.types import Action, FormatError

SUBMIT = "submit"  # the reserved command that ends an episode, in trajectories of every format

_THINK = re.compile(r"\A\s*<think>(.*?)</think>", re.DOTALL)
_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_SHELL_LANGUAGES = frozenset({"bash", "sh", "shell"})


def format_action(action: Action, thought: bool = True) -> str:
    """The completion that holds `action`.

    >>> format_action(Action("ls", "Look around."))
    '<think>Look around.</think>\\n```bash\\nls\\n```'
    >>> format_action(Action("ls", "Look around."), thought=False)
    '```bash\\nls\\n```'
    """
    fence = f"```bash\n{action.command}\n```"
    return f"<think>{action.thought}</think>\n{fence}" if thought else fence


def parse_action(text: str) -> Action | FormatError:
    """The action in a completion, or why there is none.

    A thought is optional, but an opened one must be closed; after it there is exactly one fenced bash command.

    >>> parse_action("<think>Look around.</think>\\n```bash\\nls\\n```")
    Action(command='ls', thought='Look around.')
    >>> parse_action("ls").reason
    'no fenced bash command'
    """
    think = _THINK.match(text)
    rest = text[think.end() :] if think else text
    if think is None and "<think>" in text:
        return FormatError("<think> is not closed, or does not come first", text)
    if "<think>" in rest or "</think>" in rest:
        return FormatError("more than one thought", text)
    commands = [body for language, body in _FENCE.findall(rest) if language.strip() in _SHELL_LANGUAGES]
    if not commands:
        reason = "the fenced command is not closed" if "```" in rest else "no fenced bash command"
        return FormatError(reason, text)
    if len(commands) > 1:
        return FormatError(f"{len(commands)} commands: give exactly one", text)
    if not commands[0].strip():
        return FormatError("the command is empty", text)
    thought = (think.group(1) if think else rest[: rest.index("```")]).strip()
    return Action(command=commands[0].rstrip("\n"), thought=thought)
