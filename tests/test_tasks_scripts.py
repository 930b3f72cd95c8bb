"""Evaluation scripts of rows that have none: SWE-rebench's, SWE-Gym's; and rows of Multilingual, which have theirs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from swe_srl.errors import TaskError
from swe_srl.files import write_jsonl
from swe_srl.grading import GradingSettings, obstacle
from swe_srl.grading.harness import command_of, log_parser
from swe_srl.tasks import load_tasks, task_from_row
from swe_srl.tasks.scripts import SWE_GYM, HowTested, changed_files, directives, script, scripted, with_script
from swe_srl.types import Task

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEST_PATCH = """diff --git a/tests/test_new.py b/tests/test_new.py
new file mode 100644
--- /dev/null
+++ b/tests/test_new.py
@@ -0,0 +1,2 @@
+def test_new():
+    assert "it's"
diff --git a/tests/test_old.py b/tests/test_old.py
--- a/tests/test_old.py
+++ b/tests/test_old.py
@@ -1,2 +1,1 @@
 def test_old():
--- a/not/a/file.py
diff --git a/tests/data.json b/tests/data.json
--- a/tests/data.json
+++ b/tests/data.json
@@ -1,1 +1,1 @@
-1
+2
"""
INSTALL_CONFIG = {  # a row's own, but for the length of its lists
    "env_vars": None,
    "env_yml_path": None,
    "install": "pip install -e .[dev]",
    "log_parser": "parse_log_pytest",
    "no_use_env": None,
    "packages": "requirements.txt",
    "pip_packages": ["pytest"],
    "pre_install": None,
    "python": "3.9",
    "reqs_path": ["requirements.txt"],
    "test_cmd": "pytest --no-header -rA --tb=line --color=no -p no:cacheprovider -W ignore::DeprecationWarning",
}
REBENCH = {  # the columns of nebius/SWE-rebench
    "instance_id": "0b01001001__spectree-64",
    "base_commit": COMMIT,
    "created_at": "2020-10-12 13:21:50",
    "environment_setup_commit": COMMIT,
    "hints_text": "",
    "patch": "diff --git a/spectree/utils.py b/spectree/utils.py\n",
    "problem_statement": "Query parameters lose their description",
    "repo": "0b01001001/spectree",
    "test_patch": TEST_PATCH,
    "meta": {"commit_name": "head_commit", "has_test_patch": True, "llm_score": {"difficulty_score": 1}},
    "version": "0.3",
    "install_config": INSTALL_CONFIG,
    "requirements": "pytest==8.3.5",
    "environment": None,
    "FAIL_TO_PASS": ["tests/test_new.py::test_new"],
    "FAIL_TO_FAIL": [],
    "PASS_TO_PASS": ["tests/test_old.py::test_old"],
    "PASS_TO_FAIL": [],
    "license_name": "Apache License 2.0",
    "docker_image": "swerebench/sweb.eval.x86_64.0b01001001_1776_spectree-64",
    "image_name": "swerebench/sweb.eval.x86_64.0b01001001_1776_spectree-64",
}
GYM = {  # the columns of SWE-Gym/SWE-Gym
    "instance_id": "getmoto__moto-7365",
    "hints_text": "",
    "patch": "diff --git a/moto/x.py b/moto/x.py\n",
    "test_patch": TEST_PATCH,
    "created_at": "2024-02-19 20:29:03",
    "problem_statement": "update_item ADD should be atomic",
    "repo": "getmoto/moto",
    "base_commit": COMMIT,
    "version": "5.0",
    "PASS_TO_PASS": [],
    "FAIL_TO_PASS": ["tests/test_new.py::test_new"],
}
MULTILINGUAL = {  # the columns of SWE-bench/SWE-bench_Multilingual
    "base_commit": COMMIT,
    "created_at": "2023-01-01T00:00:00Z",
    "eval_type": "pass_and_fail",
    "image": "swebench/sweb.eval.x86_64.redis_1776_redis-10068:latest",
    "instance_id": "redis__redis-10068",
    "log_parser": "parse_log_redis",
    "repo": "redis/redis",
    "version": "10068",
    "patch": "diff --git a/src/x.c b/src/x.c\n",
    "test_patch": TEST_PATCH,
    "eval_script": "#!/bin/bash\n: '>>>>> Start Test Output'\n./runtest\n: '>>>>> End Test Output'\n",
    "problem_statement": "XTRIM takes too much",
    "hints_text": "",
    "FAIL_TO_PASS": ["trim"],
    "PASS_TO_PASS": ["add"],
}


SMITH = {  # the columns of SWE-bench/SWE-smith
    "instance_id": "oauthlib__oauthlib.1fd52536.combine_file__09vlzwgc",
    "repo": "swesmith/oauthlib__oauthlib.1fd52536",
    "patch": "diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-good\n+bad\n",
    "FAIL_TO_PASS": ["tests/test_b.py::test_1", "tests/test_a.py::T::test_2"],
    "PASS_TO_PASS": ["tests/test_a.py::T::test_3", "tests/test_other.py::test_4"],
    "image_name": "jyangballin/swesmith.x86_64.oauthlib_1776_oauthlib.1fd52536",
    "problem_statement": "",
}


def from_hub(name: str, row: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Task:
    """The task that a named set of the hub makes of its only row."""
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda hub_id, **options: [row])
    (task,) = load_tasks(name)
    return task


def test_a_row_of_swe_rebench(monkeypatch: pytest.MonkeyPatch) -> None:
    task = from_hub("swe-rebench", REBENCH, monkeypatch)
    assert task.image == REBENCH["image_name"] and task.log_parser == "parse_log_pytest"
    assert task.fail_to_pass == ("tests/test_new.py::test_new",)
    assert command_of(task) == f"{INSTALL_CONFIG['test_cmd']} tests/test_new.py tests/test_old.py"
    lines = task.eval_script.splitlines()
    reset = f"git checkout {COMMIT} tests/test_old.py tests/data.json"
    assert [lines.index("pip install -e .[dev]") + 1, len(lines) - 1] == [
        number for number, line in enumerate(lines) if line == reset
    ], "test files are reset after the installation, and in the end"
    assert f"image {task.image} is" in obstacle(task, GradingSettings()), "nothing is missing but the image"


def test_a_row_of_swe_gym(monkeypatch: pytest.MonkeyPatch) -> None:
    task = from_hub("swe-gym", GYM, monkeypatch)
    assert task.image == "xingyaoww/sweb.eval.x86_64.getmoto_s_moto-7365:latest"
    assert command_of(task) == "pytest -n0 -rA tests/test_new.py tests/test_old.py"
    assert f"image {task.image} is" in obstacle(task, GradingSettings())
    for repo, how in SWE_GYM.items():
        other = from_hub(
            "swe-gym-lite", {**GYM, "repo": repo.replace("project-monai/monai", "Project-MONAI/MONAI")}, monkeypatch
        )
        assert command_of(other).startswith(how.command) and log_parser(other), repo


def test_mypys_tests_are_named_by_their_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = "diff --git a/test-data/unit/check.test b/test-data/unit/check.test\n+[case testOne]\n+[case testTwo]\n"
    task = from_hub("swe-gym", {**GYM, "repo": "python/mypy", "test_patch": patch}, monkeypatch)
    assert command_of(task) == 'pytest -rA -k "testOne or testTwo"'


def test_a_row_of_swe_smith(monkeypatch: pytest.MonkeyPatch) -> None:
    task = from_hub("swe-smith", SMITH, monkeypatch)
    assert (task.image, task.setup_patch) == (SMITH["image_name"], SMITH["patch"])
    assert "-bad" in task.patch and "+good" in task.patch, "the fix is the bug's reverse"
    assert command_of(task).endswith("--verbose -rA tests/test_a.py tests/test_b.py")
    assert "git checkout HEAD~1 -- tests/test_a.py tests/test_b.py\n" in task.eval_script
    assert task.pass_to_pass == ("tests/test_a.py::T::test_3",), "of the files that are run"
    assert f"image {task.image} is" in obstacle(task, GradingSettings())
    mypy = {"repo": "swesmith/python__mypy.e93f06ce", "FAIL_TO_PASS": ["m/testcheck.py::S::x.test::testOne"]}
    assert command_of(from_hub("swe-smith", {**SMITH, **mypy}, monkeypatch)).endswith('-k "testOne"')


def test_tests_of_swe_smith_that_are_not_pytests_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"repo": "swesmith/tornadoweb__tornado.d5ac65c1", "FAIL_TO_PASS": ["test_1 (tornado.test.T)"]}
    task = from_hub("swe-smith", {**SMITH, **other}, monkeypatch)
    assert "no eval_script" in obstacle(task, GradingSettings())
    rust = {"repo": "swesmith/rust-lang__log.12345678", "FAIL_TO_PASS": ["tests::test_1"]}
    assert from_hub("swe-smith", {**SMITH, **rust}, monkeypatch).eval_script == ""


def test_a_row_of_multilingual_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    task = from_hub("multilingual", MULTILINGUAL, monkeypatch)
    assert (task.eval_script, task.log_parser, task.image) == tuple(
        MULTILINGUAL[name] for name in ("eval_script", "log_parser", "image")
    )
    assert task.pass_to_pass == ("add",)
    assert f"image {task.image} is" in obstacle(task, GradingSettings())


def test_a_file_of_rows_and_a_rule_are_enough(tmp_path: Path) -> None:
    from swe_srl.evaluation.selection import select_tasks
    from swe_srl.evaluation.settings import EvalSettings

    write_jsonl(tmp_path / "rebench.jsonl", [{**REBENCH, "install_config": json.dumps(INSTALL_CONFIG)}])
    write_jsonl(tmp_path / "gym.jsonl", [GYM])
    assert "--tb=line" in load_tasks(str(tmp_path / "rebench.jsonl"))[0].eval_script
    assert load_tasks(str(tmp_path / "gym.jsonl"))[0].eval_script == "", "it could be any set's"
    settings = EvalSettings(split=str(tmp_path / "gym.jsonl"), images="swe-gym")
    (task,) = select_tasks(settings)
    assert "pytest -n0 -rA" in task.eval_script


def test_rows_with_a_script_or_of_unknown_sets_stay_as_they_are() -> None:
    own = task_from_row({**REBENCH, "eval_script": "true", "log_parser": "parse_log_django"})
    assert with_script(own) == own
    plain = task_from_row(GYM)
    assert with_script(plain) == plain
    elsewhere = task_from_row({**REBENCH, "image_name": "docker.io/swerebenchv2/a:latest"})
    assert with_script(elsewhere) == elsewhere, "its repository is not at /testbed"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "column install_config is no JSON"),
        ([1], "column install_config is list"),
        ({"install": "x"}, "has no test_cmd"),
        ({"test_cmd": 7}, "test_cmd is neither a command nor a list"),
        ({"test_cmd": "pytest", "log_parser": 7}, "log_parser is int"),
    ],
)
def test_an_unusable_configuration_names_row_and_column(config: object, message: str) -> None:
    task = task_from_row({**REBENCH, "install_config": config})
    with pytest.raises(TaskError, match=f"spectree-64.*{message}"):
        scripted(task)
    assert with_script(task) == task and message in obstacle(task, GradingSettings()), "it keeps no other from running"


def test_an_unknown_log_parser_is_an_obstacle() -> None:
    config = {**INSTALL_CONFIG, "log_parser": "parse_log_pytst"}
    task = with_script(task_from_row({**REBENCH, "install_config": config}))
    assert "did you mean 'parse_log_pytest'" in obstacle(task, GradingSettings())


def test_files_and_scripts() -> None:
    assert changed_files(TEST_PATCH) == ["tests/test_old.py", "tests/data.json"], (
        "lines that look like headers are none"
    )
    assert directives(TEST_PATCH) == ["tests/test_new.py", "tests/test_old.py"]
    added = TEST_PATCH.split("diff --git a/tests/test_old.py")[0]
    text = script(task_from_row({**REBENCH, "test_patch": added}), HowTested("pytest"))
    assert "git checkout" not in text, "without files it would leave the patched commit"
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.shared
@pytest.mark.parametrize(("name", "least"), [("Lite__dev", 20), ("Lite__test", 182), ("Verified__test", 258)])
def test_published_scripts_are_made_of_the_same_parts(shared_data: Path, name: str, least: int) -> None:
    """SWE-bench's own scripts, made in the same way, taken apart and made again.

    What differs: test files that a patch adds or renames (SWE-bench resets them too, by names that are not there), Django's
    (whose tests are named by module), and two with commands around the reset.
    """
    same = 0
    for task in load_tasks(str(shared_data / "swebench" / f"SWE-bench_{name}.parquet")):
        tail = f" {' '.join(directives(task.test_patch))}"
        special = task.repo == "django/django" or task.instance_id in ("astropy__astropy-8707", "astropy__astropy-8872")
        if special or re.search("^(new file mode|rename from|deleted file mode)", task.test_patch, re.MULTILINE):
            continue
        lines = task.eval_script.split("\n")
        begin, again = lines.index("cd /testbed") + 1, len(lines) - lines[::-1].index("conda activate testbed")
        before = lines[begin : lines.index("git config --global --add safe.directory /testbed")]
        reset = next(number for number, line in enumerate(lines) if line.startswith("git checkout "))
        how = HowTested(command_of(task).removesuffix(tail), "", tuple(lines[again:reset]), tuple(before))
        assert script(task, how).rstrip("\n") == task.eval_script.rstrip("\n"), task.instance_id
        same += 1
    assert same >= least
