"""Is the final answer right: a completion's last answer against the problem's, compared as mathematics (`math-verify`)."""

from __future__ import annotations

import threading

from swe_srl.errors import GradingError
from swe_srl.tasks.problems import answer_of, last_boxed
from swe_srl.types import Task, Verdict, VerdictStatus


def check_answers() -> None:
    """Whether answers can be compared here.

    Raises:
        GradingError: math-verify is not installed.
    """
    try:
        import math_verify  # noqa: F401
    except ImportError as error:
        raise GradingError("answers are compared by math-verify: pip install 'swe-srl[math]'") from error


def grade_answer(task: Task, text: str) -> Verdict:
    """The verdict on an answer. To be called in the main thread: math-verify bounds its own time by a signal.

    Args:
        task: a problem (see `load_problems`).
        text: what the policy wrote; the answer is in its last `\\\\boxed{}`, and a text without one has none.

    Raises:
        GradingError: math-verify is not installed, or this is not the main thread.
    """
    check_answers()
    from math_verify import parse, verify

    if threading.current_thread() is not threading.main_thread():
        raise GradingError("answers can only be compared in the main thread")
    given, answer = last_boxed(text), answer_of(task)
    right = bool(given) and (given == answer or bool(verify(parse(_boxed(answer)), parse(_boxed(given)))))
    status = VerdictStatus.RESOLVED if right else VerdictStatus.UNRESOLVED if given else VerdictStatus.EMPTY_PATCH
    reason = "" if right else f"the answer is {answer}, not {given}" if given else "no answer in \\boxed{}"
    return Verdict(task.instance_id, status, right, right, reason)


def _boxed(answer: str) -> str:
    return f"\\boxed{{{answer}}}"
