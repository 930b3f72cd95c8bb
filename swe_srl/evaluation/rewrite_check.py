"""What a teacher is asked for, and whether its answer can be used: numbered steps with titles, the same final answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.grading.answers import grade_answer
from swe_srl.tasks.problems import known_answer, last_boxed
from swe_srl.trajectories.solutions import Solution, complete_steps
from swe_srl.types import Completion, Message, StopReason, Task, VerdictStatus

FEWEST_WORDS = 10  # a solution of fewer is an answer alone
ALONE = "the solution is an answer alone"
UNKNOWN = "no final answer to compare with"
FEW = "too few numbered steps with titles"
INCOMPLETE = "a step without a title or without text"
NO_ANSWER = "no answer in \\boxed{} in the last step"
CHANGED = "another final answer"
CUT = "cut by the token limit"
TOO_LONG = "too long for the teacher"

SYSTEM = r"""You restate worked solutions as numbered steps with titles. You are given a problem and its solution. Write the same
solution again in this form and write nothing before or after it:

1. **Title of the step.** What is done in it.

2. **Title of the step.** What is done in it.

Rules:
- Every step begins on a new line with its number, a period, and its title between double asterisks; the text follows on
  the same line. A title names what the step does, in a few words.
- Keep the content: every calculation and argument of the solution, in its order, and nothing that is not in it. Correct
  nothing, and do not change the final answer.
- There are at least two steps. A step is one idea.
- The last step, and no other, ends with the final answer in \boxed{}.

Example

Problem: A rectangle is 3 cm wide and has an area of 12 square centimetres. How long is its diagonal?

Solution: The length is 12/3 = 4, so by Pythagoras the diagonal is the root of 9 + 16 = 25. It is $\boxed{5}$ cm.

Answer:

1. **Find the length.** The area is width times length, so the length is 12/3 = 4 cm.

2. **Use Pythagoras.** The diagonal squared is $3^2 + 4^2 = 9 + 16 = 25$.

3. **Take the root.** The diagonal is $\sqrt{25} = 5$ cm: $\boxed{5}$"""

_CLOSING = re.compile(r"^[\s#*]*(?:final )?answer:[\s*]*(?P<answer>[^\n]*?)[\s*.]*\Z", re.IGNORECASE | re.MULTILINE)
_FENCED = re.compile(r"```\w*\n(?P<text>.*)\n```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checked:
    """What an answer is worth: its steps, or the reason why it cannot be used, with what was found.

    `final` says that another try can give nothing else.
    """

    steps: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""
    final: bool = False


def own_answer(row: Mapping[str, Any]) -> str:
    """The final answer of a record: its `answer`, what the last `\\\\boxed{}` of its solution holds, or what a last line
    `Answer: …` of it says; "" when it tells none.

    >>> own_answer({"solution": "It is the third of them.\\n\\n**Answer:** C."}), own_answer({"solution": "See above."})
    ('C', '')
    """
    if known := known_answer(row):
        return known
    closing = _CLOSING.search(str(row.get("solution", "")))
    return closing["answer"].strip("$ ") if closing else ""


def unfit(solution: Solution) -> str:
    """Why a solution without steps cannot be rewritten; "" when it can."""
    if len(solution.text.split()) < FEWEST_WORDS:
        return ALONE
    return "" if own_answer(solution.row) else UNKNOWN


def request_for(solution: Solution) -> tuple[Message, ...]:
    """The chat that asks for a solution in steps. The final answer is told where the solution does not box it itself."""
    asked = f"Problem: {solution.problem}\n\nSolution: {solution.text}"
    if not last_boxed(solution.text):
        asked += f"\n\nThe final answer is \\boxed{{{own_answer(solution.row)}}}."
    return Message("system", SYSTEM), Message("user", asked)


def check_completion(solution: Solution, completion: Completion, min_steps: int) -> Checked:
    """Whether a teacher's answer has the form and the record's final answer, which its last step has to hold.

    To be called in the main thread: see `grade_answer`.

    Args:
        solution: what was to be restated.
        completion: the answer; a thought before `</think>` and a code fence around the whole are no part of it.
        min_steps: that it must have.
    """
    refusal = completion.refusal
    if refusal is not None:
        assert refusal.stop is StopReason.TOKEN_LIMIT, "the other refusals are no answers"
        return Checked(reason=TOO_LONG, detail=refusal.reason, final=True)
    if not completion.finished:
        return Checked(reason=CUT)
    said = completion.text.rpartition("</think>")[2].strip()
    fenced = _FENCED.fullmatch(said)
    try:
        steps = complete_steps(fenced["text"] if fenced else said)
    except TrajectoryError as error:
        return Checked(reason=INCOMPLETE, detail=str(error))
    if len(steps) < min_steps:
        return Checked(reason=FEW, detail=f"{len(steps)} of at least {min_steps}")
    problem = Task(solution.name, "", "", solution.problem, extra=json.dumps({"answer": own_answer(solution.row)}))
    verdict = grade_answer(problem, steps[-1])
    if verdict.official:
        return Checked(tuple(steps))
    return Checked(reason=NO_ANSWER if verdict.status is VerdictStatus.EMPTY_PATCH else CHANGED, detail=verdict.reason)


def numbered_text(steps: tuple[str, ...]) -> str:
    """The steps as one solution, as the `numbered` reader takes it."""
    return "\n\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
