"""Which files a patch may not decide about: what the tests are, and what configures the programs that run them.

The hardened run puts these files back to the base commit before the tests run. Of 730 published gold patches one touches
such a file (`setup.cfg` of pylint-4661).
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import PurePosixPath

from swe_srl.types import Task

CONFIGURATION = frozenset(
    {
        "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "setup.cfg",
        "setup.py", "pyproject.toml", "sitecustomize.py", "usercustomize.py", "noxfile.py", "pyvenv.cfg", ".gitattributes",
        ".pdbrc", ".coveragerc", "manifest.in", ".gitmodules",
    }
)  # fmt: skip
_RUNNERS = frozenset(
    {"pytest", "_pytest", "py", "pluggy", "iniconfig", "tox", "unittest2", "nose", "sitecustomize", "usercustomize"}
)
_MAKERS = frozenset({"make", "gmake"})
_MAKEFILES = frozenset({"makefile", "gnumakefile"})
_TEST_FOLDER = re.compile(r"^_?(unit)?tests?$|^testing$", re.IGNORECASE)
_METADATA = re.compile(r"\.(egg-info|dist-info|egg-link)(/|$)")
_DIFF = re.compile(r"^diff --git a/(.+?) b/(.+)$", re.MULTILINE)
_NAMES = re.compile(r"^(?:diff |index:|[-+*]{3} |(?:rename|copy) (?:from|to) )(.*)$", re.IGNORECASE | re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")
_INTERNAL = re.compile(r"(?:^|[\s\"/])\.git(?:$|[\s\"/])", re.IGNORECASE)
_HEADER = re.compile(r"^(?:---|\+\+\+) (?:[ab]/)?([^\t\n]+)", re.MULTILINE)


def patch_paths(patch: str) -> list[str]:
    """Every path that a diff's headers name, sorted: what it may touch at most.

    >>> patch_paths("--- a/x.py\\n+++ b/x.py\\n@@ -1 +1 @@\\n-a\\n+b\\n")
    ['x.py']
    """
    named = {path for pair in _DIFF.findall(patch) for path in pair} | set(_HEADER.findall(patch))
    return sorted(path.strip().strip('"') for path in named if path.strip() != "/dev/null")


def names_internals(patch: str) -> bool:
    """Whether a diff names a path in `.git`, which git refuses to write and `patch` writes.

    >>> names_internals("--- /dev/null\\n+++ b/.git/hooks/post-checkout\\n")
    True
    """
    names = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), name) for name in _NAMES.findall(patch))
    return any(_INTERNAL.search(name) for name in names)


def graded_paths(task: Task) -> frozenset[str]:
    """Files that hold the graded tests: those of the test patch, and those that the tests' names begin with."""
    named = {name.split("::")[0] for name in (*task.fail_to_pass, *task.pass_to_pass) if "::" in name}
    return frozenset(set(patch_paths(task.test_patch)) | {path for path in named if path.endswith(".py")})


class Protection:
    """Decides for one task which paths are protected, and why.

    Args:
        task: its graded tests.
        command: its test command: a script of the repository that it runs is protected too, and so are the files that `make`
            reads when it runs that.
    """

    def __init__(self, task: Task, command: str) -> None:
        self._graded = graded_paths(task)
        self._folders = {folder for path in self._graded if (folder := _test_folder(path))}
        words = _words(command)
        self._scripts = {"/".join(part for part in PurePosixPath(word).parts if part != "..") for word in words} - {""}
        self._elsewhere = "cd" in words
        self._makes = any(PurePosixPath(word).name in _MAKERS for word in words)

    def reason(self, path: str, new: bool) -> str:
        """Why `path` is protected: "graded-test", "test-configuration", "shadows-module", "repository-internals"; or "".

        Args:
            path: relative to the repository, with slashes.
            new: the base commit has no such file.
        """
        parts = PurePosixPath(path).parts
        name = parts[-1].lower() if parts else ""
        if ".git" in parts or ".." in parts or path.startswith("/"):
            return "repository-internals"
        if name in CONFIGURATION or name.endswith((".pth", ".egg-link")) or _METADATA.search(path):
            return "test-configuration"
        if self._makes and (name in _MAKEFILES or name.endswith(".mk")):
            return "test-configuration"
        if path in self._graded or self._is_script(path) or any(path.startswith(f"{f}/") for f in self._folders):
            return "graded-test"
        if "__pycache__" in parts or name.endswith((".pyc", ".pyo")):  # it may claim to be whatever source is there
            return "shadows-module"
        if new and (_shadows(parts) or any(_stands_for(parts, PurePosixPath(path).parts) for path in self._graded)):
            return "shadows-module"
        return ""

    def _is_script(self, path: str) -> bool:
        """Whether the command may run it: where that changes the directory, in any folder."""
        if not self._elsewhere:
            return path in self._scripts
        return any(f"/{path}".endswith(f"/{script}") for script in self._scripts)

    def reasons(self, paths: Iterable[str], new: frozenset[str]) -> dict[str, str]:
        """The protected ones among `paths`, each with its reason."""
        found = {path: self.reason(path, path in new) for path in paths}
        return {path: reason for path, reason in sorted(found.items()) if reason}


def _test_folder(path: str) -> str:
    """The outermost folder above a graded file whose name says that it holds tests, or ""."""
    folders = PurePosixPath(path).parts[:-1]
    for depth, folder in enumerate(folders):
        if _TEST_FOLDER.match(folder):
            return "/".join(folders[: depth + 1])
    return ""


def _shadows(parts: tuple[str, ...]) -> bool:
    """Whether a new file at the repository's top would be imported instead of the interpreter's or the runner's module."""
    module = parts[0].split(".")[0]
    importable = len(parts) > 1 or parts[0].endswith((".py", ".so", ".pyc")) or parts[0] == module  # a link to a folder
    return importable and (module in sys.stdlib_module_names or module in _RUNNERS)


def _stands_for(parts: tuple[str, ...], graded: tuple[str, ...]) -> bool:
    """Whether a new file would be imported instead of a graded one, or of a folder above it.

    >>> [_stands_for(("a", "test_b", name), ("a", "test_b.py")) for name in ("__init__.py", "data.json")]
    [True, False]
    """
    depth = next((index for index, (one, other) in enumerate(zip(parts, graded, strict=False)) if one != other), None)
    if depth is None:
        return False
    name, module, inside = parts[depth], graded[depth].split(".")[0], parts[depth + 1 :]
    if inside:  # a package goes before a module
        return name == module and len(inside) == 1 and inside[0].startswith("__init__.")
    return name.split(".")[0] == module and (name == module or name.endswith((".py", ".so")))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an unbalanced quote: no script name can be told from it
        return []
