"""Who gets which work, and what becomes of it when nodes are lost: without Ray, on nodes that are scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from swe_srl.agents import PolicyAnswer
from swe_srl.errors import ConfigError, GenerationError, SweSrlError
from swe_srl.evaluation import EvalSettings
from swe_srl.evaluation.cluster import batching, connecting
from swe_srl.evaluation.cluster.batching import Together
from swe_srl.evaluation.cluster.connecting import Machine, connected
from swe_srl.evaluation.cluster.fleet import EPISODE, GRADE, LOSSES, SICK, Fleet, Member, NoNodeError, StoppedError
from swe_srl.evaluation.cluster.node import Reply
from swe_srl.protocols import PolicyOutput
from swe_srl.types import Action, Context


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class FakeRay:
    """As much of the package as a fleet uses."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self) -> None:
        self.killed: list[object] = []
        self.gone: set[str] = set()

    def kill(self, actor: object) -> None:
        self.killed.append(actor)

    def wait(self, refs: Sequence[object], num_returns: int, timeout: float) -> None:
        """Nothing is waited for: fakes answer at once."""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": name, "Alive": name not in self.gone} for name in "abc"]


class FakeActor:
    """Answers with what `work` returns or raises; each call in a thread of its own."""

    def __init__(self, work: Callable[[str], Any]) -> None:
        self.work = work
        self.asked: list[str] = []
        self.stopped: list[str] = []
        self.episode = self.grade = SimpleNamespace(remote=self._remote)
        self.stop = SimpleNamespace(remote=lambda seconds: self.stopped.append("all"))
        self.stop_episodes = SimpleNamespace(remote=lambda: self.stopped.append("episodes"))

    def _remote(self, word: str) -> Any:
        self.asked.append(word)
        future: Future[Any] = Future()

        def answer() -> None:
            try:
                future.set_result(self.work(word))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=answer, daemon=True).start()
        return SimpleNamespace(future=lambda: future)


def member(name: str, work: Callable[[str], Any], room: int = 1, **more: Any) -> Member:
    return Member(Machine(name, name, 1.0, 0.0), FakeActor(work), {EPISODE: room, GRADE: room}, **more)


def fleet(*members: Member, restart: Callable[[Member], Member] | None = None) -> tuple[Fleet, list[str], FakeRay]:
    def refuse(lost: Member) -> Member:
        raise SweSrlError("no")

    notes: list[str] = []
    ray = FakeRay()
    return Fleet(ray, members, notes.append, restart or refuse), notes, ray


def well(word: str) -> Reply:
    return Reply(word)


def dies(word: str) -> Reply:
    raise RayError("the actor died\nwith details")


def test_work_goes_to_who_has_room_and_can_do_it() -> None:
    a, b = member("a", well, unavailable={"t1": "no image"}), member("b", well)
    made, _, _ = fleet(a, b)
    assert [made.run(EPISODE, "t1", "x")[1] for _ in range(3)] == ["b"] * 3
    assert made.run(EPISODE, "t2", "x", avoid={"b"})[1] == "a"
    assert made.run(EPISODE, "t1", "x", avoid={"b"}) == (Reply("x"), "b")
    assert made.room(EPISODE) == 2


def test_no_node_gets_more_than_it_has_room_for() -> None:
    at_work, most, lock = [0], [0], threading.Lock()
    pair = threading.Barrier(2, timeout=60)

    def work(word: str) -> Reply:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        pair.wait()
        time.sleep(0.02)  # a third one would come
        with lock:
            at_work[0] -= 1
        return Reply(word)

    made, _, _ = fleet(member("a", work, room=2))
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda word: made.run(GRADE, "t", word)[0].value, "abcdefgh"))
    assert replies == list("abcdefgh") and most[0] == 2


def test_what_is_lost_with_a_node_is_done_again() -> None:
    a, b = member("a", dies, room=9), member("b", well)
    made, notes, ray = fleet(a, b)
    assert made.run(EPISODE, "t", "x") == (Reply("x"), "b")
    assert a.lost == "the actor died" and a.actor in ray.killed
    assert "a is lost (the actor died)" in notes[0]
    assert made.run(EPISODE, "t", "y")[1] == "b" and a.actor.asked == ["x"]


def test_a_lost_process_is_started_again_where_its_node_lives() -> None:
    def restart(lost: Member) -> Member:
        return member("a", well, starts=lost.starts + 1)

    made, notes, ray = fleet(member("a", dies), restart=restart)
    assert made.run(EPISODE, "t", "x") == (Reply("x"), "a")
    assert made.members[0].starts == 2 and "a is back" in notes[-1]
    made, notes, ray = fleet(member("b", dies), restart=restart)
    ray.gone.add("b")
    with pytest.raises(NoNodeError, match=r"every node of the cluster is lost \(b: the actor died\).*start again"):
        made.run(EPISODE, "t", "x")


def test_work_that_takes_every_node_with_it_is_given_up() -> None:
    def restart(lost: Member) -> Member:
        return member(lost.name, lambda word: dies(word) if word == "bad" else well(word), starts=1)

    made, _, _ = fleet(restart(member("a", well)), restart=restart)
    reply, name = made.run(EPISODE, "t", "bad")
    assert f"lost with its node {LOSSES} times" in reply.failed and name == ""
    assert made.run(EPISODE, "t", "good")[0].value == "good"


def test_a_task_whose_nodes_are_lost_fails_alone() -> None:
    made, _, _ = fleet(member("a", dies), member("b", well, unavailable={"t1": "no image"}))
    reply, _ = made.run(EPISODE, "t1", "x")
    assert "every node that can run t1 is lost" in reply.failed
    assert made.run(EPISODE, "t2", "x") == (Reply("x"), "b")


def test_a_node_where_everything_fails_is_set_aside_while_others_do_well() -> None:
    sick, sound = member("a", lambda word: Reply(None, "daemon gone"), room=5), member("b", well)
    made, notes, _ = fleet(sick, sound)
    for _ in range(SICK + 2):
        made.run(GRADE, "t", "x")
    assert not sick.lost, "nothing is known of the other one"
    made.run(GRADE, "t", "x", avoid={"a"})
    made.run(GRADE, "t", "x")
    assert sick.lost.startswith("set aside") and "daemon gone" in notes[-1]
    assert {made.run(GRADE, "t", "x")[1] for _ in range(3)} == {"b"}


def test_an_error_of_the_model_names_its_node() -> None:
    made, notes, _ = fleet(member("a", lambda word: Reply(error=GenerationError("gone"), notes=("slow",))))
    with pytest.raises(GenerationError, match=r"^a: gone"):
        made.run(EPISODE, "t", "x")
    assert notes == ["a: slow"]

    def fault(word: str) -> Reply:
        raise RayTaskError(OSError("no space left"))

    made, _, _ = fleet(member("a", fault))
    with pytest.raises(SweSrlError, match=r"^a: no space left"):
        made.run(EPISODE, "t", "x")


def test_who_waits_when_the_run_ends_stops_waiting() -> None:
    never = threading.Event()

    def work(word: str) -> Reply:
        never.wait(120)
        return Reply(word)

    one = member("a", work)
    made, _, ray = fleet(one)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(made.run, EPISODE, "t", "x") for _ in range(3)]
        while not one.actor.asked:
            time.sleep(0.01)
        made.stop(EPISODE)
        for future in waiting:
            with pytest.raises(StoppedError):
                future.result(timeout=60)
    assert one.actor.stopped == ["episodes"]
    made.close()
    assert one.actor.stopped[-1] == "all" and ray.killed == [one.actor]
    never.set()


class Recorder:
    """Answers every context with its own task id; remembers how many were asked at a time."""

    def __init__(self, seconds: float = 0.0, fails: int = -1) -> None:
        self.sizes: list[int] = []
        self.seconds, self.fails = seconds, fails

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        time.sleep(self.seconds)
        self.sizes.append(len(contexts))
        if len(self.sizes) - 1 == self.fails:
            raise GenerationError("out of memory")
        return [PolicyAnswer(Action(context.task_id)) for context in contexts]


def test_a_model_is_asked_for_all_episodes_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PATIENCE", 60.0)
    recorder = Recorder()
    together = Together(recorder)
    begin = threading.Barrier(6)

    def episode(name: str) -> list[str]:
        with together.episode():
            begin.wait()
            answers = [together.act([Context(f"{name}{turn}", turn, ())])[0].action for turn in range(3)]
        return [action.command for action in answers if isinstance(action, Action)]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(episode, "abcdef")) == [[f"{name}{turn}" for turn in range(3)] for name in "abcdef"]
    assert sum(recorder.sizes) == 18 and recorder.sizes[0] == 6


def test_one_that_hangs_holds_up_nobody_for_long() -> None:
    recorder = Recorder()
    together = Together(recorder)
    with together.episode(), together.episode():
        assert together.act([Context("a", 0, ())])[0].action == Action("a")
    assert recorder.sizes == [1]


def test_a_failure_of_the_model_is_everybody_s() -> None:
    together = Together(Recorder(fails=0))
    begin = threading.Barrier(2)

    def episode(name: str) -> str:
        with together.episode():
            begin.wait()
            try:
                together.act([Context(name, 0, ())])
            except GenerationError as error:
                return str(error)
            return ""

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(episode, "ab")) == ["out of memory"] * 2


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(connecting, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'swe-srl\[ray\]'"), connected(""):
        pass


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"executor": "ray", "check": True}, "checked on this machine"),
        ({"executor": "ray", "split": "aime24"}, "need no sandboxes"),
        ({"ray_address": "10.0.0.1:6379"}, "it is for --executor ray"),
        ({"executor": "slurm"}, "executor"),
    ],
)
def test_settings_that_do_not_go_together(words: dict[str, Any], message: str) -> None:
    from swe_srl.settings import from_mapping

    with pytest.raises(ConfigError, match=message):
        from_mapping(EvalSettings, words, "settings")


def test_the_executor_is_no_part_of_a_run() -> None:
    assert EvalSettings(executor="ray", ray_address="10.0.0.1:6379").folder == EvalSettings().folder
