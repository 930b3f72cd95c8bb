"""The nodes that work for a run: who has room for what, what is lost with a node and is done again."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from swe_srl.errors import GradingError, SweSrlError
from swe_srl.evaluation.cluster.connecting import Machine, is_alive
from swe_srl.evaluation.cluster.node import Reply

EPISODE, GRADE = "episode", "grade"  # kinds of work: the methods of `Node`
LOSSES = 3  # nodes that one piece of work may be lost with
STARTS = 3  # of the process on one node
SICK = 5  # failures in a row that set a node aside, while others do well
END_SECONDS = 20.0  # for a node to end what it is doing
log = logging.getLogger(__name__)


class StoppedError(GradingError):
    """The work was given up because the run ends."""


class NoNodeError(SweSrlError):
    """There is no node any more that could do it."""


@dataclass(eq=False)
class Member:
    """A node at work.

    Args:
        machine: which.
        actor: the process on it: a `Node`.
        room: pieces of work at a time, by kind.
        unavailable: why it cannot run some tasks.
        starts: of its process, this one included.
        lost: why it is given nothing any more, or "".
        failures: in a row.
        done: pieces of work that did not fail.
    """

    machine: Machine
    actor: Any
    room: Mapping[str, int]
    unavailable: Mapping[str, str] = field(default_factory=dict)
    starts: int = 1
    lost: str = ""
    failures: int = 0
    done: int = 0
    busy: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """For people."""
        return self.machine.name


Restart = Callable[[Member], Member]


class Fleet:
    """Gives work to the nodes. Safe for threads.

    Args:
        ray: the package, connected.
        members: at least one.
        note: tells the user.
        restart: starts the process of a node anew after it was lost; raises a SweSrlError when that does not work.
    """

    def __init__(self, ray: Any, members: Sequence[Member], note: Callable[[str], None], restart: Restart) -> None:
        self._ray = ray
        self.members = list(members)
        self._note = note
        self._restart = restart
        self._changed = threading.Condition()
        self._coming = 0  # nodes that are being started anew
        self._stops: dict[str, Future[None]] = {EPISODE: Future(), GRADE: Future()}

    def room(self, kind: str) -> int:
        """Pieces of work of a kind that all nodes do at a time."""
        return sum(member.room[kind] for member in self.members)

    def run(self, kind: str, task_id: str, *arguments: Any, avoid: Collection[str] = ()) -> tuple[Reply, str]:
        """Have a piece of work done by a node with room; when the node is lost meanwhile, by another one.

        Args:
            kind: `EPISODE` or `GRADE`.
            task_id: nodes that cannot run this task are left out.
            arguments: of the method.
            avoid: names of nodes that are asked only when there is no other.

        Returns:
            The reply, and the name of the node.

        Raises:
            StoppedError: the run ends.
            NoNodeError: no node is left at all.
            SweSrlError: what ends the run: the model failed, or a node came upon something unforeseen.
        """
        member = None
        for _ in range(LOSSES):
            try:
                member = self._claim(kind, task_id, avoid)
            except NoNodeError as error:
                if not self._usable():
                    raise
                return Reply(failed=str(error)), ""
            try:
                reply = self._wait(kind, getattr(member.actor, kind).remote(*arguments))
            except self._ray.exceptions.RayTaskError as error:
                raise SweSrlError(f"{member.name}: {_first_line(error.cause)}") from error
            except self._ray.exceptions.RayError as error:
                self._lose(member, _first_line(error))
                continue
            finally:
                self._release(member, kind)
            self._heed(member, reply)
            return reply, member.name
        assert member is not None
        return Reply(failed=f"lost with its node {LOSSES} times, the last time with {member.name}: {member.lost}"), ""

    def stop(self, *kinds: str) -> None:
        """Give up work of these kinds: who waits for it stops waiting, and the nodes end it."""
        with self._changed:
            for kind in kinds:
                if not self._stops[kind].done():
                    self._stops[kind].set_result(None)
            self._changed.notify_all()
        for member in self._usable():
            if GRADE in kinds:
                member.actor.stop.remote(END_SECONDS)
            else:
                member.actor.stop_episodes.remote()

    def close(self) -> None:
        """End everything, and the nodes' processes. Idempotent."""
        self.stop(EPISODE, GRADE)
        usable = self._usable()
        try:
            ended = [member.actor.stop.remote(END_SECONDS) for member in usable]
            if ended:
                self._ray.wait(ended, num_returns=len(ended), timeout=END_SECONDS + 5)
        finally:
            for member in usable:
                member.lost = "the run has ended"
                self._ray.kill(member.actor)

    def _claim(self, kind: str, task_id: str, avoid: Collection[str]) -> Member:
        with self._changed:
            while True:
                if self._stops[kind].done():
                    raise StoppedError("the run was interrupted")
                usable = [member for member in self.members if not member.lost]
                able = [member for member in usable if task_id not in member.unavailable]
                if not able and not self._coming:
                    what = f"every node that can run {task_id}" if usable else "every node of the cluster"
                    reasons = "; ".join(f"{member.name}: {member.lost}" for member in self.members if member.lost)
                    raise NoNodeError(f"{what} is lost ({reasons}). What is finished is kept: start again to go on")
                wanted = [member for member in able if member.name not in avoid] or able
                free = [member for member in wanted if member.busy[kind] < member.room[kind]]
                if free:
                    chosen = max(free, key=lambda member: member.room[kind] - member.busy[kind])
                    chosen.busy[kind] += 1
                    return chosen
                self._changed.wait()

    def _release(self, member: Member, kind: str) -> None:
        with self._changed:
            member.busy[kind] -= 1
            self._changed.notify_all()

    def _wait(self, kind: str, ref: Any) -> Reply:
        """A node's reply, unless the work is given up before."""
        coming: Future[Reply] = ref.future()
        either: list[Future[Any]] = [coming, self._stops[kind]]
        wait(either, return_when=FIRST_COMPLETED)
        if not coming.done():
            raise StoppedError("the run was interrupted")
        return coming.result()

    def _heed(self, member: Member, reply: Reply) -> None:
        """Pass on what a node says, and set it aside when everything fails there and not elsewhere."""
        for note in reply.notes:
            self._note(f"{member.name}: {note}")
        if reply.error is not None:
            raise type(reply.error)(f"{member.name}: {reply.error}") from reply.error
        with self._changed:
            member.failures = member.failures + 1 if reply.failed else 0
            member.done += not reply.failed
            others = [one for one in self.members if one is not member and not one.lost]
            sick = member.failures >= SICK and any(one.done and not one.failures for one in others)
            if not sick or member.lost:
                return
            member.lost = f"set aside after {member.failures} failures in a row, the last: {reply.failed}"
            self._changed.notify_all()
        self._note(f"{member.name}: {member.lost}")

    def _lose(self, member: Member, reason: str) -> None:
        """Count a node as lost; when only its process is gone, start that anew."""
        with self._changed:
            if member.lost:
                return
            member.lost = reason
            running = sum(member.busy.values())
            again = member.starts < STARTS and not self._stops[GRADE].done()
            self._coming += again
            self._changed.notify_all()
        self._note(
            f"{member.name} is lost ({reason}): what it was doing is done again ({running} episodes and gradings)"
        )
        self._ray.kill(member.actor)
        if again:
            threading.Thread(target=self._return, args=[member], name="restart", daemon=True).start()

    def _return(self, member: Member) -> None:
        back = None
        try:
            if is_alive(self._ray, member.machine):
                back = self._restart(member)
        except (SweSrlError, self._ray.exceptions.RayError) as error:
            log.warning("%s could not be started again: %s", member.name, error)
        finally:
            with self._changed:
                self._coming -= 1
                if back is not None:
                    self.members = [back if one is member else one for one in self.members]
                self._changed.notify_all()
        if back is not None:
            self._note(f"{member.name} is back")

    def _usable(self) -> list[Member]:
        with self._changed:
            return [member for member in self.members if not member.lost]


def _first_line(error: object) -> str:
    """What is said of an error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
