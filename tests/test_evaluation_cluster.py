"""Evaluations on a real Ray cluster of two nodes: the same results as here, and nothing is lost with a node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from grading_support import GOLD, named, tiny_task
from ray_support import NODE, processes, ray_cluster

from swe_srl.agents import PolicyAnswer
from swe_srl.agents.policies import apply_command
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.evaluation import EvalSettings, evaluate
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.protocols import PolicyOutput
from swe_srl.types import Action, Context

pytestmark = [pytest.mark.ray, pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(600)]
TASKS = 6
NAMES = [f"tiny__calc-{number}" for number in range(TASKS)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster() as made:
        yield made


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, name).row() for name in NAMES])
    return tmp_path / "rows.jsonl"


class Notes:
    """A progress that keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Nothing."""

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        self.notes.append(text)


def records(run: Path) -> dict[str, list[Any]]:
    """What a run's journals hold, but for times and order."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(one) for key, one in value.items() if key != "seconds"}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    names = [file.name for file in run.glob("*.jsonl") if file.name not in ("sessions.jsonl", "nodes.jsonl")]
    return {name: sorted(json.dumps(timeless(row)) for row in read_jsonl(run / name)) for name in names}


def assert_whole(run: Path, resolved: int = TASKS) -> None:
    report = json.loads((run / "report.json").read_text())
    assert (report["resolved"], report["samples"], report["failures"]) == (resolved, TASKS, [])
    for journal, key in (("episodes", "task_id"), ("verdicts", "task_id"), ("predictions", "instance_id")):
        assert Counter(row[key] for row in read_jsonl(run / f"{journal}.jsonl")) == dict.fromkeys(NAMES, 1), journal


@pytest.mark.parametrize("policy", ["expert", "gold", "empty"])
def test_the_same_as_on_this_machine(cluster: Any, tmp_path: Path, policy: str) -> None:
    words: dict[str, Any] = {
        "policy": policy,
        "limit": 2,
        "workers": 2,
        "grading_workers": 1,
        "sandbox": "local",
    }
    here = evaluate(EvalSettings(output=tmp_path / "here", **words))
    there = evaluate(EvalSettings(output=tmp_path / "there", executor="ray", ray_address=cluster.address, **words))
    assert (here.resolved, here.samples) == (there.resolved, there.samples) == (0 if policy == "empty" else 2, 2)
    assert records(tmp_path / "here") == records(tmp_path / "there")
    logs = [
        sorted(str(file.relative_to(run)) for file in (run / "logs").rglob("*"))
        for run in (tmp_path / "here", tmp_path / "there")
    ]
    assert logs[0] == logs[1] and bool(logs[0]) == (policy != "empty")
    (start,) = read_jsonl(tmp_path / "there" / "nodes.jsonl")
    assert [node["at_a_time"] for node in start["nodes"]] == [{"episode": 2, "grade": 1}] * 2
    assert start["left_out"] == {}


class Endpoint:
    """An OpenAI-compatible endpoint that writes the gold patch and submits. It answers as often as it is allowed to."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.allowed = 0
        self.waiting = 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.wait()
                turn = sum(message["role"] == "assistant" for message in body["messages"])
                command = "submit" if turn else apply_command(GOLD)
                said = {"role": "assistant", "content": f"```bash\n{command}\n```"}
                choice = {"index": 0, "message": said, "finish_reason": "stop"}
                usage = {"prompt_tokens": 10, "completion_tokens": 5}
                content = json.dumps({"choices": [choice], "usage": usage}).encode()
                with suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *words: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self) -> None:
        with self.changed:
            self.waiting += 1
            self.changed.wait_for(lambda: self.allowed > 0, 200)
            self.waiting -= 1
            self.allowed -= 1

    def allow(self, answers: int) -> None:
        with self.changed:
            self.allowed += answers
            self.changed.notify_all()

    @property
    def flags(self) -> list[str]:
        url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        return ["--policy", url, "--endpoint-model", "m", "--agent", "shell", "--sandbox", "local"]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.allow(10**6)
    made.server.shutdown()
    made.server.server_close()


def start(rows: Path, run: Path, *flags: str) -> subprocess.Popen[str]:
    words = ["eval", "--tasks", str(rows), "--output", str(run), "--workers", "1", "--grading-workers", "1", *flags]
    code = "import sys; from swe_srl.cli import main; sys.exit(main())"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen([sys.executable, "-c", code, *words], **pipes)  # type: ignore[call-overload, no-any-return]


def finish(program: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = program.communicate(timeout=200)
    return program.returncode, text


def wait_for(run: Path, journal: str, rows: int, program: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while len(list(read_jsonl(run / f"{journal}.jsonl"))) < rows:
        assert program.poll() is None, program.communicate()[0]
        assert time.monotonic() < deadline, f"no {journal} in time"
        time.sleep(0.02)


def parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            found[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    return found


def on_nodes() -> set[int]:
    """The processes that work for a run on the nodes of this cluster: what started them names its folder."""
    above, mine = parents(), set(processes(os.environ["RAY_TMPDIR"]))
    return {pid for pid in processes("ray::Node") if above.get(pid) in mine}


def at_work() -> set[int]:
    """These, and what they started: the launchers and what runs in sandboxes."""
    above, found = parents(), on_nodes()
    while more := {pid for pid, parent in above.items() if parent in found} - found:
        found |= more
    return found


def assert_gone(working: set[int]) -> None:
    """Nothing of what worked for a run is left."""
    assert len(working) > 2, "two processes on nodes and their launchers"
    deadline = time.monotonic() + 60
    while left := [pid for pid in working if _cmdline(pid)]:
        assert time.monotonic() < deadline, [_cmdline(pid) for pid in left]
        time.sleep(0.1)


def _cmdline(pid: int) -> bytes:
    """Of a process; nothing of one that is dead, also when nobody has taken notice."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_ctrl_c_and_the_same_command_without_the_cluster(
    cluster: Any, rows: Path, tmp_path: Path, endpoint: Endpoint
) -> None:
    run = tmp_path / "run"
    endpoint.allow(3)
    program = start(rows, run, *endpoint.flags, "--executor", "ray", "--ray-address", cluster.address)
    wait_for(run, "verdicts", 1, program)
    until(lambda: endpoint.waiting >= 2)  # both nodes are in the middle of an episode
    working = at_work()
    program.send_signal(signal.SIGINT)
    code, text = finish(program)
    assert code == 130 and "go on with: swe-srl eval" in text and "Traceback" not in text, text
    assert_gone(working)
    before = {file.name: file.read_bytes() for file in run.glob("*.jsonl")}
    assert len(list(read_jsonl(run / "episodes.jsonl"))) == 1
    endpoint.allow(10**6)
    code, text = finish(start(rows, run, *endpoint.flags))
    assert code == 0, text
    assert_whole(run)
    assert all((run / name).read_bytes().startswith(kept) for name, kept in before.items())


def test_killed_nodes_and_runs(cluster: Any, rows: Path, tmp_path: Path, endpoint: Endpoint) -> None:
    """A process on a node is killed, then the run itself, then a whole node: every episode and verdict is there once."""
    run = tmp_path / "run"
    flags = [*endpoint.flags, "--executor", "ray", "--ray-address", cluster.address]
    endpoint.allow(3)
    program = start(rows, run, *flags)
    until(lambda: endpoint.waiting >= 2)
    first = on_nodes()
    os.kill(min(first), signal.SIGKILL)
    until(lambda: len(on_nodes() - first) == 1)  # it was started again
    wait_for(run, "verdicts", 1, program)
    working = at_work()
    program.kill()
    assert "is lost" in finish(program)[1]
    assert_gone(working)

    waiting = endpoint.waiting
    program = start(rows, run, *flags)
    until(lambda: endpoint.waiting >= waiting + 2)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    endpoint.allow(10**6)
    code, text = finish(program)
    cluster.add_node(**NODE)
    assert code == 0 and "is lost" in text, text
    assert_whole(run)
    assert [len(row["nodes"]) for row in read_jsonl(run / "nodes.jsonl")] == [2, 2]


def test_a_model_is_loaded_on_every_node(cluster: Any, tmp_path: Path) -> None:
    words: dict[str, Any] = {
        "limit": 2,
        "workers": 2,
        "samples": 2,
        "max_turns": 2,
        "max_new_tokens": 24,
        "device": "cpu",
        "sandbox": "local",
    }
    evaluate(EvalSettings(output=tmp_path / "here", **words))
    evaluate(EvalSettings(output=tmp_path / "there", executor="ray", ray_address=cluster.address, **words))
    assert records(tmp_path / "here") == records(tmp_path / "there")


class Own:
    """A policy of the caller's: submits at once, and must not be asked by two threads at a time."""

    def __init__(self) -> None:
        self.busy = False

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        assert not self.busy
        self.busy = True
        time.sleep(0.05)
        self.busy = False
        return [PolicyAnswer(Action("submit")) for _ in contexts]


def test_a_policy_of_the_callers(cluster: Any, rows: Path, tmp_path: Path) -> None:
    import ray

    settings = EvalSettings(tasks=str(rows), policy="mine", output=tmp_path / "run", executor="ray", workers=3)
    ray.init(cluster.address, log_to_driver=False, logging_level="error")
    try:
        report = evaluate(settings, policy=Own())  # the caller's connection is used
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert (report.samples, dict(report.statuses)) == (TASKS, {"empty_patch": TASKS})


def test_nodes_that_lack_something_take_no_part(
    cluster: Any, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Ray's processes look for modules where the driver is, too
    stranger = tmp_path / "stranger" / "swe_srl"
    stranger.mkdir(parents=True)
    (stranger / "__init__.py").write_text('__version__ = "0.0.1"\n')
    progress = Notes()
    settings = EvalSettings(
        tasks=str(rows), policy="gold", limit=1, output=tmp_path / "run", executor="ray", ray_address=cluster.address
    )
    node = cluster.add_node(**NODE, env_vars={"PYTHONPATH": str(stranger.parent)})
    try:
        assert evaluate(settings, progress).resolved == 1
    finally:
        cluster.remove_node(node)
    (start_row,) = read_jsonl(tmp_path / "run" / "nodes.jsonl")
    assert len(start_row["nodes"]) == 2
    (reason,) = start_row["left_out"].values()
    assert "install the same" in reason and any("takes no part" in note for note in progress.notes)


def test_no_cluster_answers(rows: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = {"tasks": str(rows), "policy": "gold", "output": tmp_path / "run", "executor": "ray"}
    with pytest.raises(SweSrlError, match=r"no Ray cluster answers at 127.0.0.1:1: .*ray start --head"):
        evaluate(EvalSettings(ray_address="127.0.0.1:1", **words))
    with pytest.raises(ConfigError, match="HOST:PORT"):
        evaluate(EvalSettings(ray_address="ray://127.0.0.1:10001", **words))
    assert not (tmp_path / "run").exists()
