"""One error class per boundary. Each is also the standard-library error a caller would expect.

Messages say what was wrong, where, and what to do. `cli` turns any `SweSrlError` into one line and exit code 1 or 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SweSrlError(Exception):
    """Base class of everything the project raises on purpose."""


class ConfigError(SweSrlError, ValueError):
    """A setting, name or combination of settings that cannot be used (exit code 2)."""


class DefinitionNotFoundError(ConfigError, LookupError):
    """No environment, agent, recipe or docker definition of that name."""


class TaskError(SweSrlError, ValueError):
    """A task row, split or task source that cannot be used."""


class TrajectoryError(SweSrlError, ValueError):
    """A trajectory file or record that cannot be used."""


class SandboxError(SweSrlError, RuntimeError):
    """The sandbox failed: infrastructure, never the policy's fault."""


class SandboxUnavailableError(SandboxError, EnvironmentError):
    """This machine lacks what the sandbox needs; the message says how to get it."""


class PathOutsideWorkspaceError(SandboxError, PermissionError):
    """`read_file` or `write_file` was pointed outside the sandbox's workspace."""


class FileTooLargeError(SandboxError):
    """`read_file` was pointed at a file that is larger than its caller can hold."""


class GradingError(SweSrlError, RuntimeError):
    """Grading could not be carried out: infrastructure, never the patch's fault."""


class GenerationError(SweSrlError, RuntimeError):
    """The model or endpoint could not produce completions."""


class TrainingError(SweSrlError, RuntimeError):
    """Training cannot go on: divergence, a failed self-check, a checkpoint that does not fit."""


class ContaminationError(TrainingError, ConfigError):
    """Training steps belong to tasks of the evaluation split; the message lists them."""


class ToldElsewhereError(SweSrlError):
    """An error of one of several processes that another one of them says."""


FEW = 20  # names that are all listed beside a suggestion


def suggest(name: str, known: Iterable[str], what: str = "name") -> str:
    """A sentence for an unknown name: the nearest known one, and all of them when they are few.

    >>> suggest("lit", ["lite", "verified"], "split")
    "unknown split 'lit': did you mean 'lite'? Known: lite, verified"
    >>> suggest("lr", ["kl", "learning_rate"], "setting")
    "unknown setting 'lr': did you mean 'learning_rate'? Known: kl, learning_rate"
    >>> suggest("full", ["lite", "verified"], "split")
    "unknown split 'full'. Known: lite, verified"
    >>> suggest("task-170", [f"task-{number}" for number in range(20, 90)], "task")
    "unknown task 'task-170': did you mean 'task-70'?"
    >>> suggest("mine", [f"task-{number}" for number in range(20, 90)], "task")
    "unknown task 'mine': none of 70 is near, such as 'task-20'"
    """
    names = sorted(set(known))
    near = [one for one in names if "_" in one and name == "".join(word[:1] for word in one.split("_"))]
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if len(names) > FEW:
        told = f"did you mean {near[0]!r}?" if near else f"none of {len(names)} is near, such as {names[0]!r}"
        return f"unknown {what} {name!r}: {told}"
    hint = f": did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {name!r}{hint} Known: {', '.join(names) or 'none'}"
