"""What must never score, whatever the similarity: commands that do nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swe_srl.protocols import Similarity
from swe_srl.types import Score

_IDLE = re.compile(r"(?:[\s;&|(){}]|(?<![\w$./-])(?:true|:)(?![\w./=-])|(?<![^\s;&|()])#[^\n]*+)*+")


def no_operation(command: str) -> bool:
    """Whether a command does nothing: empty, white space, comments, `true`, `:`, and these joined.

    >>> no_operation("# cat setup.py"), no_operation("true;:"), no_operation("cat setup.py # show")
    (True, True, False)
    """
    return _IDLE.fullmatch(command) is not None


@dataclass(frozen=True, slots=True)
class Guarded:
    """A similarity in which a predicted command that does nothing scores 0, even against a target like itself."""

    similarity: Similarity

    def __call__(self, predicted: str, target: str) -> Score:
        if no_operation(predicted):
            return Score(0.0, {"guard": "no operation"}, "the command does nothing")
        return self.similarity(predicted, target)
