"""How fast the sandboxes are, beside `docker exec` and a persistent shell on the host, in one sitting.

    python benchmarks/environment.py --repeats 200

Prints medians in milliseconds and each as a ratio. What this machine lacks (bubblewrap, Docker) is left out and named.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.types import Limits, SandboxSpec

COMMANDS = {
    "true": "true",
    "pwd && ls": "pwd && ls",
    "1 MB of output": "head -c 1000000 /dev/zero | tr '\\0' x",
}
Runner = Callable[[str], object]


def median_ms(do: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        do()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def host_shell(folder: Path) -> tuple[Runner, Callable[[], object]]:
    """The floor: one bash on the host, commands over a pipe, an end mark after the output."""
    shell = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
    assert shell.stdin is not None and shell.stdout is not None
    stdin, stdout = shell.stdin, shell.stdout

    def run(command: str) -> bytes:
        stdin.write(f"{command}\nprintf '\\nEND-OF-COMMAND\\n'\n".encode())
        stdin.flush()
        output = b""
        while not output.endswith(b"\nEND-OF-COMMAND\n"):
            output += stdout.read1(1 << 20)
        return output

    return run, shell.kill


def docker_exec() -> tuple[Runner, Callable[[], object]]:
    name = f"swe-srl-benchmark-{time.time_ns()}"
    subprocess.run(
        ["docker", "run", "-d", "--rm", "--init", "--name", name, BASE_IMAGE, "sleep", "3600"],
        check=True,
        capture_output=True,
    )

    def run(command: str) -> bytes:
        return subprocess.run(["docker", "exec", name, "bash", "-c", command], check=True, capture_output=True).stdout

    return run, lambda: subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)


def commands(repository: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Median milliseconds by place and command."""
    spec = SandboxSpec(repository=str(repository), limits=Limits(output_bytes=16_000))

    def ours(kind: str) -> tuple[Runner, Callable[[], object]]:
        sandbox = make_sandbox(kind, spec)
        return sandbox.run, sandbox.close

    places: dict[str, Callable[[], tuple[Runner, Callable[[], object]]]] = {
        "host shell": lambda: host_shell(repository),
        "local sandbox": lambda: ours("local"),
        "docker sandbox": lambda: ours("docker"),
        "docker exec": docker_exec,
    }
    found: dict[str, dict[str, float]] = {}
    for place, make in places.items():
        try:
            run, close = make()
        except (SandboxError, OSError, subprocess.CalledProcessError) as error:
            print(f"{place}: not here ({str(error)[:100]})")
            continue
        run("true")
        count = repeats if place != "docker exec" else min(repeats, 40)
        found[place] = {
            name: median_ms(lambda command=command, run=run: run(command), count) for name, command in COMMANDS.items()
        }
        close()
    return found


def episodes(kind: str, repository: Path, repeats: int) -> dict[str, float]:
    """Median milliseconds of a sandbox's life."""
    spec = SandboxSpec(repository=str(repository))
    times: dict[str, list[float]] = {"ready": [], "snapshot": [], "fork": [], "close": []}

    def timed(name: str, do: Callable[[], object]) -> object:
        begin = time.perf_counter()
        made = do()
        times[name].append((time.perf_counter() - begin) * 1000)
        return made

    for _ in range(repeats):
        sandbox = make_sandbox(kind, spec)
        sandbox.close()
        sandbox = timed("ready", lambda: make_sandbox(kind, spec))  # type: ignore[assignment]
        sandbox.run("echo x > changed; x=1")
        snapshot = timed("snapshot", sandbox.snapshot)
        fork = timed("fork", lambda sandbox=sandbox, snapshot=snapshot: sandbox.fork(snapshot))
        fork.close()  # type: ignore[attr-defined]
        snapshot.discard()  # type: ignore[attr-defined]
        timed("close", sandbox.close)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="commands of each kind; `docker exec` gets at most 40")
    parser.add_argument("--episodes", type=int, default=10, help="sandboxes made and closed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        for number in range(20):
            (tree / f"file{number}.py").write_text(f"VALUE = {number}\n" * 50)
        repository = prepare_repository(f"dir:{tree}", cache=Path(folder, "cache")).path
        found = commands(repository, arguments.repeats)
        print(f"\n{'one command, ms':16s}" + "".join(f"{name:>18s}" for name in COMMANDS))
        for place, row in found.items():
            print(f"{place:16s}" + "".join(f"{row[name]:18.2f}" for name in COMMANDS))
        for ours, other in (
            ("local sandbox", "host shell"),
            ("local sandbox", "docker exec"),
            ("docker sandbox", "docker exec"),
        ):
            if ours in found and other in found:
                ratios = "".join(f"{found[other][name] / found[ours][name]:17.1f}x" for name in COMMANDS)
                print(f"{other} takes, as a multiple of the {ours}:\n{'':16s}{ratios}")
        print(f"\n{'one sandbox, ms':16s}" + "".join(f"{name:>12s}" for name in ("ready", "snapshot", "fork", "close")))
        for kind in ("local", "docker"):
            if f"{kind} sandbox" in found:
                row = episodes(
                    kind, repository, arguments.episodes if kind == "local" else max(1, arguments.episodes // 3)
                )
                print(f"{kind + ' sandbox':16s}" + "".join(f"{value:12.1f}" for value in row.values()))


if __name__ == "__main__":
    main()
