"""The reward of one completion at one step."""

from __future__ import annotations

from swe_srl.protocols import Similarity
from swe_srl.types import Action, FormatError, Score


def step_reward(
    action: Action | FormatError, target: str, similarity: Similarity, format_penalty: float = -1.0
) -> Score:
    """How close the command is to the target command, or the format penalty. The thought is never read.

    Args:
        action: what `parse_action` made of the completion.
        target: the expert's command.
        similarity: called as `similarity(action.command, target)`; its value is in [0, 1].
        format_penalty: the value of a malformed completion.

    >>> from swe_srl.rewards import get_similarity
    >>> step_reward(Action("ls", "any thought"), "ls", get_similarity("sequence")).value
    1.0
    >>> step_reward(FormatError("no fenced bash command"), "ls", get_similarity("sequence")).value
    -1.0
    """
    if isinstance(action, FormatError):
        return Score(format_penalty, {"format_error": action.reason}, action.reason)
    return similarity(action.command, target)
