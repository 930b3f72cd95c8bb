"""An engine on another machine: reached over TCP, by the usual environment variables, and nothing of this machine's files."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from grading_support import named, tiny_task
from ports import free_port

from swe_srl.errors import SandboxUnavailableError
from swe_srl.evaluation import EvalSettings, evaluate
from swe_srl.files import write_jsonl
from swe_srl.grading.obstacles import check_sandboxes
from swe_srl.sandboxes import capabilities, make_sandbox, sweep
from swe_srl.types import SandboxSpec

pytestmark = pytest.mark.docker
LOCAL = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


class Relay:
    """Passes connections to a local port on to this machine's engine; keeps what clients sent."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.said: list[bytearray] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.target)
                said = bytearray()
                self.said.append(said)
                for source, sink, kept in ((client, engine, said), (engine, client, None)):
                    threading.Thread(target=_pass_on, args=[source, sink, kept], daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            if kept is not None:
                kept += data[: 1 << 16]
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def relayed() -> Iterator[Relay]:
    if not LOCAL.startswith("unix://"):
        pytest.skip(f"the engine is not at a local socket: {LOCAL}")
    relay = Relay(LOCAL.removeprefix("unix://"))
    try:
        yield relay
    finally:
        relay.listener.close()


def creations(relay: Relay) -> list[dict[str, object]]:
    """What containers were asked for."""
    found = []
    for said in relay.said:
        for match in re.finditer(rb"POST /v[\d.]+/containers/create[^\r]*\r\n.*?\r\n\r\n", said, re.DOTALL):
            found.append(json.JSONDecoder().raw_decode(said[match.end() :].decode(errors="replace"))[0])
    return found


def test_an_evaluation_over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, f"tiny__calc-{number}").row() for number in range(2)])
    with relayed() as relay:
        monkeypatch.setenv("DOCKER_HOST", relay.address)
        settings = EvalSettings(
            tasks=str(tmp_path / "rows.jsonl"), policy="gold", sandbox="docker", output=tmp_path / "run", workers=2
        )
        report = evaluate(settings)
    assert (report.resolved, report.samples, report.failures) == (2, 2, ())
    asked = creations(relay)
    assert len(asked) >= 4, "two episodes and two gradings"
    for container in asked:
        host = container["HostConfig"]
        assert isinstance(host, dict)
        assert not host.get("Binds") and not host.get("Mounts"), "folders of this machine are not there"


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [task.row()])
    port = free_port()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    with pytest.raises(SandboxUnavailableError, match=rf"does not answer.*DOCKER_HOST.*{port}") as refused:
        evaluate(
            EvalSettings(tasks=str(tmp_path / "rows.jsonl"), policy="gold", sandbox="docker", output=tmp_path / "run")
        )
    assert str(refused.value).count("does not answer") == 1, "said once"
    assert not (tmp_path / "run").exists()


@pytest.mark.sandbox
def test_an_engine_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", address)
        began = time.monotonic()
        sweep()
        check_sandboxes([tiny_task(tmp_path / "calc")], "local")
        assert time.monotonic() - began < 60, "a start that needs no engine"
        began = time.monotonic()
        with pytest.raises(SandboxUnavailableError, match=f"does not answer at {address}: install it"):
            make_sandbox("docker", SandboxSpec())
        (docker,) = (one for one in capabilities() if one.name == "docker engine")
        assert docker.detail == f"does not answer at {address}" and not docker.available
        assert docker.remedy.startswith("install it")
        assert time.monotonic() - began < 100
