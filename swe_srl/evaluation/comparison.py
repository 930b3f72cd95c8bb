"""Two evaluation runs, task by task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from swe_srl.errors import ConfigError
from swe_srl.evaluation.logs import GRADED
from swe_srl.evaluation.markdown import percent, table
from swe_srl.evaluation.report import rate
from swe_srl.evaluation.settings import RUNTIME, EvalSettings
from swe_srl.evaluation.statistics import Estimate, mcnemar, paired_bootstrap
from swe_srl.files import row_errors
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping

_OF_ROWS = ("split", "tasks", "revision", "images", "data.rows", "data.split", "data.tasks", "data.dockerfiles")
_LENGTH = 60  # characters of a setting that are shown


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from run A to run B, over the tasks that both graded.

    Args:
        a, b: the runs' folders.
        tasks: how many tasks are compared.
        rate_a, rate_b: resolve rates over them.
        difference: B - A, with an interval by paired bootstrap over tasks.
        p_value: of McNemar's exact test on the tasks; None unless both runs have one sample per task.
        gained: tasks with a higher resolve rate in B.
        lost: tasks with a lower one.
        only_a, only_b: tasks that only one of the runs graded: left out.
        figures: how the agents work, of A and of B, by name; of the runs' own reports, so over all their tasks. None where a
            run does not tell.
        settings: those that differ and may alter results, of A and of B, by name; with `data.` before it, the fingerprint of
            what a setting names. Where one is a `grade` run, those that both have.
    """

    a: str
    b: str
    tasks: int
    rate_a: Estimate
    rate_b: Estimate
    difference: Estimate
    p_value: float | None
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    figures: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def other_rows(self) -> bool:
        """Whether tasks of the same name may be different rows: read from elsewhere, or from files of other contents."""
        return any(name in _OF_ROWS for name in self.settings)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)

    def as_markdown(self) -> str:
        """The comparison for a person."""
        lines = [
            f"# {self.b} against {self.a}",
            f"Over the {self.tasks} tasks that both runs graded:",
            f"- A resolves {percent(self.rate_a)}\n- B resolves {percent(self.rate_b)}\n"
            f"- B - A is {100 * self.difference.value:+.1f} points ({self.difference.confidence:.0%} interval "
            f"{100 * self.difference.low:+.1f} to {100 * self.difference.high:+.1f}, paired by task)",
        ]
        if self.p_value is not None:
            lines.append(
                f"McNemar's exact test: p = {self.p_value:.3g} ({len(self.gained)} gained, {len(self.lost)} lost)"
            )
        if self.other_rows:
            lines.append(
                "**The runs did not read their tasks from the same place and contents**, so tasks of the same name may be "
                "different ones: see the settings that differ."
            )
        if self.figures:
            lines.append(table(("over all tasks of each run", "A", "B"), _lines(self.figures, _figure)))
        if self.settings:
            lines.append(table(("settings that differ", "A", "B"), _lines(self.settings, _setting)))
        for title, names in (
            ("Better in B", self.gained),
            ("Worse in B", self.lost),
            ("Only in A (left out)", self.only_a),
            ("Only in B (left out)", self.only_b),
        ):
            lines += [f"## {title}: {len(names)}", "\n".join(f"- `{name}`" for name in names)] if names else []
        return "\n\n".join(lines) + "\n"


def compare(run_a: str | Path, run_b: str | Path, common: bool = False, hardened: bool = False) -> Comparison:
    """Compare two runs on the tasks that both graded.

    Args:
        run_a, run_b: run folders of `evaluate` or `grade_predictions`.
        common: compare the common tasks when the runs graded different ones.
        hardened: by the hardened verdicts.

    Raises:
        ConfigError: a folder is no run, the runs graded different tasks and `common` is not set, or none in common; or a run
            without hardened verdicts is compared by them.
    """
    a, b = outcomes(run_a, hardened), outcomes(run_b, hardened)
    shared = sorted(a.keys() & b.keys())
    only_a, only_b = tuple(sorted(a.keys() - b.keys())), tuple(sorted(b.keys() - a.keys()))
    if not shared:
        raise ConfigError(f"{run_a} and {run_b} graded no task in common")
    if (only_a or only_b) and not common:
        raise ConfigError(
            f"the runs graded different tasks: {len(only_a)} only in {run_a}, {len(only_b)} only in {run_b}, "
            f"{len(shared)} in both. Use --common to compare those"
        )
    a, b = {task: a[task] for task in shared}, {task: b[task] for task in shared}
    change = {task: fmean(b[task]) - fmean(a[task]) for task in shared}
    gained = tuple(task for task in shared if change[task] > 0)
    lost = tuple(task for task in shared if change[task] < 0)
    single = all(len(values) == 1 for values in (*a.values(), *b.values()))
    return Comparison(
        a=str(run_a),
        b=str(run_b),
        tasks=len(shared),
        rate_a=rate(a),
        rate_b=rate(b),
        difference=paired_bootstrap(a, b),
        p_value=mcnemar(len(lost), len(gained)) if single else None,
        gained=gained,
        lost=lost,
        only_a=only_a,
        only_b=only_b,
        figures=_figures(run_a, run_b),
        settings=_differing(RunFolder.read(run_a), RunFolder.read(run_b)),
    )


def outcomes(folder: str | Path, hardened: bool = False) -> dict[str, list[float]]:
    """1 or 0 for every graded sample of a run, by task.

    Raises:
        ConfigError: the folder is no run, or holds no verdicts, or none by the hardened rules.
        SweSrlError: its verdicts are damaged.
    """
    run = RunFolder.read(folder, GRADED)
    if hardened and run.settings.get("hardened") is False:
        raise ConfigError(f"{folder}: this run made no hardened runs (--no-hardened): compare by the official verdicts")
    with row_errors(run.journal("verdicts")):
        found: dict[tuple[str, int], float] = {
            (str(row["task_id"]), int(row["sample"])): float(row["hardened" if hardened else "official"])
            for row in run.rows("verdicts")
        }
    if not found:
        raise ConfigError(f"{folder}: this run has no verdicts yet")
    by_task: dict[str, list[float]] = {}
    for (task, _), value in sorted(found.items()):
        by_task.setdefault(task, []).append(value)
    return by_task


def _figures(run_a: str | Path, run_b: str | Path) -> dict[str, tuple[float | None, float | None]]:
    """Those figures that at least one of the runs' reports has."""
    a, b = _work_of(run_a), _work_of(run_b)
    return {
        name: (a.get(name), b.get(name))
        for name in dict.fromkeys((*a, *b))
        if (a.get(name), b.get(name)) != (None, None)
    }


def _work_of(folder: str | Path) -> dict[str, float | None]:
    """Turns, tokens and habits of a run, of its report.json; nothing when there is none yet, or no turns in it."""
    try:
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not report.get("turns"):
        return {}
    habits = report.get("behaviour") or {}
    return {
        "turns per episode": report["turns"],
        "format errors per turn": report.get("format_error_rate"),
        "edits per episode": _ratio(habits.get("edits"), habits.get("episodes")),
        "share of edits verified by a run": _ratio(habits.get("verified"), habits.get("edits")),
        "share of failed checks that lead to another edit": _ratio(habits.get("revised"), habits.get("failed_checks")),
        **{
            f"{kind} tokens per episode": value
            for kind, value in (report.get("per_episode") or {}).items()
            if kind != "cost"
        },
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _differing(a: RunFolder, b: RunFolder) -> dict[str, tuple[Any, Any]]:
    """The settings and fingerprints that two runs do not share, without those that alter no result."""
    usual = as_mapping(EvalSettings())
    known_a, known_b = (
        {
            **(usual if run.kind == "eval" else {}),
            **run.settings,
            **{f"data.{name}": run.data[name] for name in run.data},
        }
        for run in (a, b)
    )
    names = [name for name in dict.fromkeys((*known_a, *known_b)) if name not in RUNTIME]
    if (a.kind, b.kind) != ("eval", "eval"):
        names = [name for name in names if name in known_a and name in known_b]
    pairs = {name: (known_a.get(name), known_b.get(name)) for name in names}
    return {name: (left, right) for name, (left, right) in pairs.items() if left != right}


def _lines(pairs: Mapping[str, tuple[Any, Any]], shown: Callable[[Any], str]) -> list[tuple[str, str, str]]:
    return [(name, shown(a), shown(b)) for name, (a, b) in pairs.items()]


def _figure(value: float | None) -> str:
    """Three significant digits, and no exponent.

    >>> _figure(3111.0), _figure(6.8333), _figure(0.875)
    ('3111', '6.83', '0.875')
    """
    return "" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _setting(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else "" if value is None else str(value)
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"
