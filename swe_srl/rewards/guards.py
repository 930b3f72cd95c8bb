"""What must never score, whatever the similarity: commands that do nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_srl.protocols import Similarity
from swe_srl.rewards.shell.normal import normalise
from swe_srl.rewards.shell.programs import IDLE
from swe_srl.types import Score

_TALK = re.compile(r"[\s({]*(?:echo|printf|sleep|true|false|:|pwd|date|clear|export|set|unset)\b|[\s({]*:\s")
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
    """Whether a command only prints fixed text or waits: `echo`, `printf`, `sleep`, `true` and the like, to no file.

    >>> only_talks("echo 'cat setup.py'; sleep 1"), only_talks("echo x > a.txt"), only_talks("cat setup.py")
    (True, False, False)
    """
    if _TALK.match(command) is None:
        return False
    units = normalise(command, "/")
    return units is not None and all(
        stage.program in IDLE and not stage.redirects for unit in units for stage in unit.stages
    )


@dataclass(frozen=True, slots=True)
class Guarded:
    """A similarity in which some predicted commands score 0.

    A command that does nothing scores 0 even against a target like itself; one that only prints text or waits scores 0
    against a target that does more, whatever the text is.
    """

    similarity: Similarity

    def __call__(self, predicted: str, target: str) -> Score:
        if no_operation(predicted):
            return Score(0.0, {"guard": "no operation"}, "the command does nothing")
        if only_talks(predicted) and not only_talks(target):
            return Score(0.0, {"guard": "only talks"}, "the command only prints text")
        return self.similarity(predicted, target)
