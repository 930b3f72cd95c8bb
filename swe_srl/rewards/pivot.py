"""Category, then target, then argument: a similarity after the description of NeMo Gym's `swe_pivot`, for comparison."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from swe_srl.rewards.sequence import SequenceSimilarity
from swe_srl.rewards.shell.normal import Normal, normalise
from swe_srl.types import Score

_TEXT = SequenceSimilarity(max_characters=2_000)


@dataclass(frozen=True, slots=True)
class PivotSimilarity:
    """0 for another category of tool; else the mean of target and argument similarity, stretched between two bounds.

    The category is what the main command of the last pipeline is for; the target is the base names of the paths it names; the
    argument is the command's text, and for edits the worse of the text taken out and the text put in. A longer command than
    the target's loses up to 10%.

    Args:
        low: similarity that is worth nothing.
        high: similarity that is worth 1.
        binary: only `high` and above counts, as 1.
        directory: where the shell is known to start.
    """

    low: float = 0.4
    high: float = 0.8
    binary: bool = False
    directory: str = "/testbed"

    def __call__(self, predicted: str, target: str) -> Score:
        first, second = _main(predicted, self.directory), _main(target, self.directory)
        if first is None or second is None:
            raw = _TEXT(predicted, target).value
            parts: dict[str, float | str] = {"method": "text: a command was not parsed"}
        elif _category(first) != _category(second):
            return Score(0.0, {"method": "pivot", "category": f"{_category(first)}, not {_category(second)}"})
        else:
            names = _names(first, second)
            arguments = _arguments(first, second, predicted, target)
            raw = (names + arguments) / 2
            parts = {"method": "pivot", "category": _category(second), "names": names, "arguments": arguments}
        excess = max(0, len(predicted) - len(target)) / max(1, len(predicted))
        raw *= 1 - 0.1 * excess
        value = float(raw >= self.high) if self.binary else (raw - self.low) / (self.high - self.low)
        return Score(min(1.0, max(0.0, value)), {**parts, "raw": raw})


def _main(command: str, directory: str) -> Normal | None:
    units = normalise(command, directory)
    return units[-1].stages[0] if units else None


def _category(stage: Normal) -> str:
    return stage.program if stage.kind == "other" else stage.kind


def _names(first: Normal, second: Normal) -> float:
    ours, theirs = _base_names(first), _base_names(second)
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 1.0


def _base_names(stage: Normal) -> set[str]:
    paths = stage.edit.files if stage.edit is not None else stage.operands
    return {posixpath.basename(path.partition("::")[0]) for path in paths}


def _arguments(first: Normal, second: Normal, predicted: str, target: str) -> float:
    if first.edit is not None and second.edit is not None:
        pairs = ((first.edit.old, second.edit.old), (first.edit.new, second.edit.new))
        return min(_TEXT(one, other).value for one, other in pairs)
    return _TEXT(predicted, target).value
