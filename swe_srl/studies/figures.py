"""The figures of a study, as SVG and PNG. matplotlib is an extra: without it there are none, and that is said."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError
from swe_srl.files import read_jsonl, write_atomic
from swe_srl.studies.markdown import TITLES
from swe_srl.studies.results import ArmResult, Results, lines_of
from swe_srl.training.compute import compute_of

MISSING = "figures need matplotlib: pip install 'swe-srl[figures]'"
FORMATS = ("svg", "png")


def can_draw() -> bool:
    """Whether matplotlib is installed, and works."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def require_drawing() -> None:
    """Refuse to go on without matplotlib.

    Raises:
        ConfigError: it is not installed.
    """
    if not can_draw():
        raise ConfigError(MISSING)


def draw(results: Results) -> list[str]:
    """Draw every figure into the study's folder; returns the SVG files' names, relative to it."""
    folder, names = results.runs.settings.folder, []
    for table, rows in results.tables.items():
        if not rows:
            continue
        figures = {f"resolved-{table}": _rates(table, rows), f"learning-{table}": learning_figure(results, table, rows)}
        if any(row.change is not None for row in rows):
            figures[f"difference-{table}"] = _differences(table, rows)
        if lines := lines_of(rows):
            figures[f"trajectories-{table}"] = _over_trajectories(results, table, lines)
        for name, figure in figures.items():
            for kind in FORMATS:
                _save(folder / "figures" / f"{name}.{kind}", figure, kind)
            names.append(f"figures/{name}.svg")
    return names


def _figure(height: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 1.4 + 0.36 * height), layout="constrained")
    return figure, figure.add_subplot()


def _rates(table: str, rows: Sequence[ArmResult]) -> Any:
    figure, axes = _figure(len(rows))
    values = [(100 * row.rate.value, 100 * row.rate.low, 100 * row.rate.high) for row in rows]
    _intervals(axes, rows, values)
    axes.set_xlim(left=0)
    axes.set_xlabel("held-out tasks resolved, % (95% interval over seeds and tasks)")
    axes.set_title(TITLES[table], loc="left")
    return figure


def _differences(table: str, rows: Sequence[ArmResult]) -> Any:
    shown = [row for row in rows if row.change is not None]
    figure, axes = _figure(len(shown))
    changes = [row.change for row in shown if row.change is not None]
    _intervals(axes, shown, [(100 * one.value, 100 * one.low, 100 * one.high) for one in changes])
    axes.axvline(0, color="0.4", linewidth=1)
    axes.set_xlabel("points above the base model (95% interval, paired by seed and task)")
    axes.set_title(TITLES[table], loc="left")
    return figure


def _intervals(axes: Any, rows: Sequence[ArmResult], values: Sequence[tuple[float, float, float]]) -> None:
    """A point with its interval for every row, the first one at the top."""
    places = list(range(len(rows), 0, -1))
    for place, (value, low, high) in zip(places, values, strict=True):
        axes.plot([low, high], [place, place], color="tab:blue", linewidth=2, solid_capstyle="butt")
        axes.plot([value], [place], "o", color="tab:blue")
    axes.set_yticks(places, [row.arm.title for row in rows])
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.grid(axis="x", color="0.9")


def _over_trajectories(results: Results, table: str, lines: Mapping[str, Sequence[tuple[int, ArmResult]]]) -> Any:
    """The resolve rate over the number of trajectories, a line with intervals for each of the study's."""
    figure, axes = _figure(8)
    for number, (name, points) in enumerate(lines.items()):
        beside = 1.02 ** (number - (len(lines) - 1) / 2)  # so that no interval hides another
        counts, rates = [beside * count for count, _ in points], [row.rate for _, row in points]
        below = [100 * (rate.value - rate.low) for rate in rates]
        above = [100 * (rate.high - rate.value) for rate in rates]
        axes.errorbar(
            counts, [100 * rate.value for rate in rates], yerr=[below, above], marker="o", capsize=3, label=name
        )
    base = results.row(table, results.runs.study.base)
    if base is not None:
        axes.axhline(100 * base.rate.value, color="0.4", linewidth=1, linestyle="--", label=base.arm.title)
    told = sorted({count for points in lines.values() for count, _ in points})
    axes.set_xscale("log")
    axes.set_xticks(told, [str(count) for count in told])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("number of trajectories")
    axes.set_ylabel("held-out tasks resolved, % (95% interval)")
    axes.set_title(TITLES[table], loc="left")
    axes.grid(color="0.9")
    axes.legend(fontsize="small", frameon=False)
    return figure


def learning_figure(results: Results, table: str, rows: Sequence[ArmResult]) -> Any:
    """Similarity on held-out steps over compute, of the arms that learn from steps."""
    figure, axes = _figure(8)
    curves = [(row, curve) for row in rows if len(curve := _curve(results, row)) > 1]
    several = len({_measure(row) for row, _ in curves}) > 1
    for row, curve in curves:
        label = f"{row.arm.title} (by {_measure(row)})" if several else row.arm.title
        axes.plot([x / 1e6 for x, _ in curve], [y for _, y in curve], marker=".", label=label)
    axes.set_xlabel("compute, million tokens (forward, and twice backward)")
    axes.set_ylabel("similarity on held-out steps" + (" (compare within one measure only)" if several else ""))
    axes.set_title(f"{TITLES[table]}: first seed", loc="left")
    axes.grid(color="0.9")
    if axes.lines:
        axes.legend(fontsize="small", frameon=False)
    return figure


def _measure(row: ArmResult) -> str:
    """The similarity that an arm's validations use: its last stage's."""
    stages: Sequence[Any] = row.settings.get("stages") or ({},)
    return str(stages[-1].get("similarity", "sequence"))


def _curve(results: Results, row: ArmResult) -> list[tuple[float, float]]:
    record = row.records[0]
    path = results.runs.settings.folder / "runs" / (record.same_as or record.name) / "train" / "metrics.jsonl"
    spent, points = float(record.compute - record.own_compute), []
    for one in read_jsonl(path):
        spent += compute_of(one)
        if "validation_similarity" in one:
            points.append((spent, float(one["validation_similarity"])))
    return points


def _save(file: Path, figure: Any, kind: str) -> None:
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": file.stem}):  # the same figures give the same file
        figure.savefig(content, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    write_atomic(file, content.getvalue())
