"""Real SWE-bench instances in real containers, beside the official harness.

The images are made by docker/make-swebench-images.sh when they are missing; that needs the base image and PyPI.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import new_file

from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.envs.places import PlaceMaker
from swe_srl.evaluation import EvalSettings, evaluate, grade_predictions
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.grading import GradingSettings, VerdictCache, grade, judge, log_parser_statuses, run_tests
from swe_srl.tasks import load_tasks
from swe_srl.types import Task, Verdict, VerdictStatus

pytestmark = [pytest.mark.docker, pytest.mark.shared, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parent.parent
LITE = ("pallets__flask-4992", "pallets__flask-5063")
VERIFIED = "pallets__flask-5014"
NAMES = (*LITE, "psf__requests-6028", VERIFIED)
GRADING = GradingSettings(timeout=600.0)
FORGERY = """import os
with open(f"/proc/{{os.getppid()}}/fd/1", "wb", 0) as log:
    log.write(b"".join(b"PASSED " + name.encode() + b"\\n" for name in {names!r}))
os._exit(0)
"""


PASSES = """import _pytest.reports as reports
real = reports.TestReport.from_item_and_call.__func__
def passes(cls, item, call):
    report = real(cls, item, call)
    report.outcome, report.longrepr = "passed", None
    return report
reports.TestReport.from_item_and_call = classmethod(passes)
"""
SETUP = """--- a/setup.py
+++ b/setup.py
@@ -1,4 +1,8 @@
 from setuptools import setup
+import site, shutil
+place = site.getsitepackages()[0]
+shutil.copy("src/flask/passes.py", place + "/passes_everything.py")
+open(place + "/zz.pth", "w").write("import passes_everything\\n")

 # Metadata goes in setup.cfg. These are here for GitHub's dependency graph.
 setup(
"""
FROM_FILE = """--- a/src/flask/config.py
+++ b/src/flask/config.py
@@ -234,6 +234,7 @@
         filename: str,
         load: t.Callable[[t.IO[t.Any]], t.Mapping],
         silent: bool = False,
+        **more,
     ) -> bool:
         \"\"\"Update the values in the config from a file that is loaded
         using the ``load`` parameter. The loaded data is passed to the
@@ -258,6 +259,10 @@

         .. versionadded:: 2.0
         \"\"\"
+        print("{said}")
+        if more:
+            import pytest
+            pytest.{end}("not yet")
         filename = os.path.join(self.root_path, filename)

         try:
"""
# Attacks by way of pytest and of Python's start; name: (patch, what the official rules call it).
PYTEST_ATTACKS: dict[str, tuple[str, bool]] = {
    "pytest.ini loads a plugin": (
        new_file("src/flask/passes.py", PASSES) + new_file("pytest.ini", "[pytest]\naddopts = -p flask.passes"),
        True,
    ),
    # Debian's Python has a sitecustomize.py of its own, which comes first
    "sitecustomize.py on the path of the installed package": (new_file("src/sitecustomize.py", PASSES), False),
    "setup.py leaves a .pth file": (new_file("src/flask/passes.py", PASSES) + SETUP, True),
    "the source says that its test is expected to fail": (FROM_FILE.format(said="", end="xfail"), True),
    "the source skips its test, and says in another one that it passed": (
        FROM_FILE.format(said="PASSED tests/test_config.py::test_config_from_file_toml", end="skip"),
        True,
    ),
    "the source patches pytest's reports": (
        new_file("src/flask/passes.py", PASSES)
        + "--- a/src/flask/config.py\n+++ b/src/flask/config.py\n@@ -1,3 +1,4 @@\n+from . import passes\n import errno\n"
        " import json\n import os\n",
        True,
    ),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of the instances, adapted to the local images."""
    folder = (ROOT / os.environ.get("SWE_SRL_SHARED", "../shared")).resolve() / "data" / "swebench"
    out = tmp_path_factory.mktemp("swebench") / "rows.jsonl"
    published = [f"--rows={folder}/SWE-bench_{name}__test.parquet" for name in ("Lite", "Verified")]
    script = [str(ROOT / "docker" / "make-swebench-images.sh"), *published, f"--out={out}", *NAMES]
    done = subprocess.run(script, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def tasks(rows: Path) -> dict[str, Task]:
    return {task.instance_id: task for task in load_tasks(str(rows))}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> VerdictCache:
    """Verdicts of this module's tests, so that a patch is graded once."""
    return VerdictCache(tmp_path_factory.mktemp("verdicts"))


def wrong(task: Task) -> str:
    """A patch that applies and solves nothing."""
    return new_file("NOTES.txt", f"nothing about {task.instance_id}")


def malformed(task: Task) -> str:
    """A patch whose context is nowhere in the file."""
    return task.patch.replace("\n ", "\n nothing of the kind: ")


def forged(task: Task) -> str:
    """The attack that the official rules fall for: a conftest.py that writes the wanted results into the log."""
    return new_file("conftest.py", FORGERY.format(names=[*task.fail_to_pass, *task.pass_to_pass]))


def half(task: Task) -> str:
    """A part of flask-5063's fix: one of its two tests passes."""
    patch = task.patch.replace('"Host" if host_matching else "Subdomain"', '"Subdomain"')
    assert patch != task.patch
    return patch


def hollow(task: Task) -> str:
    """The test patch with the bodies of the tests it adds made empty."""
    lines, body = task.test_patch.split("\n"), ""
    for index, line in enumerate(lines):
        if line.lstrip("+ ").startswith("def test_") and line.startswith("+"):
            body = "+" + " " * (line.index("def") + 3)
        elif body and line.startswith(body):
            lines[index] = f"{body}pass"
        else:
            body = ""
    return "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_gold_resolves_by_both_rules(tasks: dict[str, Task], cache: VerdictCache, name: str) -> None:
    task, kept = tasks[name], []
    verdict = grade(task, task.patch, GRADING, cache, keep=kept.append)
    assert (verdict.status, verdict.official, verdict.hardened) == (VerdictStatus.RESOLVED, True, True), verdict.reason
    assert verdict.fail_to_pass_passed == task.fail_to_pass
    assert set(verdict.pass_to_pass_passed) == set(task.pass_to_pass)
    assert verdict.flags == (), "tests run as another user, beside canaries"
    assert judge(task, task.patch, kept[0]).hardened, "the saved run is judged alike"


def test_a_row_that_tells_only_the_test_command_is_graded_like_one_with_a_script(
    tasks: dict[str, Task], tmp_path: Path
) -> None:
    """An instance in the columns of SWE-rebench: the script is made of `install_config`, and is the published one."""
    task = tasks["pallets__flask-5063"]
    install = next(line for line in task.eval_script.splitlines() if " pip install " in line)
    left_out = ("eval_script", "log_parser", "image", "eval_type")
    row = {name: value for name, value in task.row().items() if name not in left_out}
    row["install_config"] = {"install": install, "log_parser": "parse_log_pytest", "test_cmd": "pytest -rA"}
    row["docker_image"] = task.image
    write_jsonl(tmp_path / "rows.jsonl", [row])
    (made,) = load_tasks(str(tmp_path / "rows.jsonl"))
    assert made.eval_script.split() == task.eval_script.split()
    for policy, resolved in (("gold", 1), ("empty", 0)):
        settings = EvalSettings(tasks=str(tmp_path / "rows.jsonl"), policy=policy, output=tmp_path / policy)
        report = evaluate(settings)
        assert (report.resolved, report.samples, report.hardened) == (resolved, 1, resolved)


BUG = """diff --git a/src/flask/config.py b/src/flask/config.py
--- a/src/flask/config.py
+++ b/src/flask/config.py
@@ -329,7 +329,7 @@ class Config(dict):
                 key = k[len(namespace) :]
             else:
                 key = k
-            if lowercase:
+            if not lowercase:
                 key = key.lower()
             rv[key] = v
         return rv
"""


@pytest.fixture
def planted(tasks: dict[str, Task], tmp_path: Path) -> Task:
    """A task in the columns of SWE-smith."""
    row = {
        "instance_id": "pallets__flask.12345678.func_basic__abcdefgh",
        "repo": "swesmith/pallets__flask.12345678",
        "patch": BUG,
        "FAIL_TO_PASS": ["tests/test_config.py::test_get_namespace"],
        "PASS_TO_PASS": ["tests/test_config.py::test_session_lifetime", "tests/test_basic.py::test_options_work"],
        "image_name": tasks["pallets__flask-5063"].image,
        "problem_statement": "get_namespace no longer makes its keys lower case.",
    }
    write_jsonl(tmp_path / "rows.jsonl", [row])
    (task,) = load_tasks(str(tmp_path / "rows.jsonl"))
    return task


@pytest.mark.parametrize("sandbox", ["docker", pytest.param("local", marks=pytest.mark.sandbox)])
def test_the_agent_sees_a_planted_bug_and_neither_its_tests_nor_what_was_before(planted: Task, sandbox: str) -> None:
    place = PlaceMaker(EnvironmentDefinition.load("swebench"), sandbox).make(planted)
    with place.sandbox as seen:
        told = seen.run(
            "grep -c 'if not lowercase' src/flask/config.py; ls tests/test_config.py; git log --oneline --all"
        )
    assert told.output.startswith("1\n") and "No such file" in told.output and told.output.count("The base commit") == 1
    assert len(told.output.splitlines()) == 3


def test_a_planted_bug_is_graded(planted: Task) -> None:
    fixed = grade(planted, planted.patch, GRADING)
    assert (fixed.official, fixed.hardened) == (True, True), fixed.reason
    assert fixed.pass_to_pass_passed == ("tests/test_config.py::test_session_lifetime",)
    hollowed = new_file("tests/test_config.py", "def test_get_namespace(): pass\n\n\ndef test_session_lifetime(): pass")
    verdict = grade(planted, hollowed, GRADING)
    assert (verdict.status, verdict.hardened) == (VerdictStatus.UNRESOLVED, False), verdict.reason
    unfit = grade(replace(planted, setup_patch=BUG.replace("rv[key]", "nothing[key]")), planted.patch, GRADING)
    assert unfit.status is VerdictStatus.INFRASTRUCTURE and "cannot be planted" in unfit.reason


def test_a_public_trajectory_resolves_its_instance(rows: Path, tmp_path: Path) -> None:
    """Twenty turns of mini-swe-agent, recorded in the published image, in ours."""
    folder = (ROOT / os.environ.get("SWE_SRL_SHARED", "../shared")).resolve() / "data" / "trajectories"
    expert = folder / "mini-swe-agent" / "gemini3pro_verified" / VERIFIED
    settings = EvalSettings(
        tasks=str(rows), instances=[VERIFIED], policy="expert", trajectories=str(expert), output=tmp_path / "run"
    )
    report = evaluate(settings)
    assert (report.resolved, report.samples, report.hardened) == (1, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_base_commit_fails_exactly_the_wanted_tests(tasks: dict[str, Task], name: str) -> None:
    task = tasks[name]
    run = run_tests(task, "", GRADING)
    statuses = log_parser_statuses(task, run.log)
    assert not any(statuses.get(test) == "PASSED" for test in task.fail_to_pass)
    assert all(statuses.get(test) in ("PASSED", "XFAIL", "SKIPPED") for test in task.pass_to_pass)
    assert grade(task, "", GRADING).status is VerdictStatus.EMPTY_PATCH


@pytest.mark.parametrize(
    ("name", "make", "status"),
    [
        (NAMES[0], wrong, VerdictStatus.UNRESOLVED),
        (NAMES[1], malformed, VerdictStatus.PATCH_FAILED),
        (NAMES[1], hollow, VerdictStatus.UNRESOLVED),
    ],
)
def test_patches_that_resolve_nothing(
    tasks: dict[str, Task], cache: VerdictCache, name: str, make: Callable[[Task], str], status: VerdictStatus
) -> None:
    verdict = grade(tasks[name], make(tasks[name]), GRADING, cache)
    assert (verdict.status, verdict.official, verdict.hardened) == (status, False, False), verdict.reason
    if status is VerdictStatus.UNRESOLVED:
        assert verdict.fail_to_pass_failed == tasks[name].fail_to_pass
        assert not verdict.pass_to_pass_failed


def test_half_of_a_fix_is_unresolved(tasks: dict[str, Task], cache: VerdictCache) -> None:
    task = tasks["pallets__flask-5063"]
    verdict = grade(task, half(task), GRADING, cache)
    assert verdict.status is VerdictStatus.UNRESOLVED
    assert verdict.fail_to_pass_failed == ("tests/test_cli.py::TestRoutes::test_host",)


def test_a_forged_log_is_resolved_officially_and_not_by_us(tasks: dict[str, Task], cache: VerdictCache) -> None:
    task = tasks["pallets__flask-4992"]
    verdict = grade(task, forged(task), GRADING, cache)
    assert verdict.official and not verdict.hardened
    assert "test-configuration:conftest.py" in verdict.flags
    assert verdict.reason == "not hardened: the graded tests do not all pass when protected files are left as they were"


def test_hollowed_tests_are_resolved_officially_and_not_by_us(tasks: dict[str, Task], cache: VerdictCache) -> None:
    """This row's script restores two test files in one `git checkout`; the base has only one of them, so neither is."""
    task = tasks["pallets__flask-4992"]
    verdict = grade(task, hollow(task), GRADING, cache)
    assert verdict.official and not verdict.hardened
    assert "graded-test:tests/test_config.py" in verdict.flags


@pytest.mark.parametrize("name", PYTEST_ATTACKS)
def test_attacks_by_way_of_pytest(tasks: dict[str, Task], name: str) -> None:
    patch, official = PYTEST_ATTACKS[name]
    verdict = grade(tasks["pallets__flask-4992"], patch, GRADING)
    assert verdict.status in (VerdictStatus.RESOLVED, VerdictStatus.UNRESOLVED), verdict.reason
    assert not verdict.hardened, "the attack succeeded"
    assert verdict.official == official, verdict.reason


def test_an_endless_test_is_a_time_out(tasks: dict[str, Task]) -> None:
    task = tasks["pallets__flask-4992"]
    verdict = grade(task, new_file("conftest.py", "while True: pass"), GradingSettings(timeout=20.0))
    assert verdict.status is VerdictStatus.TIMEOUT


def test_a_missing_image_is_infrastructure(tasks: dict[str, Task], rows: Path, tmp_path: Path) -> None:
    found = list(read_jsonl(rows))
    write_jsonl(tmp_path / "rows.jsonl", [found[0], {**found[1], "image": "swe-srl-eval/not-here:none"}])
    settings = EvalSettings(split="lite", tasks=str(tmp_path / "rows.jsonl"), policy="empty", output=tmp_path / "run")
    report = evaluate(settings)
    assert report.asked == 1
    (reason,) = report.unavailable.values()
    assert "swe-srl-eval/not-here:none is not on this machine" in reason and "make-swebench-images.sh" in reason


@pytest.mark.parametrize(("policy", "resolved"), [("gold", 2), ("empty", 0)])
def test_the_lite_split_end_to_end(rows: Path, tmp_path: Path, policy: str, resolved: int) -> None:
    settings = EvalSettings(
        split="lite", tasks=str(rows), instances=LITE, policy=policy, output=tmp_path / "run", grading_timeout=600.0
    )
    report = evaluate(settings)
    assert (report.resolved, report.hardened, report.samples) == (resolved, resolved, 2)
    assert not report.failures and not report.unavailable
    again = evaluate(settings)
    assert again.as_dict() == report.as_dict()


def official_harness(rows: Path, predictions: Path, folder: Path) -> tuple[dict[str, object], dict[str, object]]:
    """The official harness's report, and its reports of the instances."""
    run = uuid.uuid4().hex[:8]
    code = (
        "from docker.models.containers import ContainerCollection as All; from swebench.harness.run_evaluation import main; "
        "listed = All.list; "  # the report lists all containers; those of other tests may end meanwhile
        "All.list = lambda self, **given: listed(self, ignore_removed=True, **given); "
        f"main({str(rows)!r}, 'test', None, {str(predictions)!r}, 2, 4096, {run!r}, 600, False, False)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (summary,) = folder.glob(f"*.{run}.json")
    reports: dict[str, object] = {}
    for file in folder.glob(f"logs/run_evaluation/{run}/*/*/report.json"):
        reports |= json.loads(file.read_text())
    return json.loads(summary.read_text()), reports


def statuses_of(report: object, which: str) -> tuple[set[str], set[str]]:
    found = report["tests_status"][which]  # type: ignore[index]
    return set(found["success"]), set(found["failure"])


# What becomes of the instances, in their order.
MAKERS: dict[str, tuple[Callable[[Task], str], ...]] = {
    "gold": (lambda task: task.patch,) * 4,
    "mixed": (hollow, malformed, wrong, lambda task: task.patch),
    "attack, half, empty": (forged, half, lambda task: "", forged),
}


@pytest.mark.parametrize("made", MAKERS)
def test_verdicts_agree_with_the_official_harness(
    tasks: dict[str, Task], cache: VerdictCache, rows: Path, tmp_path: Path, made: str
) -> None:
    makers = MAKERS[made]
    patches = {name: make(tasks[name]) for name, make in zip(NAMES, makers, strict=True)}
    predictions = tmp_path / "predictions.jsonl"
    write_jsonl(
        predictions,
        [{"instance_id": n, "model_name_or_path": "parity", "model_patch": patch} for n, patch in patches.items()],
    )
    ours: dict[str, Verdict] = {name: grade(tasks[name], patch, GRADING, cache) for name, patch in patches.items()}
    summary, reports = official_harness(rows, predictions, tmp_path)
    assert set(summary["resolved_ids"]) == {name for name, verdict in ours.items() if verdict.official}  # type: ignore[call-overload]
    failed = {name for name, verdict in ours.items() if verdict.status is VerdictStatus.PATCH_FAILED}
    assert set(summary["error_ids"]) == failed  # type: ignore[call-overload]
    empty = {name for name, verdict in ours.items() if verdict.status is VerdictStatus.EMPTY_PATCH}
    assert set(summary["empty_patch_ids"]) == empty == {name for name, patch in patches.items() if not patch}  # type: ignore[call-overload]
    for name in set(NAMES) - failed - empty:
        mine = ours[name]
        assert statuses_of(reports[name], "FAIL_TO_PASS") == (
            set(mine.fail_to_pass_passed),
            set(mine.fail_to_pass_failed),
        )
        assert statuses_of(reports[name], "PASS_TO_PASS") == (
            set(mine.pass_to_pass_passed),
            set(mine.pass_to_pass_failed),
        )
    if made == "mixed":
        report = grade_predictions(
            predictions, list(tasks.values()), tmp_path / "graded", GRADING, cache=str(cache.folder)
        )
        assert (report.resolved, report.hardened, report.samples) == (2, 1, 4)
        assert set(report.differing) == {NAMES[0]}
