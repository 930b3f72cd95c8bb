"""Parts of an evaluation, and the run that is made of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import named, tiny_task

from swe_srl.cli import main
from swe_srl.errors import ConfigError
from swe_srl.evaluation import EvalSettings, compare, evaluate, judge_again, merge
from swe_srl.evaluation.running import data_of
from swe_srl.files import append_jsonl, read_jsonl, write_jsonl
from swe_srl.tasks import load_tasks

pytestmark = pytest.mark.sandbox
TASKS = 5


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    task = tiny_task(folder / "calc")
    write_jsonl(folder / "rows.jsonl", [named(task, f"tiny__calc-{number}").row() for number in range(TASKS)])
    for name, shard, policy in (
        ("1", "1/2", "gold"),
        ("2", "2/2", "gold"),
        ("whole", "", "gold"),
        ("other", "2/2", "empty"),
    ):
        evaluate(settings(folder, name, shard, policy))
    return folder / "rows.jsonl"


def settings(folder: Path, name: str, shard: str = "", policy: str = "gold") -> EvalSettings:
    values = {"tasks": str(folder / "rows.jsonl"), "output": folder / name, "shard": shard, "hardened": False}
    return EvalSettings(policy=policy, **values)  # type: ignore[arg-type]


def test_parts_make_the_whole(rows: Path) -> None:
    folder = rows.parent
    sizes = [len(list(read_jsonl(folder / name / "verdicts.jsonl"))) for name in ("1", "2")]
    assert sorted(sizes) == [2, 3]
    for _ in range(2):  # again: made anew
        report = merge([folder / "2", folder / "1"], folder / "merged")
        assert (report.resolved, report.samples, report.asked, report.failures) == (TASKS, TASKS, TASKS, ())
    for journal, key in (("episodes", "task_id"), ("verdicts", "task_id"), ("predictions", "instance_id")):
        counted = Counter(row[key] for row in read_jsonl(folder / "merged" / f"{journal}.jsonl"))
        assert counted == {f"tiny__calc-{number}": 1 for number in range(TASKS)}, journal
    assert compare(folder / "whole", folder / "merged").difference.value == 0
    assert len(judge_again(folder / "merged", load_tasks(str(rows)))) == TASKS, "the logs came along"
    compared = compare(folder / "whole", folder / "merged")
    assert compared.figures["share of edits verified by a run"] == (0.0, 0.0), "gold edits and submits"
    assert "| turns per episode | 2 | 2 |" in compared.as_markdown()
    before = (folder / "merged" / "verdicts.jsonl").read_bytes()
    assert evaluate(settings(folder, "merged")).samples == TASKS, "the command without --shard goes on there"
    assert (folder / "merged" / "verdicts.jsonl").read_bytes() == before


def test_what_the_infrastructure_broke_stays_apart(rows: Path) -> None:
    folder = rows.parent
    lost = next(read_jsonl(folder / "2" / "verdicts.jsonl"))["task_id"]
    part = folder / "lossy"
    part.mkdir()
    for name in ("run.json", "settings.yaml", "sessions.jsonl"):
        (part / name).write_bytes((folder / "2" / name).read_bytes())
    for journal in ("episodes", "verdicts"):
        write_jsonl(
            part / f"{journal}.jsonl",
            [r for r in read_jsonl(folder / "2" / f"{journal}.jsonl") if r["task_id"] != lost],
        )
    (part / "report.json").write_bytes((folder / "2" / "report.json").read_bytes())
    append_jsonl(part / "failures.jsonl", {"task_id": lost, "sample": 0, "stage": "episode", "reason": "daemon gone"})
    report = merge([folder / "1", part], folder / "merged-lossy")
    assert (report.samples, report.asked) == (TASKS - 1, TASKS)
    assert [(failure.task_id, failure.reason) for failure in report.failures] == [(lost, "daemon gone")]


def test_what_does_not_belong_together_is_refused(rows: Path) -> None:
    folder = rows.parent
    with pytest.raises(ConfigError, match="parts are missing: 2/2"):
        merge([folder / "1"], folder / "no")
    with pytest.raises(ConfigError, match="part 1/2 is given twice"):
        merge([folder / "1", folder / "1"], folder / "no")
    with pytest.raises(ConfigError, match=r"no part of the same run.*policy: was 'gold', is 'empty'"):
        merge([folder / "1", folder / "other"], folder / "no")
    with pytest.raises(ConfigError, match="different divisions"):
        merge([folder / "1", folder / "whole"], folder / "no")
    assert not (folder / "no").exists()


def test_a_part_that_has_not_come_to_its_end_is_refused(rows: Path) -> None:
    begun = rows.parent / "begun"
    begun.mkdir()
    for name in ("run.json", "settings.yaml", "sessions.jsonl"):
        (begun / name).write_bytes((rows.parent / "2" / name).read_bytes())
    with pytest.raises(ConfigError, match="begun has not come to its end: go on with it"):
        merge([rows.parent / "1", begun], rows.parent / "no")
    assert not (rows.parent / "no").exists()


def test_what_an_excluding_file_says_is_part_of_the_run(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_text("")
    settings = EvalSettings(
        tasks=str(rows), policy="empty", exclude=(str(tmp_path / "broken.txt"),), output=tmp_path / "x"
    )
    before = data_of(settings)
    (tmp_path / "broken.txt").write_text(f"{next(read_jsonl(rows))['instance_id']}\n")
    assert data_of(settings)["exclude"] != before["exclude"]
    assert "exclude" not in data_of(replace(settings, exclude=()))


def test_the_command(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = rows.parent
    assert main(["merge", f"{folder}/1", f"{folder}/2", "--output", str(folder / "by-command")]) == 0
    assert f"{TASKS} graded samples of {TASKS} tasks" in capsys.readouterr().out
    assert json.loads((folder / "by-command" / "report.json").read_text())["resolved"] == TASKS
    assert main(["merge", f"{folder}/1", f"{folder}/2"]) == 2
    assert main(["merge", "--output", str(folder / "x")]) == 2
