"""One run of the parts that several machines worked on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError
from swe_srl.evaluation.pipeline import Journal
from swe_srl.evaluation.report import Report
from swe_srl.evaluation.running import data_of, report_of, usual, write_report
from swe_srl.evaluation.selection import Selection, select_tasks
from swe_srl.evaluation.settings import RUNTIME, EvalSettings, parse_shard
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.runs import RunFolder
from swe_srl.settings import from_mapping
from swe_srl.settings.comparing import differences

_APART = ("shard", *RUNTIME)  # what parts of one run may differ in


def merge(parts: Sequence[str | Path], output: str | Path) -> Report:
    """Make one run folder of the folders of a run's parts, with one report.

    The result is the folder that the run without `--shard` would have left: `compare`, `grade` and a further `eval` with that
    folder as `--output` take it as such.

    Args:
        parts: run folders of `eval --shard i/n`, of all n parts. They stay as they are.
        output: a new folder; or the same one again, which then is made anew.

    Raises:
        ConfigError: a folder is no such run, has not come to its end, or is not of the same run as the others (settings or data
            differ); a part is missing or given twice; or the tasks cannot be read here, or are others here.
    """
    runs = [RunFolder.read(part, ("eval",)) for part in parts]
    if not runs:
        raise ConfigError("there is nothing to merge: give the run folders of the parts")
    _check_one_run(runs)
    _check_whole(runs)
    whole = {**usual(), **runs[0].settings, "shard": "", "output": str(output)}
    settings = from_mapping(EvalSettings, {key: value for key, value in whole.items() if value is not None}, "merge")
    here = data_of(settings)
    if changed := differences({name: runs[0].data[name] for name in runs[0].data if name in here}, here, "data"):
        raise ConfigError(f"the tasks are others here than where the parts ran: {'; '.join(changed)}")
    unavailable = {task: reason for part in runs for task, reason in _report(part)["unavailable"].items()}
    tasks = tuple(select_tasks(settings))
    keys = [(task.instance_id, sample) for sample in range(settings.samples) for task in tasks]
    with RunFolder.start(output, "eval", whole, runs[0].data, RUNTIME, usual()) as run:
        for journal in ("episodes", "verdicts", "failures"):
            write_jsonl(run.file(f"{journal}.jsonl"), [row for part in runs for row in part.rows(journal)])
        for sample in range(settings.samples):
            name = f"predictions-{sample}.jsonl" if sample else "predictions.jsonl"
            write_jsonl(run.file(name), [row for part in runs for row in read_jsonl(part.file(name))])
        for part in runs:
            if part.file("logs").is_dir():
                shutil.copytree(part.file("logs"), run.file("logs"), dirs_exist_ok=True)
        kept = Journal(run, settings.policy)
        kept.load(keys)
        kept.failures = {key: failure for key, failure in kept.past_failures().items() if key not in kept.verdicts}
        left = tuple(task for task in tasks if task.instance_id not in unavailable)
        asked = [key for key in keys if key[0] not in unavailable]
        report = report_of(settings, kept, Selection(left, unavailable), asked)
        write_report(run.path, report)
    return report


def _check_one_run(runs: Sequence[RunFolder]) -> None:
    first, base = runs[0], usual()
    for run in runs[1:]:
        changed = differences(_comparable({**base, **first.settings}), _comparable({**base, **run.settings}))
        changed += differences(first.data, run.data, "data")
        if changed:
            raise ConfigError(f"{run.path} is no part of the same run as {first.path}: {'; '.join(changed)}")


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in _APART}


def _check_whole(runs: Sequence[RunFolder]) -> None:
    shards = [parse_shard(str(run.settings.get("shard") or "")) for run in runs]
    counts = {count for _, count in shards}
    if len(counts) > 1:
        raise ConfigError(f"the parts are of different divisions: of {' and of '.join(map(str, sorted(counts)))}")
    (count,) = counts
    given = [index for index, _ in shards]
    twice = sorted({index for index in given if given.count(index) > 1})
    if twice:
        raise ConfigError(f"part {twice[0]}/{count} is given twice")
    missing = [f"{index}/{count}" for index in range(1, count + 1) if index not in given]
    if missing:
        raise ConfigError(f"parts are missing: {', '.join(missing)}")


def _report(part: RunFolder) -> Mapping[str, Any]:
    """The report of a part that has come to its end."""
    file = part.file("report.json")
    if part.lengthening:
        raise ConfigError(f"{part.path} is being made longer and has not come to its end: go on with it before merging")
    try:
        report: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {"unavailable": dict(report["unavailable"])}
    except FileNotFoundError:
        raise ConfigError(f"{part.path} has not come to its end: go on with it before merging") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is damaged ({error}): run the part's command again") from error
