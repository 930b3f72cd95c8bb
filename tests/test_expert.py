import json

import pytest

from swe_srl.errors import TaskError
from swe_srl.tasks.expert import changed_text, edit_command, expert_actions
from swe_srl.types import Task

PATCH = """\
--- a/geom/area.py
+++ b/geom/area.py
@@ -1,3 +1,3 @@
 def area(width, height):
     size = width
-    return width + height
+    return width * height
"""


def task(patch: str = PATCH, **extra: str) -> Task:
    known = {"function": "area", "example": 'area(2, "x")', "import": "from geom.area import *", **extra}
    return Task("quickstart__geom-1", "quickstart/geom", "c", "…", patch=patch, extra=json.dumps(known))


def test_the_expert_looks_reproduces_edits_checks_and_submits() -> None:
    commands = [action.command for action in expert_actions(task())]
    assert commands == [
        'grep -rn "def area(" .',
        'grep -n -A 8 "def area(" geom/area.py',
        "python3 -c 'from geom.area import *; print(area(2, \"x\"))'",
        "sed -i '3s|+|*|' geom/area.py",
        "python3 -c 'from geom.area import *; print(area(2, \"x\"))'; python3 -m unittest 2>&1 | tail -n 1",
        "submit",
    ]


def test_thoughts_do_not_repeat_the_command() -> None:
    assert all(action.thought and action.command not in action.thought for action in expert_actions(task()))


def test_a_method_is_looked_for_by_its_plain_name() -> None:
    assert expert_actions(task(function="Box.area"))[0].command == 'grep -rn "def area(" .'


@pytest.mark.parametrize(
    ("buggy", "fixed", "expected"),
    [
        ("    if a < b:", "    if a <= b:", ("<", "<=")),
        ("    return a + a + 1", "    return a + a - 1", ("+ a +", "+ a -")),
        ("    return not x", "    return x", ("not x", "x")),
        ("    return s.upper()", "    return s.lower()", ("upper", "lower")),
        ("    x = f(b, a)", "    x = f(a, b)", ("b, a", "a, b")),
        ("    if (a and", "    if (a or", ("and", "or")),
        ("    return x", "    return not x", ("x", "not x")),
    ],
)
def test_changed_text_is_small_and_replaces_exactly(buggy: str, fixed: str, expected: tuple[str, str]) -> None:
    old, new = changed_text(buggy, fixed)
    assert (old, new) == expected
    assert buggy.replace(old, new, 1) == fixed


def test_an_ambiguous_change_takes_more_context() -> None:
    old, new = changed_text("    return a + b + a + b", "    return a + b + a - b")
    assert "    return a + b + a + b".replace(old, new, 1) == "    return a + b + a - b"


def test_sed_specials_are_escaped() -> None:
    assert edit_command("a.py", 3, "x[0] * 2", "x & y | z") == "sed -i '3s|x\\[0\\] \\* 2|x \\& y \\| z|' a.py"


def test_a_foreign_task_is_refused() -> None:
    with pytest.raises(TaskError, match="needs a synthesised task; missing: function, example, import"):
        expert_actions(Task("django__django-1", "django/django", "c", "…"))
    with pytest.raises(TaskError, match="replaces 0"):
        expert_actions(task(patch=""))
