"""Reports as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from swe_srl.evaluation.patches import PatchStatistics
from swe_srl.evaluation.report import Report
from swe_srl.evaluation.statistics import Estimate
from swe_srl.types import VerdictStatus

_LISTED = 50  # entries of one list
_ANSWERS = {
    VerdictStatus.RESOLVED.value: "right",
    VerdictStatus.UNRESOLVED.value: "wrong",
    VerdictStatus.EMPTY_PATCH.value: "none",
    VerdictStatus.INFRASTRUCTURE.value: "not compared",
}
_ALIKE = 5  # entries with the same reason that have a line each


def report_markdown(report: Report) -> str:
    """The report for a person: figures first, then what was left out of them and why."""
    worked = _work(report) if report.turns or set(report.exit_reasons) != {"unknown"} else []
    resolved = f"{report.resolved} of {report.samples}: {percent(report.resolve_rate)}"
    rows = [
        *_rates(report, resolved),
        *((f"pass@{k}", f"{value:.1%}") for k, value in report.pass_at_k.items() if k > 1),
        ("denominator", denominator(report)),
        *worked,
        *_verdicts(report),
    ]
    parts = [f"# {report.title}", table(("figure", "value"), rows)]
    sorts, told = ("subject", "right") if report.answers else ("repository", "resolved")
    for group, counts in ((sorts, report.by_repository), ("difficulty", report.by_difficulty)):
        lines = [(name, f"{a} of {b}", f"{a / b:.1%}") for name, (a, b) in counts.items()]
        parts += [f"## By {group}", table((group, told, "rate"), lines)] if lines else []
    parts += _listing("Official and hardened verdicts differ", report.differing.items())
    parts += _listing("Flagged", ((name, ", ".join(flags)) for name, flags in report.flagged.items()))
    parts += _listing("Flaky: gradings differ", ((name, ", ".join(flags)) for name, flags in report.flaky.items()))
    failures = (
        (f"{failure.task_id}#{failure.sample} ({failure.stage})", failure.reason) for failure in report.failures
    )
    parts += _listing("Infrastructure failures (not counted)", failures)
    parts += _listing("Not run here (not counted)", _by_reason(report.unavailable), len(report.unavailable))
    parts += _listing("Excluded by name (not counted)", ((name, "by --exclude") for name in report.excluded))
    return "\n\n".join(parts) + "\n"


def _rates(report: Report, resolved: str) -> list[tuple[str, str]]:
    if report.answers:
        return [(report.answers, resolved)]
    return [("resolved (official rules)", resolved), ("resolved (hardened rules)", _hardened(report))]


def _verdicts(report: Report) -> list[tuple[str, str]]:
    """What became of the samples: of problems the answers, else the patches and their gradings."""
    if report.answers:
        return [("answers", _counts({_ANSWERS[status]: count for status, count in report.statuses.items()}))]
    return [
        ("patches", _patches(report.patches)),
        ("verdicts", _counts(report.statuses)),
        ("seconds per grading", f"{report.grading_seconds:.1f}"),
    ]


def _work(report: Report) -> list[tuple[str, str]]:
    """How the policy worked: nothing is known of it where only patches were given."""
    cut = f", {report.cut_rate:.1%} cut by the token limit" if report.cut_rate else ""
    return [
        ("turns per episode", f"{report.turns:.1f}"),
        ("format errors", f"{report.format_error_rate:.1%} of the turns{cut}"),
        *((f"{kind} tokens per turn", f"{value:.1f}") for kind, value in report.tokens.items()),
        *(
            (f"{kind} tokens per episode", f"{value:.0f}")
            for kind, value in report.per_episode.items()
            if kind != "cost"
        ),
        *((("cost per episode", f"{report.per_episode['cost']:.4f}"),) if "cost" in report.per_episode else ()),
        *(() if report.answers else _edits(report)),
        ("exit reasons", _counts(report.exit_reasons)),
        ("seconds per episode", f"{report.seconds:.1f}"),
    ]


def _edits(report: Report) -> list[tuple[str, str]]:
    """How it worked in the repository."""
    found = report.behaviour
    return [
        ("edits verified by a run", _share(found.verified, found.edits, "edits")),
        ("failed checks that lead to another edit", _share(found.revised, found.failed_checks, "failed checks")),
        ("similarity to the expert", "unknown" if report.similarity is None else f"{report.similarity:.3f}"),
    ]


def _share(part: int, whole: int, what: str) -> str:
    return f"{part} of {whole} ({part / whole:.1%})" if whole else f"no {what}"


def _patches(found: PatchStatistics) -> str:
    """Sizes of the patches and what they touch, in words."""
    words = f"{found.patches} read, {found.empty} empty, {found.unreadable} unreadable"
    if not found.patches:
        return words
    words += f"; {found.files:.1f} files, {found.hunks:.1f} hunks, +{found.added:.1f} -{found.removed:.1f} lines"
    if found.touched_gold is not None:
        words += f"; {found.touched_gold:.1%} touch a file of the gold patch"
    return f"{words}; {found.touched_tests:.1%} touch tests"


def _hardened(report: Report) -> str:
    if report.hardened_rate is None:
        return "not measured: no hardened runs were made"
    return f"{report.hardened} of {report.samples}: {percent(report.hardened_rate)}"


def denominator(report: Report) -> str:
    """What the rates are of, in words.

    The samples asked for are those of the tasks that can be run here.
    """
    words = f"{_number(report.samples, 'graded sample')} of {_number(report.tasks, 'task')}"
    words += f"; {_number(report.asked, 'sample')} asked for"
    if report.failures:
        words += f", {len(report.failures)} lost to infrastructure failures"
    if report.excluded:
        words += f"; excluded by name: {_number(len(report.excluded), 'task')}"
    if report.unavailable:
        words += f"; not run: {_number(len(report.unavailable), 'task')}"
    return words


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def percent(estimate: Estimate, digits: int = 1) -> str:
    """A rate with its interval: `40.0% (95% interval 19.8% to 64.3%)`."""
    if math.isnan(estimate.value):
        return "no data"
    low, high = (f"{bound:.{digits}%}" for bound in (estimate.low, estimate.high))
    return f"{estimate.value:.{digits}%} ({estimate.confidence:.0%} interval {low} to {high})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what a cell holds stays in it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def _by_reason(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """A line for each task and its reason; one for all of them where many have the same."""
    alike: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        alike.setdefault(reason, []).append(name)
    lines = []
    for reason, names in alike.items():
        if len(names) > _ALIKE:
            lines.append((names[0], f"{reason} (and {len(names) - 1} more tasks, for the same reason)"))
        else:
            lines += [(name, reason) for name in names]
    return lines


def _listing(title: str, entries: Iterable[tuple[str, str]], count: int | None = None) -> list[str]:
    found = list(entries)
    if not found:
        return []
    lines = [f"- `{name}`: {' '.join(text.split())[:500]}" for name, text in found[:_LISTED]]
    lines += [f"- and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return [f"## {title}: {len(found) if count is None else count}", "\n".join(lines)]


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered) or "none"
