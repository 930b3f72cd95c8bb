"""Is the final answer right: a completion's last answer against the problem's, compared as mathematics (`math-verify`)."""

from __future__ import annotations

import re
import threading

from swe_srl.errors import GradingError
from swe_srl.grading.comparing import agree_elsewhere
from swe_srl.tasks import ValidationResult
from swe_srl.tasks.problems import answer_of, last_boxed
from swe_srl.types import Task, Verdict, VerdictStatus

_SCIENTIFIC = re.compile(
    r"(?<![\w.^\\])(?<![0-9],)(?<!\{,\})(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?<=[0-9.])"
    r"(?:(?:[eE]|\\(?:mathrm|text)\{[eE]\})(?P<exponent>[-+]?[0-9]{1,3})"
    r"|\s*(?:\\times|\\cdot|\*|×)\s*10\s*\^\s*(?:\{\s*(?P<braced>[-+]?[0-9]{1,3})\s*\}|(?P<bare>[0-9])))"
    r"(?![\w^{]|\.[0-9])"
)
# What `exact_powers` writes, and a number at the beginning of a text.
_NUMBER = re.compile(r"(?P<sign>-?\s*)(?P<digits>[0-9]+) \\times 10\^\{(?P<exponent>-?[0-9]+)\}")
_PLAIN = re.compile(r"\A(?P<sign>[-+]\s*)?(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)(?![\w^{,]|\s*[-+*/=])")
_FULL_STOP = re.compile(
    r"(?<![.\s])\s*\.\s*\Z"
)  # of a sentence that ends in the box; math-verify reads `70.` as no number
SMALL = -3  # powers of ten from which on digits are lost by rounding


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
    """The verdict on an answer. Outside the main thread, answers are compared by a process of its own.

    Args:
        task: a problem (see `load_problems`).
        text: what the policy wrote; the answer is in its last `\\boxed{}` that is not empty, and a text without one has none.

    Raises:
        GradingError: math-verify is not installed, or the process that compares was lost.
    """
    check_answers()
    given, answer = last_boxed(text), answer_of(task)
    main = threading.current_thread() is threading.main_thread()
    right = bool(given) and (given == answer or (agree(answer, given) if main else agree_elsewhere(answer, given)))
    status = VerdictStatus.RESOLVED if right else VerdictStatus.UNRESOLVED if given else VerdictStatus.EMPTY_PATCH
    reason = "" if right else f"the answer is {answer}, not {given}" if given else "no answer in \\boxed{}"
    return Verdict(task.instance_id, status, right, right, reason)


def agree(answer: str, given: str) -> bool:
    """Whether two answers are the same mathematics. To be called in the main thread: math-verify bounds its time by a signal."""
    from math_verify import parse, verify

    readings = _readings(_FULL_STOP.sub("", answer), _FULL_STOP.sub("", given))
    return any(verify(parse(_boxed(one)), parse(_boxed(other))) for one, other in readings)


def validate_answer(task: Task) -> ValidationResult:
    """Whether a problem is sound: its own answer is found right.

    Args:
        task: a problem (see `load_problems`).

    Raises:
        GradingError: as for `grade_answer`.
    """
    verdict = grade_answer(task, _boxed(answer_of(task)))
    problem = f"its own answer {answer_of(task)!r}, in a box, is not found right: {verdict.reason}"
    return ValidationResult(task.instance_id, () if verdict.official else (problem,))


def _readings(answer: str, given: str) -> list[tuple[str, str]]:
    """The pairs of texts that are compared: with powers of ten written alike, and as they are.

    LaTeX reads `2e-1` as 2e − 1, and so may whoever wrote it: either reading may be the right one. math-verify rounds to six
    decimals, which makes all small numbers 0: where the answer is one, both sides are compared in its power of ten.
    """
    exact = exact_powers(answer), exact_powers(given)
    ambiguous = any(number["exponent"] for text in (answer, given) for number in _SCIENTIFIC.finditer(text))
    number = _NUMBER.fullmatch(exact[0].strip())
    magnitude = len(number["digits"]) + int(number["exponent"]) if number else 0
    if magnitude <= SMALL:
        exact = _shifted(exact[0], magnitude), _shifted(_with_power(exact[1]), magnitude)
    return [exact, (answer, given)] if ambiguous else [exact]


def _with_power(text: str) -> str:
    """A text that begins with a number without a power of ten, with one."""
    if _NUMBER.search(text):
        return text
    return _PLAIN.sub(lambda number: exact_powers(f"{number['sign'] or ''}{number['number']}e0"), text.strip(), count=1)


def _shifted(text: str, magnitude: int) -> str:
    """A text times 10 to the minus `magnitude`."""
    if not _NUMBER.search(text):
        return f"({text}) \\times 10^{{{-magnitude}}}"

    def shift(number: re.Match[str]) -> str:
        return f"{number['sign']}{number['digits']} \\times 10^{{{int(number['exponent']) - magnitude}}}"

    return _NUMBER.sub(shift, text)


def exact_powers(text: str) -> str:
    """Numbers with a power of ten, in e-notation or LaTeX, written as a whole number and a power: no digit is lost by them.

    >>> exact_powers("4.5e33"), exact_powers(r"8.70 \\cdot 10^{-8} \\text{ m}"), exact_powers("3e^{-2t}")
    ('45 \\\\times 10^{32}', '87 \\\\times 10^{-9} \\\\text{ m}', '3e^{-2t}')
    """
    return _SCIENTIFIC.sub(_exact, text)


def _exact(number: re.Match[str]) -> str:
    if (
        number.string[: number.start()].rstrip().endswith(("/", "\\div", "^"))
    ):  # of `1/2.5 \\times 10^5` it is no factor
        return number[0]
    part = (number["part"] or "").rstrip("0")
    digits = (number["whole"] + part).lstrip("0")
    if not digits:
        return "0"
    exponent = int(number["exponent"] or number["braced"] or number["bare"]) - len(part)
    return f"{digits} \\times 10^{{{exponent}}}"


def _boxed(answer: str) -> str:
    return f"\\boxed{{{answer}}}"
