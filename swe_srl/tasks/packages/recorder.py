"""A pytest plugin: what each test does and how it fails, as a file of JSON.

It runs inside the sandbox under the sandbox's Python, and so it imports nothing but the standard library. Variables tell it
what to do: SWE_SRL_RECORD is the file to write, SWE_SRL_SELECT a file with the JSON list of the tests to run ("": all), and
SWE_SRL_REACH is 1 when the functions that each test runs are wanted.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from types import FrameType
from typing import Any

OUTSIDE = ""  # whose the functions are that run while no test does: during imports
_ROOT = os.getcwd() + os.sep  # noqa: PTH109
_record: dict[str, Any] = {"outcomes": {}, "failures": {}, "reached": {}, "errors": []}
_running = [OUTSIDE]


def pytest_configure(config: Any) -> None:
    """Watch from the start: imports of the tests come before the first of them."""
    if os.environ.get("SWE_SRL_REACH") == "1":
        threading.setprofile(_watch)
        sys.setprofile(_watch)


def _watch(frame: FrameType, event: str, argument: object) -> None:
    if event == "call":
        code = frame.f_code
        if code.co_filename.startswith(_ROOT):
            place = f"{code.co_filename[len(_ROOT) :]}:{code.co_firstlineno}"
            _record["reached"].setdefault(place, {})[_running[0]] = None


def pytest_collection_modifyitems(session: Any, config: Any, items: list[Any]) -> None:
    """Keep the chosen tests."""
    selected = os.environ.get("SWE_SRL_SELECT")
    if selected:
        with open(selected, encoding="utf-8") as file:  # noqa: PTH123
            wanted = set(json.load(file))
        items[:] = [item for item in items if item.nodeid in wanted]


def pytest_runtest_logstart(nodeid: str, location: Any) -> None:
    """A test begins."""
    _running[0] = nodeid


def pytest_runtest_logfinish(nodeid: str, location: Any) -> None:
    """A test has ended."""
    _running[0] = OUTSIDE


def pytest_runtest_makereport(item: Any, call: Any) -> None:
    """Where and how a test failed."""
    if call.excinfo is None or call.when != "call" or item.nodeid in _record["failures"]:
        return
    own = [entry for entry in call.excinfo.traceback if str(entry.path) == str(item.path)]
    if own:
        _record["failures"][item.nodeid] = {
            "line": own[0].lineno + 1,
            "error": call.excinfo.typename,
            "message": call.excinfo.exconly(tryshort=True),
            "values": {name: _shown(value) for name, value in getattr(item, "funcargs", {}).items()},
        }


def _shown(value: object) -> str:
    try:
        return repr(value)[:400]
    except Exception:  # a foreign class's own repr may fail in any way
        return ""


def pytest_runtest_logreport(report: Any) -> None:
    """A test's outcome: that of its worst phase."""
    if report.when == "call" or report.outcome != "passed":
        known = _record["outcomes"].get(report.nodeid)
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if known in (None, "passed"):
            _record["outcomes"][report.nodeid] = outcome


def pytest_collectreport(report: Any) -> None:
    """A file that cannot be collected."""
    if report.failed:
        _record["errors"].append([report.nodeid, str(report.longrepr)[-2000:]])


def pytest_unconfigure(config: Any) -> None:
    """Write everything down."""
    sys.setprofile(None)
    threading.setprofile(None)
    numbers: dict[str, int] = {}
    for place, tests in _record["reached"].items():
        _record["reached"][place] = sorted(numbers.setdefault(name, len(numbers)) for name in tests)
    _record["names"] = list(numbers)
    with open(os.environ["SWE_SRL_RECORD"], "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(_record, file)
