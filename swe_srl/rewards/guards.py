"""What must never score, whatever the similarity: commands that do nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_srl.protocols import Similarity
from swe_srl.rewards.shell.normal import Normal, Unit, normalise
from swe_srl.rewards.shell.parse import LONGEST
from swe_srl.rewards.shell.programs import IDLE, READS_STANDARD_INPUT, TRIMMERS, WRAPPERS
from swe_srl.types import Score

_TALKERS = IDLE | {
    "type",
    "which",
    "command",
    "help",
    "man",
    "alias",
    "unalias",
    "hash",
    "shopt",
    "wait",
    "exit",
    "return",
}
_TALKERS |= {"test", "test_command", "function_definition", "local", "declare", "typeset", "readonly"}
_TALKERS |= {""}  # bare assignments
_FILTERS = TRIMMERS | READS_STANDARD_INPUT
_NAMES_OF_TWO_WORDS = ("git ", "pip ", "python ")
_NOWHERE = frozenset({"dev/null", "dev/stdout", "dev/stderr", "dev/tty"})  # as seen from "/"
_DESCRIPTOR = re.compile(r"\d*-?")
# A plain program's name, after changes of directory, that is no talker's and hides none: the command does more than talk.
_MAYBE = "|".join(sorted(filter(str.isidentifier, _TALKERS | WRAPPERS | {"timeout", "bash", "sh", "cd", "function"})))
_DOES = re.compile(
    rf"(?:\s|cd[ \t]+[\w./~-]+[ \t]*(?:&&|;|\n))*(?!(?:{_MAYBE})(?![\w.+-]))[A-Za-z][\w.+-]*(?=[\s;&|<>]|\Z)"
)
# Quoted text and here-documents are taken whole, so that what looks like a comment in them is none.
_COMMENT = re.compile(
    r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.\#*|(?<!<)<<-?[ \t]*(['"]?)(\w+)\1[^\n]*\n(?:[^\n]*\n)*?\t*\2(?![^\n])"""
    r"""|(?<![^\s;&|()])(?P<comment>\#[^\n]*)""",
    re.DOTALL,
)
# A comment runs to the end of its line and no two pieces begin alike, so matching is linear without possessive quantifiers
# (Python 3.11.2 gets those wrong).
_IDLE = re.compile(r"(?:[\s;&|(){}]|(?<![\w$./-])(?:true|:)(?![\w./=-])|(?<![^\s;&|()])#[^\n]*(?![^\n]))*")


def no_operation(command: str) -> bool:
    """Whether a command does nothing: empty, white space, comments, `true`, `:`, and these joined.

    >>> no_operation("# cat setup.py"), no_operation("true;:"), no_operation("cat setup.py # show")
    (True, True, False)
    """
    return _IDLE.fullmatch(command) is not None


def only_talks(command: str) -> bool:
    """Whether a command only prints fixed text, waits, tests or sets variables: `echo`, `sleep`, `[`, `x=1`, to no file.

    >>> only_talks("echo 'cat setup.py'; sleep 1"), only_talks("echo x > a.txt"), only_talks("cat setup.py")
    (True, False, False)
    """
    if _DOES.match(command) is not None:
        return False
    units = normalise(command, "/")
    return units is not None and all(map(_talks, units))


def _talks(unit: Unit) -> bool:
    return all(
        all(_goes_nowhere(*redirect) for redirect in stage.redirects)
        and (_is_talker(stage) or (index > 0 and stage.program in _FILTERS and not stage.operands))
        for index, stage in enumerate(unit.stages)
    )


def _is_talker(stage: Normal) -> bool:
    name = stage.program
    if name == "cd":
        return stage.operands == (".",)
    return name in _TALKERS or (
        " " in name and not name.startswith(_NAMES_OF_TWO_WORDS)
    )  # no program is called 'ls src'


def _goes_nowhere(operator: str, target: str) -> bool:
    return target in _NOWHERE or (operator.endswith("&") and _DESCRIPTOR.fullmatch(target) is not None)


def without_comments(command: str) -> str:
    """The command without its comments, and the blanks and lines that they alone filled; longer ones than are parsed as is.

    >>> without_comments("# Look.\\nls 'a # b' # cat setup.py")
    "ls 'a # b'"
    """
    if "#" not in command or len(command) > LONGEST:
        return command
    kept = ""
    end = 0
    for found in _COMMENT.finditer(command):
        if found["comment"] is not None:
            kept += command[end : found.start()].rstrip(" \t")
            end = found.end()
            if (not kept or kept.endswith("\n")) and command[end : end + 1] == "\n":
                end += 1
    return kept + command[end:]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A similarity in which some predicted commands score 0.

    A command that does nothing scores 0 even against a target like itself; one that only prints text or waits scores 0
    against a target that does more, whatever the text is. Comments are not compared.
    """

    similarity: Similarity

    def __call__(self, predicted: str, target: str) -> Score:
        if no_operation(predicted):
            return Score(0.0, {"guard": "no operation"}, "the command does nothing")
        if only_talks(predicted) and not only_talks(target):
            return Score(0.0, {"guard": "only talks"}, "the command only prints text")
        return self.similarity(without_comments(predicted), without_comments(target))
