"""An evaluation that goes on as a longer one: what is kept, what is refused, what a kill leaves. Problems need no sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from swe_srl.agents.policies import PolicyAnswer
from swe_srl.errors import ConfigError
from swe_srl.evaluation import EvalSettings, evaluate, lengthening, merge, running
from swe_srl.files import read_jsonl
from swe_srl.protocols import PolicyOutput
from swe_srl.runs import RunFolder
from swe_srl.types import Action, Context


class Draws:
    """An answer that depends on the context's seed alone; interrupted after so many contexts."""

    def __init__(self, interrupted_after: int = -1) -> None:
        self.left, self.asked = interrupted_after, 0

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        answers: list[PolicyOutput] = []
        for context in contexts:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left, self.asked = self.left - 1, self.asked + 1
            answers.append(
                PolicyAnswer(Action(f"\\boxed{{{context.seed % 3}}}"), completion_tokens=context.seed % 7 + 1)
            )
        return answers


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_rows(path, 6)
    return path


def write_rows(path: Path, count: int, first: str = "What is 0?") -> None:
    rows = [
        {"problem": f"What is {number}?" if number else first, "answer": str(number % 3)} for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings_for(rows: Path, name: str, **more: Any) -> EvalSettings:
    return EvalSettings(split="math500", tasks=str(rows), policy="drawn", output=rows.parent / name, workers=1, **more)


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: untimed(item) for name, item in value.items() if name not in ("seconds", "grading_seconds")}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def made(folder: Path, journal: str) -> dict[str, Any]:
    """The rows of a journal by task and sample; each is there once."""
    found = list(read_jsonl(folder / f"{journal}.jsonl"))
    keyed = {f"{row.get('task_id', row.get('instance_id'))} {row.get('sample')}": untimed(row) for row in found}
    assert len(keyed) == len(found)
    return keyed


@pytest.mark.parametrize(
    ("short", "long", "asked"),
    [
        ({"limit": 3}, {"limit": 4}, 1),
        ({"limit": 3}, {}, 3),
        ({"limit": 3, "samples": 2}, {"limit": 5, "samples": 3}, 9),
        ({"shard": "1/2"}, {"shard": "1/2", "samples": 2}, 3),
    ],
)
def test_a_longer_evaluation_is_the_one_made_at_once(
    rows: Path, short: dict[str, Any], long: dict[str, Any], asked: int
) -> None:
    evaluate(settings_for(rows, "grown", **short), policy=Draws())
    before = (rows.parent / "grown/episodes.jsonl").read_bytes()
    policy = Draws()
    evaluate(settings_for(rows, "grown", **long), policy=policy)
    evaluate(settings_for(rows, "whole", **long), policy=Draws())
    grown, whole = rows.parent / "grown", rows.parent / "whole"
    assert policy.asked == asked
    assert (grown / "episodes.jsonl").read_bytes().startswith(before), "what was finished is kept as it was"
    reports = [json.loads((folder / "report.json").read_text()) for folder in (grown, whole)]
    assert untimed(reports[0]) == untimed(reports[1])
    journals = ["episodes", "verdicts", *(path.stem for path in whole.glob("predictions*.jsonl"))]
    for name in journals:
        assert made(grown, name) == made(whole, name)
    settings = [yaml.safe_load((folder / "settings.yaml").read_text()) for folder in (grown, whole)]
    assert {**settings[0], "output": ""} == {**settings[1], "output": ""}
    lengths = [
        {name: row["settings"][name] for name in ("limit", "samples")} for row in read_jsonl(grown / "sessions.jsonl")
    ]
    assert lengths == [
        {"limit": 0, "samples": 1, **{k: v for k, v in one.items() if k != "shard"}} for one in (short, long)
    ]
    assert not RunFolder.read(grown).lengthening
    again = Draws()
    evaluate(settings_for(rows, "grown", **long), policy=again)
    assert again.asked == 0


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({"limit": 4}, {"limit": 3}, r"limit: was 4, is 3\. A run can be made longer, not shorter"),
        ({}, {"limit": 3}, r"limit: was 0, is 3\. A run can be made longer"),
        ({"samples": 2}, {"samples": 1}, r"samples: was 2, is 1\. A run can be made longer"),
        (
            {"limit": 2, "samples": 2},
            {"limit": 3, "samples": 1},
            r"Differing: samples: was 2, is 1\. A run can be made",
        ),
        (
            {"limit": 4, "shard": "1/2"},
            {"limit": 5, "shard": "1/2"},
            r"limit: was 4, is 5\. Tasks are dealt out to parts anew",
        ),
        ({"limit": 2}, {"limit": 3, "seed": 1}, r"Differing: seed: was 0, is 1$"),
    ],
)
def test_what_is_not_the_same_evaluation_made_longer_is_refused(
    rows: Path, old: dict[str, Any], new: dict[str, Any], reason: str
) -> None:
    evaluate(settings_for(rows, "run", **old), policy=Draws())
    files = {path.name: path.read_bytes() for path in (rows.parent / "run").iterdir()}
    with pytest.raises(ConfigError, match=reason):
        evaluate(settings_for(rows, "run", **new), policy=Draws())
    assert {path.name: path.read_bytes() for path in (rows.parent / "run").iterdir()} == files


def test_a_longer_evaluation_that_is_interrupted_keeps_the_report_and_goes_on(rows: Path) -> None:
    evaluate(settings_for(rows, "grown", shard="1/2"), policy=Draws())
    evaluate(settings_for(rows, "other", shard="2/2", samples=2), policy=Draws())
    report = (rows.parent / "grown/report.json").read_bytes()
    longer = settings_for(rows, "grown", shard="1/2", samples=2)
    with pytest.raises(KeyboardInterrupt):
        evaluate(longer, policy=Draws(interrupted_after=1))
    run = RunFolder.read(rows.parent / "grown")
    assert run.lengthening and (rows.parent / "grown/report.json").read_bytes() == report
    parts = [rows.parent / "grown", rows.parent / "other"]
    with pytest.raises(ConfigError, match="grown is being made longer and has not come to its end"):
        merge(parts, rows.parent / "merged")
    with pytest.raises(ConfigError, match=r"samples: was 2, is 1"):
        evaluate(settings_for(rows, "grown", shard="1/2"), policy=Draws())
    rest = Draws()
    evaluate(longer, policy=rest)
    assert rest.asked == 2 and not run.lengthening
    assert merge(parts, rows.parent / "merged").samples == 12


def test_rows_of_the_hub_are_compared_at_the_length_of_the_folder(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their fingerprint is of the tasks that are asked for: it differs with the limit, though the tasks before are the same."""
    monkeypatch.setattr(
        running, "fingerprint", lambda path: "sha256:0"
    )  # the file stands for a data set that may change
    for module in (running, lengthening):
        monkeypatch.setattr(module, "is_unpinned", lambda settings: True)
    run = evaluate_at(rows, 2)
    record = json.loads((run / "run.json").read_text())
    write_rows(rows, 6, first="What is none?")
    with pytest.raises(ConfigError, match=r"Differing: data\.rows: was 'sha256:"):
        evaluate_at(rows, 3)
    write_rows(rows, 7)
    evaluate_at(rows, 3)
    longer = json.loads((run / "run.json").read_text())
    assert longer["data"]["rows"] != record["data"]["rows"] and longer["created"] == record["created"]
    evaluate_at(rows, 3)


def test_a_kill_between_fingerprints_and_settings_is_made_good(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "fingerprint", lambda path: "sha256:0")
    for module in (running, lengthening):
        monkeypatch.setattr(module, "is_unpinned", lambda settings: True)
    run = evaluate_at(rows, 2)
    old = (run / "settings.yaml").read_bytes()
    evaluate_at(rows, 3)
    (run / "settings.yaml").write_bytes(old)
    (run / "lengthening.json").write_text("{}")
    evaluate_at(rows, 3)
    assert yaml.safe_load((run / "settings.yaml").read_text())["limit"] == 3 and not (run / "lengthening.json").exists()


def evaluate_at(rows: Path, limit: int) -> Path:
    settings = settings_for(rows, "run", limit=limit)
    evaluate(settings, policy=Draws())
    return settings.folder
