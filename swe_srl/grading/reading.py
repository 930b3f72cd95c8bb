"""Reads long logs in a process of its own, which is ended when it takes too long.

The log parsers are regular expressions over what the tests wrote: a log can be made over which they take hours, and meanwhile no
other thread of their process runs. Run as a program, this module is that process: it reads one pickled question on its
standard input and writes the answer. It ends by itself at the limit, so also when its owner was killed.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from swe_srl.errors import GradingError
from swe_srl.types import Task

LONG_CHARACTERS = 4096  # what is shorter no parser takes long over
SECONDS = 60  # for one log
_TRIES = 2  # that a process may be lost: memory may be short


class UnfinishedLogError(Exception):
    """A log that could not be read in time, or over which the process that reads was lost; the message says which."""


def read_elsewhere(name: str, task: Task, log: str) -> Any:
    """What the function `name` of `swe_srl.grading.harness` returns for a task and a log, or raises.

    Raises:
        UnfinishedLogError: it took longer than SECONDS, or the process was lost twice.
    """
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    question = pickle.dumps((SECONDS, name, task, log))
    for _ in range(_TRIES):
        done = subprocess.run(
            [sys.executable, "-m", "swe_srl.grading.reading"],
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interruption of the owner is the owner's
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
        )
        if done.returncode == -signal.SIGALRM:
            raise UnfinishedLogError(f"it takes longer than {SECONDS} seconds")
        if done.returncode == 0:
            answer = pickle.loads(done.stdout)
            if isinstance(answer, Exception):
                raise answer
            return answer
    raise UnfinishedLogError(f"the process that reads it ended with status {done.returncode}, twice")


def serve() -> None:
    """Answer the question on standard input. The alarm has no handler: it ends this process in the midst of an expression."""
    seconds, name, task, log = pickle.load(sys.stdin.buffer)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # parsers may print
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    from swe_srl.grading import harness

    try:
        answer = getattr(harness, name)(task, log)
    except (harness.UnreadableLogError, GradingError) as error:
        answer = error
    with out:
        pickle.dump(answer, out)


if __name__ == "__main__":
    serve()
