"""How alike two normalised commands are, with the parts that made the number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from swe_srl.rewards.sequence import SequenceSimilarity
from swe_srl.rewards.shell.edits import Edit
from swe_srl.rewards.shell.matching import MOST, assign, in_order, match, path_similarity
from swe_srl.rewards.shell.normal import Normal, Unit, normalise
from swe_srl.rewards.shell.programs import ASKS, NUMBERED
from swe_srl.rewards.shell.quoting import quoted_alike
from swe_srl.types import Score

_TEXT = SequenceSimilarity()
_PART = SequenceSimilarity(max_comparisons=10_000_000)  # of what is one of many parts: some hundredths of a second
INVALID = 0.3  # of the text's likeness: what a command that is no valid bash is worth

_COUNT = re.compile(r"\A[0-9]{1,9}\Z")  # `str.isdigit` takes "²" too, and `int` no more than some thousand digits
_LINES = re.compile(r"\A([0-9]{1,9})(?:,([0-9]{1,9}|\$))?p\Z")
_FOLDERED = re.compile(r"\A[\w.@+~-]*/[\w./@+~-]*\Z")
_END = 10**9
_LOCALES = ("LC_", "LANG=", "LANGUAGE=", "TZ=")
_CHANGERS = frozenset(
    {"git checkout", "git reset", "git stash", "git clean", "git restore", "git apply", "git commit", "pip install"}
    | {"pip uninstall", "patch", "chmod", "truncate"}
)


@dataclass(frozen=True, slots=True)
class ShellSimilarity:
    """Compares what commands do rather than how they are written; `sequence` where the target cannot be parsed.

    Both commands are parsed and normalised (quoting, white space, flag order, grouping and long names, `cd DIR && …`, a
    useless `cat`, `python -m pytest`, …). Pipelines are matched with one another whatever their order; within one, stages are
    matched in order. Stages count by program, options, operands and paths, redirections and here-documents; edits by the
    file they touch and the change they make; views by the file and the lines they show.

    Args:
        directory: where the shell is known to start: paths below it and relative ones mean the same.

    >>> similarity = ShellSimilarity()
    >>> similarity("grep -nr 'foo' /testbed/src", "cd /testbed && grep -r -n foo src").value
    1.0
    >>> similarity("rm -rf src", "ls -la src").value
    0.0
    """

    directory: str = "/testbed"

    def __call__(self, predicted: str, target: str) -> Score:
        if predicted == target:
            return Score(1.0, {"method": "equal"})
        first, second = normalise(predicted, self.directory), normalise(target, self.directory)
        if second is None:
            score = _TEXT(predicted, target)
            return Score(score.value, {**score.parts, "method": "sequence: the target command was not parsed"})
        if first is None:
            value = INVALID * _PART(predicted, target).value
            return Score(value, {"method": f"{INVALID} of sequence: the predicted command was not parsed"})
        value, parts = compare_units(first, second)
        return Score(min(1.0, max(0.0, value)), {"method": "shell", **parts})


def compare_units(first: Sequence[Unit], second: Sequence[Unit]) -> tuple[float, dict[str, float | str]]:
    """The share of both commands' weight that is matched, and how many of their pipelines found a partner."""
    table = [[_compare_pipelines(one, other) for other in second[:MOST]] for one in first[:MOST]]
    pairs = assign(table)
    matched = 0.0
    for i, j in pairs:
        matched += _joints(first[i], second[j]) * table[i][j] * (first[i].weight + second[j].weight)
    inversions = sum(1 for (i, j) in pairs for (k, m) in pairs if i < k and j > m and table[i][j] and table[k][m])
    total = sum(unit.weight for unit in (*first, *second))
    partners = {i for i, j in pairs if table[i][j] > 0.3}
    harmful = sum(_changes_state(unit) for i, unit in enumerate(first) if i not in partners)
    value = matched / total * (0.95 if inversions else 1.0) * 0.6**harmful
    return value, {
        "pipelines": float(len(first)),
        "target_pipelines": float(len(second)),
        "matched": float(sum(table[i][j] > 0.5 for i, j in pairs)),
        "order": "changed" if inversions else "kept",
        "unasked_changes": float(harmful),
    }


def _joints(first: Unit, second: Unit) -> float:
    """What is left of the likeness of two pipelines that run under other conditions."""
    connectors = {first.connector or ";", second.connector or ";"}
    value = 1.0 if len(connectors) == 1 else 0.85 if "||" in connectors else 0.97
    value *= 1.0 if first.negated == second.negated else 0.85
    return value * (1.0 if first.background == second.background else 0.7)


def _changes_state(unit: Unit) -> bool:
    """Whether a pipeline changes files, as far as its programs tell."""
    return any(
        stage.edit is not None or stage.kind == "files" or stage.program in _CHANGERS or _files_written(stage)
        for stage in unit.stages
    )


def _files_written(stage: Normal) -> bool:
    return any(
        operator in (">", ">>", "&>", "&>>", "2>", "2>>") and not target.startswith("/dev/")
        for operator, target in stage.redirects
    )


def _compare_pipelines(first: Unit, second: Unit) -> float:
    """Weighted best alignment of the stages, in order."""
    rows, columns = first.stages[:MOST], second.stages[:MOST]
    best = [[0.0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for i, one in enumerate(rows, start=1):
        for j, other in enumerate(columns, start=1):
            weight = (one.weight + other.weight) / 2
            here = best[i - 1][j - 1] + weight * compare_stages(one, other)
            best[i][j] = max(here, best[i - 1][j], best[i][j - 1])
    return 2 * best[-1][-1] / (first.weight + second.weight)


def compare_stages(first: Normal, second: Normal) -> float:
    """How alike two simple commands are, in [0, 1]."""
    if first == second:
        return 1.0
    dollars, globs = quoted_alike(first.quoted, second.quoted)
    quotes = (1.0 if dollars else 0.7) * (1.0 if globs else 0.8)
    return _compare_parts(first, second) * quotes * _variables(first, second)


def _variables(first: Normal, second: Normal) -> float:
    """What is left of the likeness of two commands that are given other variables; of bare assignments nothing else counts."""
    if first.variables == second.variables:
        return 1.0
    if not first.program and not second.program:
        return _texts("\n".join(first.variables), "\n".join(second.variables))
    ours, theirs = set(first.variables), set(second.variables)
    if all(one.startswith(_LOCALES) for one in ours ^ theirs):
        return 0.97
    return 0.7 + 0.3 * len(ours & theirs) / len(ours | theirs)


def _compare_parts(first: Normal, second: Normal) -> float:
    if first.edit is not None and second.edit is not None:
        return _compare_edits(first.edit, second.edit) * (0.4 + 0.6 * _redirects(first, second))
    lines = _shown_lines(first), _shown_lines(second)
    if lines[0] is not None and lines[1] is not None:
        return _compare_views(first, second, lines[0], lines[1])
    if first.program != second.program:
        related = first.kind == second.kind and first.kind not in ("other", "files", "run", "vcs", "package")
        return 0.3 * _operands(first, second) if related else 0.0
    operands, options = _operands(first, second), _options(first, second)
    value = (0.65 * operands + 0.35 * options) * (0.5 + 0.5 * min(operands, options))
    value *= 0.4 + 0.6 * _redirects(first, second)
    if first.program == "python" and bool(first.pattern) != bool(second.pattern):
        value *= 0.2  # a script's file is not code
    if first.body or second.body:
        value *= 0.2 + 0.8 * _texts(first.body, second.body)
    if _asks(first) != _asks(second):
        value *= 0.2
    return 0.1 + 0.9 * value


def _asks(stage: Normal) -> bool:
    return any(name in ASKS for name, _ in stage.options)


def _compare_edits(first: Edit, second: Edit) -> float:
    files = match(first.files, second.files, path_similarity) if first.files or second.files else 1.0
    if first.whole != second.whole:
        change = 0.5 * _texts(first.new, second.new)
    elif first.old and second.old:
        change = 0.4 * _texts(first.old, second.old) + 0.6 * _texts(first.new, second.new)
    else:
        change = _texts(first.new, second.new) * (1.0 if first.old == second.old else 0.9)
    place = 1.0 if first.place == second.place else 0.7
    value = 0.1 + 0.9 * (0.25 * files + 0.75 * change * place) * (0.4 + 0.6 * files)
    return value * _manner(first, second)


def _manner(first: Edit, second: Edit) -> float:
    """What is left of the likeness of two edits that are made in other ways, as far as both tell."""
    every = 0.95 if first.every != second.every and None not in (first.every, second.every) else 1.0
    same_text = first.old == second.old and first.regex and second.regex
    regex = 0.95 if same_text and first.regex != second.regex else 1.0
    code = 0.95 if first.code and second.code and first.code != second.code else 1.0
    rest = 0.7 + 0.3 * _texts(first.rest, second.rest) if first.code and second.code else 1.0
    return every * regex * code * rest * (1.0 if first.sound == second.sound else 0.3)


def _shown_lines(stage: Normal) -> tuple[int, int] | None:
    """First and last line of the file that a plain view shows (last below first: none); None when it is no plain view."""
    options = dict(stage.options)
    if stage.redirects or stage.body or len(stage.operands) != 1:
        return None
    if stage.program in ("cat", "nl", "less"):
        return 1, _END
    options.pop(NUMBERED[0], None)
    if stage.program == "head" and _COUNT.match(options.get("n", "10")) and set(options) <= {"n"}:
        return 1, int(options.get("n", "10"))
    if stage.program == "sed" and set(options) == {"n"} and (found := _LINES.match(stage.pattern)):
        start, last = int(found.group(1)), found.group(2) or found.group(1)
        if not start:
            return None  # sed refuses line 0
        return start, _END if last == "$" else max(
            start, int(last)
        )  # a last line before the first: sed shows the first
    return None


def _compare_views(first: Normal, second: Normal, shown: tuple[int, int], wanted: tuple[int, int]) -> float:
    files = path_similarity(first.operands[0], second.operands[0])
    lines = _overlap(shown, wanted)
    look = 1.0 if first.program == second.program and first.options == second.options else 0.9
    if first.program != second.program and shown == wanted:
        lines *= 0.97
    return 0.1 + 0.9 * files * (0.3 + 0.7 * lines) * (look if look == 1.0 or first.program == second.program else 1.0)


def _overlap(shown: tuple[int, int], wanted: tuple[int, int]) -> float:
    """The share of the lines from the first to the last of both that both show."""
    if shown == wanted:
        return 1.0
    common = min(shown[1], wanted[1]) - max(shown[0], wanted[0]) + 1
    if common <= 0:
        return 0.0
    union = max(shown[1], wanted[1]) - min(shown[0], wanted[0]) + 1
    return common / union if union < _END // 2 else 0.4


def _operands(first: Normal, second: Normal) -> float:
    parts: list[float] = []
    if first.pattern or second.pattern:
        parts.append(_texts(first.pattern, second.pattern))
    if first.operands or second.operands:
        info = first.info
        likeness = path_similarity if info.paths else _word_similarity
        matcher = in_order if info.ordered and first.program == second.program else match
        parts.append(matcher(first.operands, second.operands, likeness))
    elif first.directory != second.directory and not first.body:
        parts.append(0.5 * path_similarity(first.directory, second.directory))
    if not parts:
        return 1.0
    return 0.5 * sum(parts) / len(parts) + 0.5 * min(parts)


def _options(first: Normal, second: Normal) -> float:
    """Weighted overlap of the options; those that only change the look weigh little."""
    noise = first.info.noise | {NUMBERED[0]}
    names = {name for name, _ in (*first.options, *second.options)}
    total = score = 0.0
    for name in names:
        ours = sorted(value for option, value in first.options if option == name)
        theirs = sorted(value for option, value in second.options if option == name)
        lax = name in noise or (name in first.info.lax and not (ours and theirs))
        weight = 0.15 if lax else 2.0 if any((*ours, *theirs)) else 1.0
        total += weight
        if ours and theirs:
            score += weight * (1.0 if ours == theirs else 0.5 * _texts("\n".join(ours), "\n".join(theirs)))
    if not total:
        return 1.0
    softening = 0.5  # so that one small difference among no other options is not a total one
    return (score + softening) / (total + softening)


def _redirects(first: Normal, second: Normal) -> float:
    """Overlap of the files written; errors thrown away weigh little, and the file of an edit is its own part."""
    ours, theirs = _output_files(first), _output_files(second)
    if ours == theirs:
        return 1.0 if first.redirects == second.redirects else 0.97
    return len(ours & theirs) / len(ours | theirs)


def _output_files(stage: Normal) -> set[tuple[str, str]]:
    edited = stage.edit.files if stage.edit is not None else ()
    return {
        (operator, target)
        for operator, target in stage.redirects
        if not (operator.startswith("2") and (operator.endswith("&") or target.startswith("/dev/")))
        if operator != ">&" and target not in edited
        if target != "/dev/null" or (stage.edit is None and stage.kind != "files")  # which show nothing
    }


def _texts(first: str, second: str) -> float:
    """Likeness of free text, sharpened: small differences in code and patterns are not small in effect."""
    if first == second:
        return 1.0
    if not first or not second:
        return 0.0
    return _PART(first, second).value ** 2 * 0.9


def _word_similarity(first: str, second: str) -> float:
    if first != second and _FOLDERED.match(first) and _FOLDERED.match(second):
        return path_similarity(first, second)
    return 1.0 if first == second else 0.6 * _PART(first, second).value ** 2
