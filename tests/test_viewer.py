"""The pages' data: what it says of runs, finished or not, and that nothing in it is more than text."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from viewer_support import episode, make_run, quickstart_run, training_run, verdict

from swe_srl.cli import main
from swe_srl.errors import ConfigError, SweSrlError, TrajectoryError
from swe_srl.evaluation.logs import save_test_run
from swe_srl.files import write_jsonl
from swe_srl.grading.workshop import HardenedReport
from swe_srl.provenance import fingerprint
from swe_srl.rewards import get_similarity
from swe_srl.runs import RunFolder
from swe_srl.tasks import load_tasks
from swe_srl.trajectories import write_trajectories
from swe_srl.types import TestRun, Verdict, VerdictStatus
from swe_srl.viewer import ViewSettings, write_view
from swe_srl.viewer.scripts import script_text
from swe_srl.viewer.trainings import read_curves

_SCRIPT = re.compile(r"sweSrl\.receive\((?P<name>\"[^\"]*\"), (?P<value>.*)\);\n", re.DOTALL)


def data(pages: Path, name: str = "index") -> Any:
    """What a data script hands to the pages."""
    match = _SCRIPT.fullmatch((pages / "data" / f"{name}.js").read_text(encoding="ascii"))
    assert match is not None and json.loads(match["name"]) == name
    return json.loads(match["value"])


def view(pages: Path, *runs: Path, **settings: Any) -> Any:
    """The index of pages of these runs."""
    page = write_view(ViewSettings(tuple(map(str, runs)), pages, **settings))
    assert page == pages / "index.html" and page.is_file()
    return data(pages)


def test_an_evaluation(tmp_path: Path) -> None:
    run = quickstart_run(tmp_path / "run")
    before = fingerprint(run)
    (shown,) = view(tmp_path / "pages", run)["runs"]
    assert fingerprint(run) == before
    assert (shown["name"], shown["kind"], len(shown["rows"])) == ("run", "eval", 6)
    assert shown["rates"]["official"]["resolved"] == 3 and shown["rates"]["hardened"]["resolved"] == 2
    first = shown["rows"][0]
    assert (first["status"], first["official"], first["hardened"], first["stop"]) == (
        "resolved",
        True,
        False,
        "submitted",
    )
    assert (first["turns"], first["format_errors"], first["changed"]) == (5, 1, 1)
    page = data(tmp_path / "pages", first["data"])
    assert page["turns"][0]["command"] == "ls -la" and page["turns"][1]["error"] == "two commands"
    assert page["turns"][3]["exit_code"] == 1
    assert page["gold"].startswith("diff --git") and page["patch"].startswith("diff --git a/cart.py")
    assert page["verdict"]["tests"]["pass_to_pass_passed"] == ["test_a", "test_b"]
    assert page["fork"] == f"{run}:{first['task']}#0"
    assert "sed -i" in data(tmp_path / "pages", shown["search"])["0"]


def test_the_expert_stands_beside_with_its_similarity(tmp_path: Path) -> None:
    (shown,) = view(tmp_path / "pages", quickstart_run(tmp_path / "run"))["runs"]
    page = data(tmp_path / "pages", shown["rows"][0]["data"])
    assert len(page["expert"]) >= 5 and page["expert"][-1]["command"] == "submit"
    turn = page["turns"][0]
    assert turn["target"] == page["expert"][0]["command"]
    for score in turn["scores"]:
        exact = get_similarity(score["name"])("ls -la", turn["target"])
        assert score["value"] == exact.value and score["parts"].keys() == exact.parts.keys()
    assert [score["name"] for score in turn["scores"]] == ["sequence", "shell"]
    values = [one["scores"][0]["value"] if one["scores"] else 0.0 for one in page["turns"]]
    assert shown["rows"][0]["similarity"] == pytest.approx(sum(values) / 5)


def test_given_trajectories_come_before_the_scripted_expert(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(episode("shop__cart-1"), 0)], tasks="gone.jsonl")
    write_trajectories(tmp_path / "expert.jsonl", [episode("shop__cart-1", ["ls -la", "vi"]), episode("shop__other-1")])
    (shown,) = view(tmp_path / "pages", run, trajectories=str(tmp_path / "expert.jsonl"))["runs"]
    page = data(tmp_path / "pages", shown["rows"][0]["data"])
    assert [turn["target"] for turn in page["turns"]] == ["ls -la", "vi", None, None, None]
    assert any("gone.jsonl" in note for note in shown["notes"])
    (shown,) = view(tmp_path / "pages", run)["runs"]
    assert (
        data(tmp_path / "pages", shown["rows"][0]["data"])["expert"] is None and shown["rows"][0]["similarity"] is None
    )
    with pytest.raises(TrajectoryError, match="nowhere"):
        view(tmp_path / "pages", run, trajectories="nowhere.jsonl")


@pytest.mark.parametrize(("agent", "value"), [("math", 1.0), ("shell", 0.0), ("gone.yaml", 0.0)])
def test_only_shell_commands_are_guarded(tmp_path: Path, agent: str, value: float) -> None:
    said = ["### Let n be even."]
    run = make_run(tmp_path / "run", [(episode("shop__cart-1", said), 0)], tasks="gone.jsonl", agent=agent)
    write_trajectories(tmp_path / "expert.jsonl", [episode("shop__cart-1", said)])
    (shown,) = view(tmp_path / "pages", run, trajectories=str(tmp_path / "expert.jsonl"))["runs"]
    (turn, *_) = data(tmp_path / "pages", shown["rows"][0]["data"])["turns"]
    assert {score["name"]: score["value"] for score in turn["scores"]} == {"sequence": value, "shell": 0.0}
    assert any("agent definition" in note for note in shown["notes"]) is (agent == "gone.yaml")


def test_interrupted_and_empty_runs(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "broken", [(episode("shop__cart-1"), 0), (episode("shop__cart-2"), 0)], tasks="gone.jsonl"
    )
    with (run / "episodes.jsonl").open("a") as file:
        file.write('{"task_id": "shop__cart-3", "tu')  # killed while it wrote
    row = {"task_id": "shop__cart-4", "sample": 0, "stage": "episode", "reason": "no sandbox"}
    write_jsonl(run / "failures.jsonl", [row, {**row, "task_id": "shop__cart-2", "stage": "grading"}])
    write_jsonl(run / "verdicts.jsonl", [])
    empty = make_run(tmp_path / "empty")
    (empty / "episodes.jsonl").unlink()
    with RunFolder.start(tmp_path / "train", "train", {"stages": [{"method": "srl"}], "model": "m"}):
        pass
    shown = view(tmp_path / "pages", run, empty, tmp_path / "train")["runs"]
    assert [one["finished"] for one in shown] == [False, False, False]
    rows = {row["task"]: (row["status"], "data" in row) for row in shown[0]["rows"]}
    assert rows["shop__cart-1"] == ("ungraded", True)
    assert rows["shop__cart-2"] == ("infrastructure", True) and rows["shop__cart-4"] == ("infrastructure", False)
    assert len(rows) == 3 and shown[1]["rows"] == [] and shown[2]["updates"] == 0


def test_a_failure_that_was_made_good_is_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(episode("shop__cart-1"), 0)], [(verdict("shop__cart-1"), 0)], tasks="gone.jsonl")
    row = {"task_id": "shop__cart-1", "sample": 0, "stage": "grading", "reason": "daemon gone"}
    write_jsonl(run / "failures.jsonl", [row])
    (shown,) = view(tmp_path / "pages", run)["runs"]
    assert [row["status"] for row in shown["rows"]] == ["resolved"]


def test_a_run_without_hardened_runs_tells_nothing_of_them(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run",
        [(episode("shop__cart-1"), 0)],
        [(verdict("shop__cart-1", True, False), 0)],
        hardened=False,
        tasks="gone.jsonl",
    )
    (shown,) = view(tmp_path / "pages", run)["runs"]
    assert "hardened" not in shown["rates"] and shown["rows"][0]["hardened"] is None


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(episode("shop__cart-1"), 0)])
    (run / "verdicts.jsonl").write_text('{"task_id": "shop__cart-1"}\n')
    with pytest.raises(SweSrlError, match=r"verdicts\.jsonl is damaged: KeyError"):
        view(tmp_path / "pages", run)
    assert not (tmp_path / "pages").exists() and not list(tmp_path.glob(".pages*"))


def test_training_curves_and_samples(tmp_path: Path) -> None:
    (shown,) = view(tmp_path / "pages", training_run(tmp_path / "train"))["runs"]
    content = data(tmp_path / "pages", shown["data"])
    assert content["curves"]["loss"] == [[1, 1.0], [2, 0.0], [3, -1.0], [4, 0.1], [5, 0.1], [6, 0.1]]
    assert content["curves"]["reward_mean"][0] == [4, 0.6] and content["curves"]["seconds/total"][0] == [1, 0.5]
    assert [(stage["method"], stage["begin"], stage["updates"]) for stage in content["stages"]] == [
        ("sft", 0, 3),
        ("srl", 3, 3),
    ]
    assert content["chosen"] == [2] and shown["updates"] == 6 and not shown["finished"]
    assert content["samples"][0]["completions"][1]["malformed"] == "no block"
    assert read_curves([]) == ({}, [])


def test_comparisons_are_those_of_compare(tmp_path: Path) -> None:
    names = [f"shop__cart-{number}" for number in range(6)]
    runs = [
        make_run(
            tmp_path / name,
            [(episode(task), 0) for task in names],
            [(verdict(task, number < passing), 0) for number, task in enumerate(names)],
            tasks="gone.jsonl",
        )
        for name, passing in (("a", 1), ("b", 5))
    ]
    (pair,) = view(tmp_path / "pages", *runs, make_run(tmp_path / "c"))["comparisons"]
    assert (pair["a"], pair["b"], pair["tasks"]) == ("a", "b", 6)
    assert pair["difference"]["value"] == pytest.approx(4 / 6) and pair["p_value"] == pytest.approx(0.125)
    assert pair["other_rows"] is False


def test_data_is_text_whatever_it_holds() -> None:
    hostile = "</script><script>hacked=1</script> \u2028 \u2029 <!-- \ud800 ]]> & é \x00 \x1b[31m"
    text = script_text("name", {hostile: [hostile, float("nan")]})
    assert text.isascii() and not set("<>&") & set(text) and "\n" not in text[:-1]
    assert json.loads(text[len('sweSrl.receive("name", ') : -3]) == {hostile: [hostile, None]}


def test_task_ids_choose_no_file_names(tmp_path: Path) -> None:
    name = "../../../outside/<b>&"
    run = make_run(tmp_path / "run", [(episode(name), 0)], tasks="gone.jsonl")
    logs = tmp_path / "outside" / "<b>&" / "0"
    logs.mkdir(parents=True)
    (logs / "outcome.json").write_text('{"exit_code": 0, "applied": true}')
    (logs / "test_output.txt").write_text("not of this run")
    (shown,) = view(tmp_path / "a" / "pages", run)["runs"]
    assert shown["rows"][0]["data"] == "run0/0"
    assert data(tmp_path / "a" / "pages", "run0/0")["logs"] == []


def test_logs_are_shown_by_their_ends(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(episode("shop__cart-1"), 0)], tasks="gone.jsonl")
    logs = run / "logs" / "shop__cart-1" / "0"
    save_test_run(logs, TestRun("x" * 30_000 + "the end", 0, True, report=HardenedReport(log="hidden").as_text()))
    save_test_run(logs / "regrade-1", TestRun("again", 0, True))
    (shown,) = view(tmp_path / "pages", run)["runs"]
    first, hidden, again = data(tmp_path / "pages", shown["rows"][0]["data"])["logs"]
    assert first["text"].endswith("xthe end") and "10007 characters are left out" in first["text"]
    assert hidden == {"title": "Log of the hardened run", "text": "hidden"}
    assert again == {"title": "Test log of grading 2", "text": "again"}
    (logs / "hardened.json").write_text("no JSON")
    (shown,) = view(tmp_path / "pages", run)["runs"]
    assert "cannot be read" in data(tmp_path / "pages", shown["rows"][0]["data"])["logs"][0]["text"]


def test_folders_of_runs_and_alike_names(tmp_path: Path) -> None:
    for name in ("demo/before", "demo/after", "other/before", "demo/compare"):
        make_run(tmp_path / name)
    (tmp_path / "demo" / "not-a-run").mkdir()
    shown = view(tmp_path / "pages", tmp_path / "demo", tmp_path / "other")["runs"]
    assert sorted(run["name"] for run in shown) == ["after", "before", "before-2", "compare-2"]


def test_pages_are_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    view(tmp_path / "pages", run)
    (tmp_path / "pages" / "data" / "old.js").write_text("")
    view(tmp_path / "pages", run)
    assert not (tmp_path / "pages" / "data" / "old.js").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["pages", "run"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("dear")
    for output in (tmp_path / "mine", tmp_path / "mine" / "work.txt", run):
        with pytest.raises(ConfigError, match="output"):
            view(output, run)
    assert (tmp_path / "mine" / "work.txt").read_text() == "dear"
    with pytest.raises(ConfigError, match=r"pages cannot be made: .*work.txt is no folder that can be written"):
        view(tmp_path / "mine" / "work.txt" / "pages", run)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run is in its sub-folders"):
        view(tmp_path / "pages", tmp_path)
    with pytest.raises(ConfigError, match="no such folder"):
        view(tmp_path / "pages", tmp_path / "nowhere")


def test_the_folder_needs_nothing_but_itself(tmp_path: Path) -> None:
    view(tmp_path / "pages", make_run(tmp_path / "run"))
    page = (tmp_path / "pages" / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [name for name in named if name != "data:," and not (tmp_path / "pages" / name).is_file()] == []
    assert len(named) > 10
    for file in (tmp_path / "pages").rglob("*.*s"):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text
        ), file


def test_the_command(run_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(run_root / "a", [(episode("shop__cart-1"), 0)], [(verdict("shop__cart-1"), 0)], tasks="gone.jsonl")
    make_run(run_root / "b")
    assert main(["view", "a", "--output", "pages", "b"]) == 0
    assert f"open {(run_root / 'pages' / 'index.html').as_uri()}" in capsys.readouterr().out
    assert [run["name"] for run in data(run_root / "pages")["runs"]] == ["a", "b"]
    assert main(["view"]) == 2 and "RUNS is missing" in capsys.readouterr().err
    assert main(["view", "nowhere"]) == 2 and "nowhere: no such folder" in capsys.readouterr().err
    assert main(["view", "a", "--similarity", "shel"]) == 2 and "did you mean 'shell'" in capsys.readouterr().err


def test_a_run_of_predictions(tmp_path: Path) -> None:
    bare = {"sandbox": "auto", "timeout": 1.0, "hardened": True}
    for name, origin in (
        ("graded", {}),
        ("told", {"split": "quickstart", "tasks": "", "revision": "", "images": "auto"}),
    ):
        with RunFolder.start(tmp_path / name, "grade", bare | origin):
            pass
    made = make_run(
        tmp_path / "run",
        [(episode("shop__cart-1", ()), 0)],
        [(Verdict("shop__cart-1", VerdictStatus.EMPTY_PATCH, False, False), 0)],
    )
    for name in ("episodes.jsonl", "verdicts.jsonl"):
        shutil.copy(made / name, tmp_path / "graded" / name)
    (shown,) = view(tmp_path / "pages", tmp_path / "graded")["runs"]
    assert shown["rows"][0]["status"] == "empty_patch" and shown["title"] == "graded predictions"
    assert "does not record which tasks" in shown["notes"][0]
    task = load_tasks("quickstart")[0]
    answer = replace(episode(task.instance_id, ()), turns=())
    made = make_run(tmp_path / "other", [(answer, 0)], [(verdict(task.instance_id), 0)])
    for name in ("episodes.jsonl", "verdicts.jsonl"):
        shutil.copy(made / name, tmp_path / "told" / name)
    (shown,) = view(tmp_path / "pages", tmp_path / "told")["runs"]
    assert data(tmp_path / "pages", shown["rows"][0]["data"])["gold"] == task.patch and not shown["notes"]
