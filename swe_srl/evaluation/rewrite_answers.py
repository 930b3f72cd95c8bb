"""Asking a teacher for solutions in steps: every answer is checked and kept the moment it is there."""

from __future__ import annotations

from collections.abc import Generator as Stream
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from swe_srl.errors import GenerationError
from swe_srl.evaluation.policies import make_generator
from swe_srl.evaluation.rewrite_check import Checked, check_completion, request_for
from swe_srl.evaluation.rewrite_settings import RewriteSettings
from swe_srl.files import row_errors
from swe_srl.generation import EndpointGenerator
from swe_srl.progress import Progress
from swe_srl.protocols import Generator
from swe_srl.runs import RunFolder
from swe_srl.seeds import derive_seed
from swe_srl.trajectories.solutions import Solution
from swe_srl.types import Completion, StopReason


class Answers:
    """The teacher's answers so far, on disk (answers.jsonl, and failures.jsonl for what it refused) and in memory."""

    def __init__(self, run: RunFolder, asked: Sequence[Solution], settings: RewriteSettings) -> None:
        self._run, self._asked, self._settings = run, asked, settings
        self.checked: dict[str, list[Checked]] = {key_of(one): [] for one in asked}
        self.refused: dict[str, str] = {}
        self.prompt_tokens = self.completion_tokens = 0
        with row_errors(run.journal("answers")):
            for row in run.rows("answers"):
                self._take(row)

    @property
    def any(self) -> bool:
        """Whether there is an answer or a refusal."""
        return bool(self.refused) or any(self.checked.values())

    def steps(self, key: str) -> tuple[str, ...]:
        """The steps of a record's answer that can be used; none as long as there is no such answer."""
        several = self.checked.get(key)
        return several[-1].steps if several else ()

    def ask(self, generator: Generator | None, progress: Progress) -> None:
        """Ask for everything that is left: each record once, then those again whose answers cannot be used."""
        left = [one for one in self._asked if self._open(key_of(one))]
        progress.track("records", len(self._asked), len(self._asked) - len(left))
        if not left:
            return
        teacher = generator or make_generator(self._settings.teacher, self._settings.workers)
        for number in range(self._settings.tries + 1):
            now = [one for one in left if self._open(key_of(one)) and len(self.checked[key_of(one)]) == number]
            with closing(_stream(teacher, now, number, self._settings)) as stream:
                for solution, completion in stream:
                    self._keep(solution, number, completion)
                    if not self._open(key_of(solution)):
                        progress.advance("records", info=f"{solution.name} {self._said(key_of(solution))}")

    def _open(self, key: str) -> bool:
        """Whether a record is to be asked for, again or at all."""
        several = self.checked[key]
        if key in self.refused or len(several) > self._settings.tries:
            return False
        return not several or not (several[-1].steps or several[-1].final)

    def _said(self, key: str) -> str:
        if key in self.refused:
            return "refused"
        return "rewritten" if self.steps(key) else self.checked[key][-1].reason

    def _keep(self, solution: Solution, number: int, completion: Completion) -> None:
        key, refusal = key_of(solution), completion.refusal
        if refusal is not None and refusal.stop is not StopReason.TOKEN_LIMIT:
            self.refused[key] = refusal.reason
            self._run.append("failures", {"record": key, "try": number, "reason": refusal.reason})
            return
        checked = check_completion(solution, completion, self._settings.min_steps)
        row = {
            "record": key,
            "try": number,
            "text": completion.text,
            "steps": list(checked.steps),
            "reason": checked.reason,
            "detail": checked.detail,
            "final": checked.final,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens or len(completion.token_ids),
        }
        self._run.append("answers", row)
        self._take(row)

    def _take(self, row: dict[str, Any]) -> None:
        checked = Checked(tuple(row["steps"]), row["reason"], row["detail"], row["final"])
        self.checked[row["record"]].append(checked)
        self.prompt_tokens += int(row["prompt_tokens"])
        self.completion_tokens += int(row["completion_tokens"])


def _stream(
    teacher: Generator, solutions: Sequence[Solution], number: int, settings: RewriteSettings
) -> Stream[tuple[Solution, Completion]]:
    """The answers of one try: an endpoint's as they come, a model's batch by batch."""
    contexts = [request_for(solution) for solution in solutions]
    seeds = [derive_seed(settings.seed, key_of(solution), number) for solution in solutions]
    sampling = settings.sampling(number)
    if isinstance(teacher, EndpointGenerator):
        with closing(teacher.stream(contexts, sampling, seeds)) as answers:
            yield from ((solutions[index], completion) for index, completion in answers)
        return
    for start in range(0, len(contexts), settings.workers):
        batch = slice(start, start + settings.workers)
        groups = teacher.generate(contexts[batch], 1, sampling, seeds[batch])
        if len(groups) != len(contexts[batch]):
            raise GenerationError(f"{settings.policy} gave {len(groups)} answers to {len(contexts[batch])} requests")
        yield from zip(solutions[batch], (group[0] for group in groups), strict=True)


def key_of(solution: Solution) -> str:
    """What a record is called in the journals: its file and number."""
    return f"{solution.file}:{solution.number}"
