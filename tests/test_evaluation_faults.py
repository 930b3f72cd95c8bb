"""Faults of the machine, injected into real evaluations: nothing finished is lost, nothing is left, the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import BASE_IMAGE
from grading_support import GOLD, named, tiny_task
from ports import free_port
from registry_support import load_image, own_engine

import docker
from swe_srl.agents import ModelPolicy
from swe_srl.agents.policies import apply_command
from swe_srl.errors import GenerationError
from swe_srl.evaluation import EvalSettings, evaluate
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.generation import EndpointGenerator
from swe_srl.types import Sampling
from tests.sandbox_support import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system, or starts a Docker daemon: needs root")
TASKS = 6
NAMES = [f"tiny__calc-{number}" for number in range(TASKS)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, name).row() for name in NAMES])
    return tmp_path / "rows.jsonl"


def start(rows: Path, run: Path, *flags: str, **environment: str) -> subprocess.Popen[str]:
    words = ["eval", "--tasks", str(rows), "--output", str(run), "--workers", "2", "--grading-workers", "1", *flags]
    code = "import sys; from swe_srl.cli import main; sys.exit(main())"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen([sys.executable, "-c", code, *words], env={**os.environ, **environment}, **pipes)  # type: ignore[call-overload, no-any-return]


def finish(program: subprocess.Popen[str]) -> tuple[int, str]:
    text, _ = program.communicate(timeout=240)
    return program.returncode, text


def count(run: Path, journal: str) -> int:
    return len(list(read_jsonl(run / f"{journal}.jsonl")))


def wait_for(run: Path, journal: str, rows: int, program: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while count(run, journal) < rows:
        assert program.poll() is None, program.communicate()[0]
        assert time.monotonic() < deadline, f"no {journal} in time"
        time.sleep(0.02)


def assert_whole(run: Path, before: dict[str, bytes]) -> None:
    """Everything is there once, and what was there before the fault is there still, to the byte."""
    report = json.loads((run / "report.json").read_text())
    assert (report["resolved"], report["samples"], report["failures"]) == (TASKS, TASKS, [])
    for journal, key in (("episodes", "task_id"), ("verdicts", "task_id"), ("predictions", "instance_id")):
        assert Counter(row[key] for row in read_jsonl(run / f"{journal}.jsonl")) == dict.fromkeys(NAMES, 1), journal
        whole_lines = before.get(journal, b"").rpartition(b"\n")[0]
        assert (run / f"{journal}.jsonl").read_bytes().startswith(whole_lines), journal


def kept(run: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in run.glob("*.jsonl")}


def assert_nothing_runs(program: subprocess.Popen[str]) -> None:
    """No process of the program's session, nor any that it put into a sandbox, is left: at most of those that are ending."""
    wait_until(lambda: not alive_of(program))


def alive_of(program: subprocess.Popen[str]) -> list[str]:
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == program.pid and fields[0] != "Z":
            alive.append(stat.parent.name)
    return alive


def test_ctrl_c(rows: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = start(rows, run, "--policy", "gold")
    wait_for(run, "verdicts", 1, program)
    program.send_signal(signal.SIGINT)
    code, text = finish(program)
    assert code == 130 and "go on with: swe-srl eval" in text
    assert_nothing_runs(program)
    before = kept(run)
    assert finish(start(rows, run, "--policy", "gold"))[0] == 0
    assert_whole(run, before)


@ROOT
def test_a_full_disk(rows: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(place)], check=True)
    try:
        run = place / "run"
        code, text = finish(start(rows, run, "--policy", "gold"))
        assert code == 1 and "No space left on device" in text and "Traceback" not in text
        before = kept(run)
        assert 0 < len(list(read_jsonl(run / "episodes.jsonl"))) <= TASKS
        subprocess.run(["mount", "-o", "remount,size=8m", str(place)], check=True)
        assert finish(start(rows, run, "--policy", "gold"))[0] == 0
        assert_whole(run, before)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def endpoint(answers: int, port: int = 0) -> Iterator[int]:
    """An OpenAI-compatible endpoint that writes the gold patch and submits; after so many answers it is dead."""
    left, lock = [answers], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                left[0] -= 1
                dead = left[0] < 0
            if dead:
                self.connection.close()
                return
            asked = sum(message["role"] == "assistant" for message in body["messages"])
            command = "submit" if asked else apply_command(GOLD)
            said = {"role": "assistant", "content": f"```bash\n{command}\n```"}
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            usage = {"prompt_tokens": 10, "completion_tokens": 5}
            content = json.dumps({"choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_a_dead_endpoint(rows: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def work(port: int) -> None:
        url = f"http://127.0.0.1:{port}/v1"
        settings = EvalSettings(
            tasks=str(rows), policy=url, endpoint_model="m", agent="shell", output=run, workers=2, grading_workers=1
        )
        evaluate(settings, policy=ModelPolicy(EndpointGenerator(url, "m", retries=0), Sampling()))

    with endpoint(answers=7, port=free_port()) as port:
        with pytest.raises(GenerationError, match=f"127.0.0.1:{port}"):
            work(port)
        assert 1 <= count(run, "episodes") < TASKS
        before = kept(run)
    with endpoint(answers=10**6, port=port):
        work(port)
    assert_whole(run, before)


@ROOT
@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restarted_docker_daemon(rows: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    with own_engine() as engine:
        load_image(engine, BASE_IMAGE)
        place = {"DOCKER_HOST": engine.socket, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        flags = ["--policy", "gold", "--sandbox", "docker", "--no-hardened"]
        program = start(rows, run, *flags, **place)
        wait_for(run, "verdicts", 1, program)
        engine.stop(number)
        time.sleep(1.0)
        engine.start()
        code, text = finish(program)
        assert code in (0, 1) and "Traceback" not in text, text
        before = kept(run)
        code, text = finish(start(rows, run, *flags, **place))
        assert code == 0, text
        assert_whole(run, before)
        client = docker.DockerClient(base_url=engine.socket)
        try:
            assert client.containers.list(all=True) == []
        finally:
            client.close()
