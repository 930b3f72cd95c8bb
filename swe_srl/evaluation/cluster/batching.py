"""One local model for the episodes of many threads: it is asked for all that wait at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from swe_srl.agents.rollout import PATIENCE
from swe_srl.protocols import Policy, PolicyOutput
from swe_srl.types import Context


@dataclass(slots=True)
class _Asked:
    contexts: Sequence[Context]
    answer: Future[list[PolicyOutput]] = field(default_factory=Future)


class Together:
    """Asks another policy once for all threads that wait for an answer.

    One of the waiting threads asks for everybody. Before it does, it waits for the other episodes, but not longer than the last
    request took, nor longer than `PATIENCE`: no hanging command holds up the others.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._changed = threading.Condition()
        self._asking = threading.Lock()
        self._waiting: list[_Asked] = []
        self._living = 0
        self._patience = PATIENCE

    @contextmanager
    def episode(self) -> Iterator[None]:
        """An episode is on its way: requests wait for it."""
        with self._changed:
            self._living += 1
        try:
            yield
        finally:
            with self._changed:
                self._living -= 1
                self._changed.notify_all()

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """The answers to these contexts, asked together with those of other threads.

        Raises:
            GenerationError: the model failed, for all of them.
        """
        mine = _Asked(contexts)
        with self._changed:
            self._waiting.append(mine)
            self._changed.notify_all()
        with self._asking:
            if not mine.answer.done():
                self._ask()
        return mine.answer.result()

    def _ask(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= self._living, self._patience)
            batch, self._waiting = self._waiting, []
        begun = time.monotonic()
        try:
            outputs = iter(self._policy.act([context for asked in batch for context in asked.contexts]))
        except BaseException as error:
            for asked in batch:
                asked.answer.set_exception(error)
            return
        self._patience = min(PATIENCE, time.monotonic() - begun)
        for asked in batch:
            asked.answer.set_result([next(outputs) for _ in asked.contexts])
