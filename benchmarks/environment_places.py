"""One place that commands run in, measured in a process of its own: environment.py starts it and asks over pipes.

    python benchmarks/environment_places.py PLACE IMAGE REPOSITORY

A request is a line of JSON, `{"do": NAME, ...}`; so is an answer. Needs nothing but the place's own package.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Run = Callable[[str], Any]
Open = Callable[[], tuple[Run, Callable[[], Any], str]]  # runs a command, closes, and the id of its container
EPISODE = ["pwd && ls", "cd /tmp", "echo x > made.txt", "cat made.txt", "ls /usr | wc -l"] * 2
LABEL = "swe-srl-benchmark"


def ms(do: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    made = do()
    return (time.perf_counter() - begin) * 1000, made


def host_shell(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
    """The floor: one bash on the host, commands over a pipe, an end mark after the output."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    shell = subprocess.Popen(["bash", "--norc"], cwd=repository, **pipes)
    assert shell.stdin is not None and shell.stdout is not None
    stdin, stdout = shell.stdin, shell.stdout

    def run(command: str) -> bytes:
        stdin.write(f"{command}\nprintf '\\nEND-OF-COMMAND\\n'\n".encode())
        stdin.flush()
        output = bytearray()
        while not output.endswith(b"\nEND-OF-COMMAND\n"):
            output += stdout.read1(1 << 20)
        return bytes(output)

    return run, lambda: (shell.kill(), shell.wait()), ""


def host_session(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
    from environment_host import host_session

    session = host_session(repository)
    return session.run, session.close, ""


def ours(kind: str, of_image: bool) -> Callable[[str, str], tuple[Run, Callable[[], Any], str]]:
    def make(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
        sandbox = our_sandbox(kind, of_image, image, repository)
        return sandbox.run, sandbox.close, sandbox._container.id if kind == "docker" else ""

    return make


def our_sandbox(kind: str, of_image: bool, image: str, repository: str) -> Any:
    from swe_srl.sandboxes import make_sandbox
    from swe_srl.types import SandboxSpec

    return make_sandbox(kind, SandboxSpec(image=image) if of_image else SandboxSpec(repository=repository))


def docker_exec(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
    started = ["docker", "run", "-d", "--rm", "--label", LABEL, "--network=none", image, "sleep", "3600"]
    name = subprocess.run(started, check=True, capture_output=True, text=True).stdout.strip()

    def run(command: str) -> bytes:
        return subprocess.run(["docker", "exec", name, "bash", "-c", command], check=True, capture_output=True).stdout

    return run, lambda: subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True), name


def exec_shell(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
    """The engine's floor: one bash in a container, reached through the socket of one exec, an end mark after the output."""
    import docker

    containers = docker.from_env().containers
    container = containers.run(image, "sleep 3600", detach=True, remove=True, labels=[LABEL], network_mode="none")
    api = container.client.api
    made = api.exec_create(container.id, ["bash", "--norc"], stdin=True)
    connection = api.exec_start(made["Id"], socket=True)
    shell = connection._sock

    def run(command: str) -> bytes:
        shell.sendall(f"{command}\nprintf 'END-OF-COMMAND'\n".encode())
        output = bytearray()
        while not output.endswith(b"END-OF-COMMAND"):
            output += shell.recv(1 << 18)
        return bytes(output)

    return run, lambda: (connection.close(), container.remove(force=True)), container.id


def mini_swe_agent(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
    import logging

    from minisweagent.environments.docker import DockerEnvironment

    logging.disable(logging.CRITICAL)
    place = DockerEnvironment(image=image, cwd="/", run_args=["--rm", "--label", LABEL, "--network=none"], timeout=300)

    def run(command: str) -> Any:
        result = place.execute({"command": command})
        if result["exception_info"]:
            raise RuntimeError(result["exception_info"])
        return result

    def close() -> (
        None
    ):  # its own `cleanup` returns at once and stops the container within ten seconds, in the background
        place.cleanup()
        place.container_id = None

    return run, close, str(place.container_id)


def swe_rex(image: str, repository: str) -> tuple[Run, Callable[[], Any], str]:
    """Its server runs inside: the packages of this interpreter are mounted, and the image's python3 loads them."""
    import asyncio
    import logging

    import swerex
    from swerex.deployment.docker import DockerDeployment
    from swerex.runtime.abstract import BashAction, CreateBashSessionRequest
    from swerex.utils.free_port import find_free_port

    folder = Path(tempfile.mkdtemp(prefix="swe-rex-"))
    server = folder / "swerex-remote"
    start = "import os, sys\nfrom swerex.server import main\nsys.argv += ['--port', os.environ['REX_PORT']]\nmain()\n"
    server.write_text(f"#!/usr/bin/python3\n{start}")
    server.chmod(0o755)
    packages = Path(swerex.__file__).parent.parent
    mounts = ["-v", f"{packages}:/opt/peers:ro", "-v", f"{server}:/usr/local/bin/swerex-remote:ro"]
    logging.disable(logging.CRITICAL)
    port = find_free_port()  # on the host's network: a published port would need the engine's bridge, and be slower
    arguments = [*mounts, "-e", "PYTHONPATH=/opt/peers", "-e", f"REX_PORT={port}", "--network=host", "--label", LABEL]
    deployment = DockerDeployment(image=image, port=port, pull="never", docker_args=arguments)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(deployment.start())
    loop.run_until_complete(deployment.runtime.create_session(CreateBashSessionRequest()))

    def run(command: str) -> Any:  # its own time-out does not always end it
        action = deployment.runtime.run_in_session(BashAction(command=command, timeout=30))
        return loop.run_until_complete(asyncio.wait_for(action, 40))

    return run, lambda: loop.run_until_complete(deployment.stop()), str(deployment.container_name)


PLACES: dict[str, Callable[[str, str], tuple[Run, Callable[[], Any], str]]] = {
    "host shell": host_shell,
    "host session": host_session,
    "local": ours("local", of_image=False),
    "local, image": ours("local", of_image=True),
    "docker": ours("docker", of_image=True),
    "exec shell": exec_shell,
    "docker exec": docker_exec,
    "mini-swe-agent": mini_swe_agent,
    "SWE-ReX": swe_rex,
}


class Server:
    """Answers requests about one place; it is kept open for commands."""

    def __init__(self, place: str, image: str, repository: str) -> None:
        self.name, self.image, self.repository = place, image, repository
        self.make: Open = lambda: PLACES[place](image, repository)
        self.run, self.shut, _ = self.make()
        self.run("true")

    def times(self, command: str, repeats: int) -> list[float]:
        """Milliseconds of each run of a command."""
        return [ms(lambda: self.run(command))[0] for _ in range(repeats)]

    def flood(self, command: str) -> dict[str, float]:
        """Seconds of a command with much output, and by how many MB this process's peak memory grew."""
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmHWM")
        took, _ = ms(lambda: self.run(command))
        return {"seconds": took / 1000, "peak_mb": (status("VmHWM") - before) / 1024}

    def lives(self, count: int) -> dict[str, list[float]]:
        """Milliseconds to a ready place, and to close it."""
        found: dict[str, list[float]] = {"ready": [], "close": []}
        for _ in range(count):
            took, (run, close, _) = ms(self.make)
            found["ready"].append(took + ms(lambda run=run: run("true"))[0])
            found["close"].append(ms(close)[0])
        return found

    def forks(self, count: int) -> dict[str, list[float]]:
        """Milliseconds of a snapshot and a fork of a place with a small change (our sandboxes)."""
        found: dict[str, list[float]] = {"snapshot": [], "fork": []}
        kind, of_image = ("docker", True) if self.name == "docker" else ("local", "image" in self.name)
        with our_sandbox(kind, of_image, self.image, self.repository) as sandbox:
            sandbox.run("cd /tmp; echo x > changed; x=1; f() { echo $x; }")
            for _ in range(count):
                took, snapshot = ms(sandbox.snapshot)
                found["snapshot"].append(took)
                took, fork = ms(lambda snapshot=snapshot: sandbox.fork(snapshot))
                found["fork"].append(took)
                said = fork.run("f; pwd; cat changed").output
                fork.close()
                snapshot.discard()
                if said != "1\n/tmp\nx\n":
                    raise RuntimeError(f"the fork is not as the sandbox was: {said}")
        return found

    def resets(self, count: int, pool: int) -> list[float]:
        """Milliseconds of `SweEnv.reset` while the pool of `pool` sandboxes lasts (our sandboxes)."""
        from swe_srl.envs import SweEnv
        from swe_srl.types import Task

        folder = Path(tempfile.mkdtemp(prefix="swe-srl-benchmark-"))
        (folder / "pool.yaml").write_text(f"pool_size: {pool}\npool_rate: 0\n")
        kind = self.name.split(",")[0]
        task = Task("t", "r", "0" * 40, "Fix it", source=f"dir:{self.repository}")
        env = SweEnv([task], str(folder / "pool.yaml"), kind)
        env.reset()
        found: list[float] = []
        while len(found) < count:
            env.fill_pool()
            found += [ms(env.reset)[0] for _ in range(max(1, pool))]
        env.close()
        return found

    def episodes(self, workers: int, count: int) -> dict[str, float]:
        """Episodes (ready, ten commands, closed) a second, `workers` at a time, and how many failed."""

        def episode(_: int) -> bool:
            try:
                run, close, _ = self.make()
                for command in EPISODE:
                    run(command)
                close()
            except Exception as error:
                print(f"{self.name}: an episode failed: {error}", file=sys.stderr)
                return False
            return True

        with ThreadPoolExecutor(workers) as threads:
            took, done = ms(lambda: list(threads.map(episode, range(count))))
        return {"per_second": sum(done) / took * 1000, "failed": count - sum(done)}

    def memory(self, count: int) -> float:
        """MB (proportional set size) of an idle place: its processes, and its container's shim."""
        made = [self.make() for _ in range(count)]
        pids = descendants() if not made[0][2] else of_containers([container for _, _, container in made])
        total = sum(proportional_kb(pid) for pid in pids)
        for _, close, _ in made:
            close()
        return total / 1024 / count

    def close(self) -> None:
        self.shut()


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def descendants() -> set[Path]:
    found = {Path("/proc/self").resolve()}
    parents = {}
    for path in processes():
        try:
            parents[path] = Path("/proc", (path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    for _ in range(8):
        found |= {path for path, parent in parents.items() if parent in found}
    return found - {Path("/proc/self").resolve()}


def of_containers(names: list[str]) -> set[Path]:
    inspect = ["docker", "inspect", "--format={{.Id}}", *names]
    ids = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.split()
    found = set()
    for path in processes():
        try:
            known = (path / "cgroup").read_text() + (path / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(one in known for one in ids):
            found.add(path)
    return found


def proportional_kb(path: Path) -> int:
    try:
        lines = (path / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a package prints is no answer

    def answer(value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        server = Server(*sys.argv[1:4])
    except Exception as error:
        answer({"missing": f"{type(error).__name__}: {error}"[:300]})
        return
    answer({})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(getattr(server, request.pop("do"))(**request))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"[:300]})


if __name__ == "__main__":
    main()
