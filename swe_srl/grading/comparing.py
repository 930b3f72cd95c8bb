"""Compares answers in a process of its own, for threads: math-verify bounds its time by a signal, which only a main thread gets.

The process is started when a thread asks first, serves all threads of its owner one after the other, and ends with it: its
standard input closes then. Run as a program, this module is that process: a line of JSON for each question and each answer.
A process that the owner forks has none of it, and starts its own.
"""

from __future__ import annotations

import functools
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path

from swe_srl.errors import GradingError
from swe_srl.sandboxes.forks import making_connections

SECONDS = 120.0  # for one comparison; math-verify's own limits end it long before, unless they do not hold
_lock = threading.Lock()
_comparers: dict[int, Comparer] = {}  # at most one: of the process with this id


class Comparer:
    """A running comparison process. Not safe to share between threads: see `agree_elsewhere`."""

    def __init__(self) -> None:
        paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
        with making_connections(self):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "swe_srl.grading.comparing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interruption of the owner is the owner's
                env={**os.environ, "PYTHONPATH": paths},
                bufsize=0,  # a forked process has no half of a question to send
            )

    def ask(self, answer: str, given: str) -> bool | None:
        """Whether they agree; None when the process has ended, or does not answer in time."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        question = memoryview(json.dumps([answer, given]).encode() + b"\n")
        try:
            while question:
                question = question[os.write(process.stdin.fileno(), question) :]
        except OSError:
            return None
        ready = select.poll()  # of a descriptor of any number, unlike `select.select`
        ready.register(process.stdout, select.POLLIN)
        line = process.stdout.readline() if ready.poll(SECONDS * 1000) else b""
        return bool(json.loads(line)) if line.endswith(b"\n") else None

    def after_fork(self) -> None:
        """In a forked process: close its copies of the pipes."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def agree_elsewhere(answer: str, given: str) -> bool:
    """Whether two answers are the same mathematics, from any thread.

    Raises:
        GradingError: the process that compares was lost twice over this question.
    """
    _watch_forks()
    with _lock:
        for _ in range(2):
            comparer = _comparers.get(os.getpid())
            if comparer is None:
                comparer = _comparers[os.getpid()] = Comparer()
            agreed = comparer.ask(answer, given)
            if agreed is not None:
                return agreed
            _comparers.pop(os.getpid()).end()
    raise GradingError(
        f"the process that compares answers ended, or was silent for {SECONDS:.0f} seconds, twice: over {given[:200]!r} "
        f"against {answer[:200]!r}; if memory is short, lower grading_workers or workers"
    )


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_forget_parent)


def _forget_parent() -> None:
    """A thread that had the lock, and the process that compares, are the parent's."""
    global _lock
    _lock = threading.Lock()
    _comparers.clear()


def serve() -> None:
    """Answer the owner's questions until it closes the pipe."""
    from swe_srl.grading.answers import agree

    for line in sys.stdin:
        answer, given = json.loads(line)
        sys.stdout.write(json.dumps(agree(answer, given)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
