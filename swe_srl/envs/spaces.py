"""The text space of actions and observations."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from gymnasium.spaces import Text

MAX_CHARACTERS = 1 << 21
MAX_OUTPUT_BYTES = MAX_CHARACTERS - (1 << 16)  # of a command: what is told of it beside has room, too
SAMPLE_CHARACTERS = 40
_CHARACTERS = frozenset(string.ascii_letters + string.digits + " ")


class TerminalText(Text):
    """All texts a terminal can show or be given: any Unicode without lone surrogates, up to `MAX_CHARACTERS`.

    `sample` draws short words from letters, digits and blanks (an alphabet of all code points would take seconds to build).
    gymnasium's shared memory knows only that alphabet: an `AsyncVectorEnv` needs `shared_memory=False`, as `make_vec` sets.

    >>> "naïve \\x1b[31m\\n" in TerminalText()
    True
    >>> "\\ud800" in TerminalText()
    False
    """

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(MAX_CHARACTERS, min_length=0, charset=_CHARACTERS, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short text; `mask` and `probability` are as in `gymnasium.spaces.Text`."""
        if mask is None and probability is None:
            mask = (int(self.np_random.integers(0, SAMPLE_CHARACTERS + 1)), None)
        return super().sample(mask, probability)

    def contains(self, x: Any) -> bool:
        """Whether `x` is a text of this space."""
        if not isinstance(x, str) or len(x) > self.max_length:
            return False
        try:
            x.encode()
        except UnicodeEncodeError:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TerminalText)

    def __hash__(self) -> int:
        return hash(TerminalText)

    def __repr__(self) -> str:
        return "TerminalText()"


def clean_text(text: str) -> str:
    """`text` as a member of the space: lone surrogates become U+FFFD, and what is too long loses its end.

    >>> clean_text("a\\ud800b")
    'a�b'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:MAX_CHARACTERS]
