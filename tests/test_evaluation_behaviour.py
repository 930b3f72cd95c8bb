"""How agents work, and what their patches are like."""

from __future__ import annotations

from pathlib import Path

import pytest
from grading_support import GOLD, edit, new_file, test_patch, tiny_task

from swe_srl.evaluation.behaviour import Event, behaviour_of, events_of
from swe_srl.evaluation.patches import patch_statistics, touched_files
from swe_srl.tasks import load_tasks
from swe_srl.tasks.expert import expert_actions
from swe_srl.types import Action, FormatError, Turn

EDIT = "sed -i 's/a/b/' calc.py"


def turn(command: str, exit_code: int | None = 0, observation: str = "") -> Turn:
    return Turn(Action(command), observation, exit_code, killed=exit_code is None)


@pytest.mark.parametrize(
    ("done", "events"),
    [
        (turn(EDIT), (Event.EDIT,)),
        (turn("cat > x.py <<'E'\na = 1\nE"), (Event.EDIT,)),
        (turn("echo x >> notes.txt"), (Event.EDIT,)),
        (turn("git apply - <<'E'\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nE"), (Event.EDIT,)),
        (turn("rm x.py"), (Event.EDIT,)),
        (turn("grep -rn foo . > /dev/null"), ()),
        (turn("python3 -m pytest -q"), (Event.PASSED,)),
        (turn("python3 -m pytest -q", 1), (Event.FAILED,)),
        (turn("python3 run.py", None), (Event.FAILED,)),
        (turn("python3 -m unittest 2>&1 | tail -n 1", 0, "FAILED (failures=1)"), (Event.FAILED,)),
        (turn("pytest | tail -3", 0, "===== 2 failed, 1 passed in 0.1s ====="), (Event.FAILED,)),
        (turn("pytest | tail -3", 0, "===== 3 passed, 0 failed in 0.1s ====="), (Event.PASSED,)),
        (turn(f"{EDIT} && python3 -m pytest"), (Event.EDIT, Event.PASSED)),
        (turn("ls; cat calc.py; git status"), ()),
        (Turn(FormatError("no command", "x")), ()),
        (turn("if then fi ("), None),
    ],
)
def test_what_a_command_does(done: Turn, events: tuple[Event, ...] | None) -> None:
    assert events_of(done) == events


def test_verified_and_revised() -> None:
    failed, passed = turn("pytest", 1), turn("pytest")
    found = behaviour_of(
        [
            [turn("ls"), turn(EDIT), failed, turn("cat calc.py"), turn(EDIT), passed, turn("submit")],
            [turn(EDIT), turn(EDIT), passed],  # only the second is verified
            [turn(EDIT), failed, turn("submit")],  # gives up
            [turn(EDIT)],
            [turn("((")],
        ]
    )
    assert (found.episodes, found.edits, found.verified) == (5, 6, 4)
    assert (found.failed_checks, found.revised, found.unread) == (2, 1, 1)
    assert found.verified_share == pytest.approx(4 / 6) and found.revised_share == 0.5
    assert behaviour_of([]).verified_share is None and behaviour_of([]).revised_share is None


def test_the_scripted_expert_verifies_every_edit() -> None:
    tasks = load_tasks("quickstart")[:20]
    found = behaviour_of([[Turn(action, exit_code=0) for action in expert_actions(task)] for task in tasks])
    assert (found.edits, found.verified, found.unread) == (20, 20, 0)


def test_patch_statistics() -> None:
    task = tiny_task(Path("/nowhere"), prepare=False)
    other = edit("other.py", "a\n", "b\nc\n")
    patches = [("tiny__calc-1", GOLD), ("tiny__calc-1", other + test_patch()), ("tiny__calc-1", ""), ("x", other)]
    found = patch_statistics(
        [*patches, ("tiny__calc-1", "no diff at all"), ("x", "--- a/x\n+++ b/x\n@@ -1 +9 @@\n-a\n")],
        {"tiny__calc-1": task},
    )
    assert (found.patches, found.empty, found.unreadable) == (3, 1, 2)
    assert found.files == pytest.approx(4 / 3) and found.hunks == pytest.approx(4 / 3)
    assert found.touched_gold == 0.5 and found.found_gold == 0.5, "of those whose gold patch is known"
    assert found.touched_tests == pytest.approx(1 / 3)
    assert found.added == pytest.approx((1 + 2 + 6 + 2) / 3) and found.removed == 1


def test_new_test_files_are_tests_whoever_grades_them() -> None:
    for name in ("tests/new.py", "a/test_b.py", "a/b_test.go", "conftest.py"):
        assert patch_statistics([("x", new_file(name, "a"))], {}).touched_tests == 1, name
    assert patch_statistics([("x", new_file("latest/attest.py", "a"))], {}).touched_tests == 0
    assert touched_files(new_file("a/b.py", "x")) == {"a/b.py"} and touched_files("nonsense") == frozenset()
