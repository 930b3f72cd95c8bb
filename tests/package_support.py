"""A small package with a pytest suite in a git repository, and what its tests need, without an index."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from pathlib import Path

MODULE = '''"""Numbers in ranges."""


def clamp(value, low, high):
    """Keep a number in a range."""
    if value < low:
        return low
    if value > high:
        return high
    return value


def mean(values):
    if not values:
        raise ValueError("no values")
    return sum(values) / len(values)


def countdown(number):
    steps = 0
    while number > 0:
        number -= 1
        steps += 1
    return steps


class Box:
    def __init__(self, low, high):
        self.low = low
        self.high = high

    @property
    def width(self):
        return self.high - self.low

    def __contains__(self, value):
        return self.low <= value <= self.high


def unused(a, b):
    return a + b
'''
SUITE = """import unittest

import pytest

from ranges import Box, clamp, countdown, mean

BOX = Box(1, 4)


@pytest.mark.parametrize("value, expected", [(0, 1), (2, 2), (9, 4), (1, 1), (4, 4)])
def test_clamp(value, expected):
    assert clamp(value, 1, 4) == expected


def test_clamp_text():
    assert clamp("b", "a", "c") == "b"


def test_mean():
    numbers = [1, 2, 6]
    assert mean(numbers) == 3


def test_mean_of_nothing():
    with pytest.raises(ValueError):
        mean([])


def test_mean_of_one(tmp_path):
    (tmp_path / "x").write_text("4")
    assert mean([int((tmp_path / "x").read_text())]) == 4


def test_always_fails():
    assert mean([1]) == 2


class TestBox(unittest.TestCase):
    def test_width(self):
        self.assertEqual(BOX.width, 3)

    def test_holds(self):
        self.assertIn(4, BOX)
        self.assertIn(1, BOX)

    def test_does_not_hold(self):
        self.assertNotIn(5, BOX)
        self.assertNotIn(0, BOX)
"""
MORE = """import pytest
from ranges import countdown


@pytest.mark.parametrize("number", [0, 3], ids=["none at all", "none too many"])
def test_ambiguous(number):
    assert countdown(number) == number


def test_steps():
    assert countdown(5) == 5


def test_no_steps():
    assert countdown(-2) == 0


def test_one_step():
    assert countdown(1) == 1
"""
FILES = {
    "src/ranges/__init__.py": "from ranges.numbers import Box, clamp, countdown, mean, unused\n",
    "src/ranges/numbers.py": MODULE,
    "tests/test_ranges.py": SUITE,
    "tests/more/test_more.py": MORE,
    "README.md": "Ranges.\n",
    "pytest.ini": "[pytest]\naddopts = --no-such-option\n",
}


def make_repository(folder: Path) -> Path:
    """The package in a new git repository with one commit."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    (folder / "uncommitted.py").write_text("raise SystemExit\n")
    return folder


def copy_pytest(folder: Path) -> Path:
    """pytest and what it needs, out of this interpreter's own packages."""
    folder.mkdir()
    unneeded = shutil.ignore_patterns("__pycache__")
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        found = importlib.metadata.distribution(name)
        for top in sorted({file.parts[0] for file in found.files or () if file.suffix in (".py", "")} - {".."}):
            place = Path(str(found.locate_file(top)))
            if place.is_dir() and place.name != "__pycache__":
                shutil.copytree(place, folder / top, ignore=unneeded, dirs_exist_ok=True)
            elif place.suffix == ".py":
                shutil.copy(place, folder)
    return folder
