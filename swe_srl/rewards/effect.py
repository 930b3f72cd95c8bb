"""How alike the effects of two commands are: both run in forks of one state, and what they show and change is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cydifflib import SequenceMatcher

from swe_srl.protocols import Similarity
from swe_srl.rewards.sequence import SequenceSimilarity
from swe_srl.rewards.shell.compare import ShellSimilarity
from swe_srl.types import Score

_TEXT = SequenceSimilarity(max_characters=4_000)
MOST_PAIRS = 1_000_000  # pairs of lines up to which their order counts
_DELETED = "\ndeleted file mode "  # in the head of a diff
_BINARY = "\nBinary files "  # instead of its lines
NOT_EQUAL = 0.95  # the most that another effect is worth
UNASKED, OTHER_CODE, OTHER_STATE = (
    0.4,
    0.7,
    0.8,
)  # factors: changes that the target does not make, exit code, shell's state


@dataclass(frozen=True, slots=True)
class Effect:
    """What a command did.

    Args:
        output: what it showed, apart from what varies from run to run (times, addresses).
        exit_code: None when it was killed.
        changes: by changed file, how: a diff, equal for equal changes only.
        state: what else it left behind: the shell's directory; the repository's head and index.
        moved: whether `state` is another one than before.
    """

    output: str
    exit_code: int | None
    changes: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    moved: bool = False


class Probe(Protocol):
    """A state that commands can be tried in. `swe_srl.envs.SandboxProbe` is the one over a sandbox."""

    def effect(self, command: str) -> Effect:
        """What `command` would do in this state, which stays as it is.

        Raises:
            SandboxError: the sandbox failed; a failing command is an effect, not an error.
        """


@dataclass(frozen=True, slots=True)
class EffectSimilarity:
    """Runs both commands in forks of the probe's state and compares exit code, output and the difference in the file system.

    Equal effects are worth 1. Otherwise a target that changes files counts by the changes, and by its output for a quarter
    if it has any; one that changes none counts by its output. Another exit code, another directory and changes of files that
    the target does not make pull the value down.

    The `fallback` compares the commands themselves where effects cannot tell: without a probe, for the reserved command, for
    a target that was killed, and for one of which nothing is to be seen (no output, no changes). `parts["method"]` says so.

    Args:
        probe: the state before the command; None where there is no sandbox.
        fallback: for those cases.
        reserved: the command that ends an episode, which no shell runs; "" for none.

    >>> EffectSimilarity()("ls -al", "ls -l -a").parts["method"]
    'shell: there is no sandbox'
    """

    probe: Probe | None = None
    fallback: Similarity = field(default_factory=ShellSimilarity)
    reserved: str = ""

    def __call__(self, predicted: str, target: str) -> Score:
        if predicted == target:
            return Score(1.0, {"method": "equal"})
        if self.probe is None:
            return self._without(predicted, target, "there is no sandbox")
        if self.reserved and self.reserved in (predicted.strip(), target.strip()):
            return self._without(predicted, target, f"{self.reserved} is no shell command")
        wanted = self.probe.effect(target)
        if why := untold(wanted):
            return self._without(predicted, target, why)
        return compare_effects(self.probe.effect(predicted), wanted)

    def _without(self, predicted: str, target: str, why: str) -> Score:
        score = self.fallback(predicted, target)
        return Score(score.value, {**score.parts, "method": f"shell: {why}"}, score.reason)


def untold(wanted: Effect) -> str:
    """Why the effect of a target cannot be compared with others; "" when it can.

    >>> untold(Effect("", 0)), untold(Effect("a.py\\n", 0))
    ('the target command shows and changes nothing', '')
    """
    if wanted.exit_code is None:
        return "the target command was killed"
    if not (wanted.output.strip() or wanted.changes or wanted.moved):
        return "the target command shows and changes nothing"
    return ""


def compare_effects(found: Effect, wanted: Effect) -> Score:
    """How much of the wanted effect was found.

    >>> compare_effects(Effect("a.py\\nb.py\\n", 0), Effect("a.py\\nb.py\\n", 0)).value
    1.0
    >>> compare_effects(Effect("", 0, {"a.py": "-x"}), Effect("a.py\\n", 0)).value
    0.0
    """
    if found == wanted:
        return Score(1.0, {"method": "effect", "output": 1.0, "changes": 1.0, "exit_code": "equal", "state": "equal"})
    if found.exit_code is None:
        return Score(0.0, {"method": "effect", "exit_code": "killed"}, "the command was killed")
    output = same_lines(found.output, wanted.output)
    changes = same_changes(found.changes, wanted.changes)
    if wanted.changes:
        value = 0.75 * changes + 0.25 * output if wanted.output.strip() else changes
    elif wanted.output.strip():
        value = output * (UNASKED if found.changes else 1.0)
    else:
        value = (UNASKED if found.changes else 1.0) if found.state == wanted.state else 0.0
    value *= 1.0 if found.exit_code == wanted.exit_code else OTHER_CODE
    value *= 1.0 if found.state == wanted.state else OTHER_STATE
    return Score(
        min(NOT_EQUAL, value),
        {
            "method": "effect",
            "output": output,
            "changes": changes,
            "exit_code": "equal"
            if found.exit_code == wanted.exit_code
            else f"{found.exit_code}, not {wanted.exit_code}",
            "state": "equal" if found.state == wanted.state else "other",
        },
    )


def same_changes(found: Mapping[str, str], wanted: Mapping[str, str]) -> float:
    """Mean over the files that either changed: 1 for the same change, less for another one of the same file, else 0."""
    paths = found.keys() | wanted.keys()
    if not paths:
        return 1.0
    return sum(_same_change(found.get(path), wanted.get(path)) for path in paths) / len(paths)


def _same_change(found: str | None, wanted: str | None) -> float:
    if found == wanted:
        return 1.0
    if found is None or wanted is None or (_DELETED in found) != (_DELETED in wanted):
        return 0.0
    if _BINARY in found and _BINARY in wanted:  # nothing tells how much alike they are
        return 0.1
    return 0.1 + 0.8 * same_lines(_changed_lines(found), _changed_lines(wanted))


def _changed_lines(diff: str) -> str:
    lines = diff.split("\n")
    return "\n".join(line for line in lines if line.startswith(("+", "-")) and not line.startswith(("+++", "---")))


def same_lines(found: str, wanted: str) -> float:
    """The share of equal lines in the same order, and a little for lines that are alike.

    >>> same_lines("a\\nb\\n", "a\\nb\\n"), round(same_lines("a\\nx\\n", "a\\nb\\n"), 2), same_lines("", "a")
    (1.0, 0.51, 0.0)
    """
    if found == wanted:
        return 1.0
    if not found.strip() or not wanted.strip():
        return 0.0
    first, second = found.splitlines(), wanted.splitlines()
    if len(first) * len(second) <= MOST_PAIRS:
        lines = float(SequenceMatcher(None, first, second, autojunk=False).ratio())
    else:
        lines = 2 * sum((Counter(first) & Counter(second)).values()) / (len(first) + len(second))
    return 0.8 * lines + 0.2 * float(_TEXT(found, wanted).value) ** 2
