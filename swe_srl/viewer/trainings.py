"""Training runs for the pages: curves of every figure, and the samples beside their targets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from swe_srl.runs import RunFolder
from swe_srl.viewer.scripts import write_script

PLACES = ("stage", "method", "update", "epoch")  # of a row: where it belongs, not what was measured
SAMPLES = 400  # newest rows of samples.jsonl that are shown


def write_training(data: Path, name: str, run: RunFolder) -> dict[str, Any]:
    """Write the script of a training run below `data`, and return what the index says of the run.

    Args:
        data: folder of the pages' data.
        name: of the run's own folder in it.
        run: the run.
    """
    curves, stages = read_curves(run.rows("metrics"))
    samples = list(run.rows("samples"))
    chosen = _chosen(run, stages)
    script = f"{name}/training"
    content = {
        "curves": curves,
        "stages": stages,
        "chosen": chosen,
        "samples": [_sample(row) for row in samples[-SAMPLES:]],
        "samples_left_out": max(0, len(samples) - SAMPLES),
    }
    write_script(data, script, content)
    methods = [str(stage["method"]) for stage in stages] or _planned(run)
    title = f"{', then '.join(methods)} from {run.settings.get('model')}" if methods else "a training run"
    brief = {key: curves[key] for key in ("reward_mean", "validation_reward", "validation_similarity") if key in curves}
    return {
        "title": title,
        "finished": run.file("result.json").is_file() and not run.lengthening,
        "updates": sum(stage["updates"] for stage in stages),
        "brief": brief or {key: curves[key] for key in list(curves)[:1]},
        "data": script,
        "notes": [],
    }


def read_curves(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, list[tuple[int, float]]], list[dict[str, Any]]]:
    """The curves of metrics.jsonl, and its stages.

    Returns:
        (position, value) pairs by figure, where the position counts updates over all stages, and nested figures have
        names such as `seconds/generate`; and for every stage its method, the position it begins after, and its updates.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    stages: list[dict[str, Any]] = []
    for row in rows:
        stage = int(row.get("stage", 0))
        if not stages or stages[-1]["stage"] != stage:
            begin = stages[-1]["begin"] + stages[-1]["updates"] if stages else 0
            stages.append({"stage": stage, "method": row.get("method", ""), "begin": begin, "updates": 0})
        update = int(row.get("update", 0))
        stages[-1]["updates"] = max(stages[-1]["updates"], update)
        for figure, value in _figures(row):
            curves.setdefault(figure, []).append((stages[-1]["begin"] + update, value))
    return curves, stages


def _figures(row: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, float]]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and (prefix or key not in PLACES):
            yield f"{prefix}{key}", float(value)


def _chosen(run: RunFolder, stages: list[dict[str, Any]]) -> list[int]:
    """The positions of the models that finished stages ended with."""
    begins = {stage["stage"]: stage["begin"] for stage in stages}
    found = []
    for file in sorted(run.file("stages").glob("*.json")):
        try:
            end = json.loads(file.read_text(encoding="utf-8"))
            found.append(begins[end["stage"]] + int(end["chosen_update"]))
        except (OSError, ValueError, KeyError, TypeError):  # a stage without rows has nowhere to be shown
            continue
    return found


def _planned(run: RunFolder) -> list[str]:
    stages = run.settings.get("stages")
    return (
        [str(stage.get("method", "")) for stage in stages if isinstance(stage, Mapping)]
        if isinstance(stages, list)
        else []
    )


def _sample(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of samples.jsonl: completions at a step, or episodes of a task."""
    if "episodes" in row:
        return {"title": row.get("task_id", ""), **_place(row), "episodes": row["episodes"]}
    shown = {"title": row.get("step_id", ""), **_place(row), "target": row.get("target", "")}
    return {**shown, "completions": row.get("completions", [])}


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"stage": row.get("stage", 0), "update": row.get("update", 0)}
