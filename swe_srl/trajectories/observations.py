"""What the terminal showed, out of what a harness wrapped around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RETURN_CODE = re.compile(r"\A\s*<returncode>(-?\d+|None)</returncode>\s*")
_OUTPUT = re.compile(r"\A<output>\n?(.*?)</output>\s*\Z", re.DOTALL)
_ELIDED = re.compile(
    r"\A(?:<warning>.*?</warning>\s*)?<output_head>\n?(.*?)</output_head>\s*"
    r"<elided_chars>\s*(.*?)\s*</elided_chars>\s*<output_tail>\n?(.*?)</output_tail>\s*\Z",
    re.DOTALL,
)
_HEADER = re.compile(r"\A(?:OBSERVATION:\n|EXECUTION RESULT of \[[\w.-]+\]:\n)")
_TOOL_RESPONSE = re.compile(r"\A\s*<tool_response>\n?(.*?)\n?</tool_response>\s*\Z", re.DOTALL)
_R2E_HEADER = re.compile(r"\A(?:Exit code: (-?\d+)\n)?Execution output of \[[\w.-]+\]:\n")
_WINDOW_TRAILER = re.compile(
    r"\n?\(Open file: (.*)\)\n\(Current directory: (.*)\)\n(?:\(Interactive session: .*\)\n)?(?:bash-\$)?\s*\Z"
)
_DIRECTORY_TRAILER = re.compile(r"\n?\(Current directory: (.*)\)\n(?:\(Interactive session: .*\)\n)?(?:bash-\$)?\s*\Z")
_EXIT_CODE = re.compile(
    r"\n?\[(?:The command completed with exit code (-?\d+)\.|Command finished with exit code (-?\d+))[^\]\n]*\]\s*\Z"
)
_BRACKET_LINES = re.compile(
    r"\n\[(?:Current working directory|Python [Ii]nterpreter|Jupyter current working directory|"
    r"Jupyter Python interpreter): [^\]]*\]"
)
_PROMPT = re.compile(r"\n?\[Python Interpreter: [^\]\n]*\]\s*\n\S+@\S+:\S* [#$] ?\s*\Z")
_TAIL = 2000  # characters
_SILENT = ("Your command ran successfully and did not produce any output.", "Your command ran successfully")


@dataclass(frozen=True, slots=True)
class Observation:
    """What a command brought.

    Args:
        output: the terminal's text without the harness's wrapping.
        exit_code: None when the harness did not tell it.
        raw: the text as recorded.
        open_file: file in SWE-agent's viewer afterwards, "" when none or not told.
        directory: working directory afterwards, "" when not told.
    """

    output: str
    exit_code: int | None
    raw: str
    open_file: str = ""
    directory: str = ""


def parse_observation(raw: str) -> Observation:
    """Take the harness's wrapping off: mini-swe-agent's tags, SWE-agent's prompt lines, OpenHands' bracket lines.

    >>> parse_observation("<returncode>1</returncode>\\n<output>\\nno\\n</output>").output
    'no\\n'
    >>> parse_observation("OBSERVATION:\\nx\\n[The command completed with exit code 2.]").exit_code
    2
    """
    response = _TOOL_RESPONSE.match(raw)
    text = _HEADER.sub("", response.group(1) if response else raw, count=1)
    tagged = _RETURN_CODE.match(text)
    if tagged:
        code = tagged.group(1)
        return Observation(_untag(text[tagged.end() :]), None if code == "None" else int(code), raw)
    if headed := _R2E_HEADER.match(text):
        return Observation(text[headed.end() :], int(headed.group(1)) if headed.group(1) else None, raw)
    open_file = directory = ""
    if trailer := _WINDOW_TRAILER.search(text, _tail(text)):
        open_file, directory = trailer.group(1), trailer.group(2)
        text = text[: trailer.start()]
    elif trailer := _DIRECTORY_TRAILER.search(text, _tail(text)):
        directory = trailer.group(1)
        text = text[: trailer.start()]
    text, exit_code = _take_exit_code(text.replace("\r\n", "\n"))
    if prompt := _PROMPT.search(text, _tail(text)):
        text = text[: prompt.start()]
    if text.strip().startswith(_SILENT) and len(text) < 80:
        text = ""
    return Observation(text, exit_code, raw, "" if open_file == "n/a" else open_file, directory)


def _tail(text: str) -> int:
    """Where to begin to look for what a harness adds at the end."""
    return max(0, len(text) - _TAIL)


def _untag(text: str) -> str:
    if plain := _OUTPUT.match(text):
        return plain.group(1)
    if elided := _ELIDED.match(text):
        return f"{elided.group(1)}\n[{elided.group(2)}]\n{elided.group(3)}"
    return text


def _take_exit_code(text: str) -> tuple[str, int | None]:
    """The text without OpenHands' lines at its end, and the last exit code that they tell."""
    start = _tail(text)
    head, tail = text[:start], _BRACKET_LINES.sub("", text[start:])
    code = None
    while found := _EXIT_CODE.search(tail):
        code = int(found.group(1) or found.group(2)) if code is None else code
        tail = tail[: found.start()]
    return (text, None) if code is None else (head + tail, code)
