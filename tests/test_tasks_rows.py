"""Rows and files of other people's data sets become tasks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from swe_srl.errors import TaskError
from swe_srl.evaluation import EvalSettings
from swe_srl.evaluation.selection import select_tasks
from swe_srl.tasks import load_tasks, split_names, task_from_row
from swe_srl.tasks.problems import load_problems
from swe_srl.tasks.reversal import reverse_patch
from swe_srl.tasks.sources import HUB_SETS
from swe_srl.types import Task

ROW = {"instance_id": "a__b-1", "repo": "a/b", "FAIL_TO_PASS": '["t1"]', "PASS_TO_PASS": ["t2"], "hints_text": "h"}


def test_a_row_round_trips() -> None:
    task = task_from_row(ROW)
    assert task.fail_to_pass == ("t1",)
    assert task.pass_to_pass == ("t2",)
    assert json.loads(task.extra) == {"hints_text": "h"}
    assert task_from_row(task.row()) == task


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repo": ""}, "no repo"),
        ({"instance_id": None}, "no instance_id"),
        ({"instance_id": "../../x"}, "an instance_id cannot be a path"),
        ({"instance_id": ".."}, "an instance_id cannot be a path"),
        ({"FAIL_TO_PASS": "t1 t2"}, "FAIL_TO_PASS is neither"),
        ({"PASS_TO_PASS": [1]}, "PASS_TO_PASS is not a list of test names"),
        ({"patch": 5}, "column patch is int"),
        ({"hints_text": object()}, "cannot be kept as JSON"),
    ],
)
def test_a_bad_row_is_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        task_from_row({**ROW, **change})


BUG = (
    "diff --git a/m.py b/m.py\nindex 1111111..2222222 100644\n--- a/m.py\n+++ b/m.py\n"
    "@@ -1,3 +1,2 @@\n-good\n-line\n+bad\n same\n"
)


def test_swe_smith_rows_plant_the_bug_and_their_reverse_is_the_fix() -> None:
    task = task_from_row({"instance_id": "x.bug", "repo": "swesmith/a__b.123", "patch": BUG, "image_name": "img"})
    assert task.setup_patch == BUG
    assert task.patch == reverse_patch(BUG)
    assert task.image == "img"
    assert task_from_row(task.row()).patch == task.patch  # a written row is not turned around again


def test_reversal_of_new_files_and_missing_newlines() -> None:
    patch = (
        "diff --git a/n.txt b/n.txt\nnew file mode 100644\nindex 0000000..2222222\n--- /dev/null\n+++ b/n.txt\n"
        "@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    )
    turned = reverse_patch(patch)
    assert "deleted file mode 100644" in turned
    assert "--- a/n.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline" in turned
    assert reverse_patch(turned) == patch


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_local_files(tmp_path: Path, suffix: str) -> None:
    rows = [{**ROW, "PASS_TO_PASS": '["t2"]'}, {**ROW, "instance_id": "a__b-2", "PASS_TO_PASS": "[]"}]
    path = tmp_path / f"tasks{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(rows))
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [task.instance_id for task in load_tasks(str(path))] == ["a__b-1", "a__b-2"]
    assert load_tasks(str(tmp_path)) == load_tasks(str(path))


@pytest.mark.parametrize(
    "content",
    [
        {"a__b-1": {"repo": "a/b"}, "c__d.e-22": {"repo": "c/d.e"}},
        ["a__b-1", "c__d.e-22"],
        {"name": "few", "instance_ids": ["a__b-1", "c__d.e-22"]},
        {"a__b-1": 1, "c__d.e-22": 8},
    ],
)
def test_json_by_id_and_bare_ids(tmp_path: Path, content: object) -> None:
    (tmp_path / "ids.json").write_text(json.dumps(content))
    tasks = load_tasks(str(tmp_path / "ids.json"))
    assert [(task.instance_id, task.repo) for task in tasks] == [("a__b-1", "a/b"), ("c__d.e-22", "c/d.e")]


def test_folder_splits_and_duplicates(tmp_path: Path) -> None:
    for name, number in [("x__dev", 1), ("test-00000-of-00001", 2), ("latest", 3)]:
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**ROW, "instance_id": f"a__b-{number}"}) + "\n")
    assert [task.instance_id for task in load_tasks(str(tmp_path), split="test")] == ["a__b-2"]
    with pytest.raises(TaskError, match=r"no .* files of split 'train'"):
        load_tasks(str(tmp_path), split="train")
    (tmp_path / "again.json").write_text(json.dumps(["a__b-1"]))
    with pytest.raises(TaskError, match=r"a__b-1 occurs twice, in again\.json and x__dev\.jsonl"):
        load_tasks(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.jsonl", '{"instance_id": "a"}\nnot json\n', "line 2: not JSON|row 1: a: no repo"),
        (
            "bad.json",
            '["a__b-1", "a__b-1"]',
            "bad.json, row 2: a__b-1 occurs twice in this file: give one row per task",
        ),
        ("bad.json", "7", "a list of rows was expected, this is int"),
        ("bad.json", '["astropy"]', "'astropy' is not an instance id"),
        ("bad.json", "[7]", "row 1: an object was expected"),
        ("bad.parquet", "x", "not a parquet file"),
        (
            "bad.csv",
            "a,b\n",
            r"bad.csv: a file of tasks ends in .json, .jsonl, .parquet; read as JSON, as others are: not JSON",
        ),
    ],
)
def test_bad_files_say_where(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TaskError, match=message):
        load_tasks(str(tmp_path / name))


@pytest.mark.parametrize(("name", "content"), [("x.jsonl", json.dumps(ROW)), ("x.json", json.dumps([ROW]))])
def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content + "\r\n", encoding="utf-8-sig", newline="")
    assert len(load_tasks(str(tmp_path / name))) == 1


def test_unknown_names() -> None:
    with pytest.raises(TaskError, match="did you mean 'lite'"):
        load_tasks("litee")
    with pytest.raises(TaskError, match="no such file"):
        load_tasks("missing.parquet")
    assert {"lite", "verified", "full", "multilingual", "swe-gym", "swe-smith", "quickstart"} <= set(split_names())


def test_what_is_not_on_the_hub_has_no_revision(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    for local in ("quickstart", str(file), str(tmp_path)):
        with pytest.raises(TaskError, match=f"revision 'abc': {local} is read from this machine.*leave it out"):
            load_tasks(local, revision="abc")
        for settings in (EvalSettings(split=local, revision="abc"), EvalSettings("lite", str(file), revision="abc")):
            with pytest.raises(TaskError, match="revision 'abc'"):
                select_tasks(settings)
    with pytest.raises(TaskError, match="revision 'abc'"):
        load_problems("aime24", str(file), revision="abc")


def test_without_the_hub_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = {}

    def unreachable(name: str, **options: object) -> None:
        asked.update(options, name=name)
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        TaskError, match=r"SWE-bench/SWE-bench_Lite \(split test, revision abc\).*give its path instead"
    ):
        load_tasks("lite", revision="abc")
    assert asked == {"name": "SWE-bench/SWE-bench_Lite", "split": "test", "revision": "abc"}


def test_named_hub_sets_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    revisions = []
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name, **options: revisions.append(options["revision"]) or [ROW]
    )
    for name in HUB_SETS:
        load_tasks(name)
    load_tasks("some/where")
    assert revisions.pop() is None
    assert len(set(revisions)) == len(HUB_SETS) and all(re.fullmatch("[0-9a-f]{40}", one) for one in revisions)


def test_hub_rows_become_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda name, **options: [ROW])
    assert load_tasks("some/where") == [task_from_row(ROW)]


@pytest.mark.shared
class TestRealData:
    def test_swe_bench_parquet(self, shared_data: Path) -> None:
        counts = {"SWE-bench_Lite__dev": 23, "SWE-bench_Lite__test": 300, "SWE-bench_Verified__test": 500}
        for name, count in counts.items():
            tasks = load_tasks(str(shared_data / "swebench" / f"{name}.parquet"))
            assert len(tasks) == count
            assert all(complete(task) for task in tasks)

    def test_every_file_of_other_task_sets(self, shared_data: Path) -> None:
        files = sorted((shared_data / "tasks").iterdir())
        assert files
        for file in files:
            assert load_tasks(str(file))

    def test_every_swe_smith_patch_turns_around(self, shared_data: Path) -> None:
        files = sorted((shared_data / "tasks").glob("*.instances.jsonl"))
        tasks = [task for file in files for task in load_tasks(str(file))]
        assert len(tasks) > 2000
        for task in tasks:
            assert task.patch != task.setup_patch
            assert reverse_patch(task.patch) == task.setup_patch


def complete(task: Task) -> bool:
    return bool(
        task.patch and task.test_patch and task.fail_to_pass and task.eval_script and task.log_parser and task.image
    )
