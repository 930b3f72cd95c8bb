import json
import subprocess
from pathlib import Path

import pytest

from swe_srl.errors import TaskError
from swe_srl.tasks.expert import edit_command, expert_actions
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
        "sed -i '3c\\    return width * height' geom/area.py",
        "python3 -c 'from geom.area import *; print(area(2, \"x\"))'; python3 -m unittest 2>&1 | tail -n 1",
        "submit",
    ]


def test_thoughts_do_not_repeat_the_command() -> None:
    assert all(action.thought and action.command not in action.thought for action in expert_actions(task()))


def test_a_method_is_looked_for_by_its_plain_name() -> None:
    assert expert_actions(task(function="Box.area"))[0].command == 'grep -rn "def area(" .'


@pytest.mark.parametrize(
    "text",
    [
        "    return x",
        "top = 1",
        "nothing",
        "tab = 2",
        "    s = \"a\\n\" + 'b' & c | d",
        '    return "\\\\"',
        "\treturn 1",
    ],
)
def test_the_edit_puts_any_line_exactly(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\nthree\n")
    subprocess.run(["bash", "-c", edit_command("a.py", 2, text)], cwd=tmp_path, check=True)
    assert (tmp_path / "a.py").read_text() == f"one\n{text}\nthree\n"


def test_a_foreign_task_is_refused() -> None:
    with pytest.raises(TaskError, match="needs a synthesised task; missing: function, example, import"):
        expert_actions(Task("django__django-1", "django/django", "c", "…"))
    with pytest.raises(TaskError, match="replaces 0"):
        expert_actions(task(patch=""))
