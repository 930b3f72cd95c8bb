"""How fast the sandboxes are, in one sitting with the peers, `docker exec`, bare persistent shells (host, exec), and the local
sandbox's own session on the host, without a sandbox.

    python benchmarks/environment.py --repeats 200 --peers-python PEERS/bin/python

PEERS is a virtual environment with mini-swe-agent and swe-rex (`pip install mini-swe-agent swe-rex`), of the same Python
version as the image's. Prints medians, ratios, and whether each target holds. The places take turns, round by round, so that
the machine's load meets all alike. What is missing here is named and left out. The image is unpacked for the local sandbox on
first use.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environment_places import LABEL, PLACES

from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE
from swe_srl.sandboxes.repository import prepare_repository

COMMANDS = {"true": "true", "pwd && ls": "pwd && ls", "1 MB of output": "head -c 1000000 /dev/zero | tr '\\0' x"}
FLOOD = "head -c {}000000 /dev/zero | tr '\\0' x"
OURS = ("local", "local, image", "docker")
PEERS = ("mini-swe-agent", "SWE-ReX")
FLOORS = ("host shell", "host session", "exec shell")  # nothing is confined, or nothing brings a broken shell back
ROUNDS = 5


class Place:
    """A running environment_places.py."""

    def __init__(self, name: str, python: str, image: str, repository: Path) -> None:
        self.name = name
        program = str(Path(__file__).with_name("environment_places.py"))
        command = [python, program, name, image, str(repository)]
        env = {**os.environ, "MSWEA_SILENT_STARTUP": "1"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.missing = str(self._read().get("missing", ""))

    def ask(self, do: str, **arguments: Any) -> Any:
        """The place's answer, or None where it failed (which is said)."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if isinstance(answer, dict) and "error" in answer:
            print(f"{self.name}: {do} failed: {answer['error']}", flush=True)
            return None
        return answer

    def close(self) -> None:
        if not self.missing:
            self.ask("close")
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"missing": "it ended", "error": "it ended"}


@dataclass
class Found:
    """Medians by what was measured and where; the targets are checked on them."""

    values: dict[str, dict[str, float]]

    def get(self, what: str, place: str) -> float | None:
        return self.values.get(what, {}).get(place)

    def put(self, what: str, place: str, value: float | None) -> None:
        if value is not None:
            self.values.setdefault(what, {})[place] = value

    def show(self) -> None:
        width = max(len(what) for what in self.values) + 2
        print("".ljust(width) + "".join(f"{place:>16s}" for place in PLACES))
        for what, row in self.values.items():
            cells = (f"{row[place]:16.2f}" if place in row else f"{'':>16s}" for place in PLACES)
            print(what.ljust(width) + "".join(cells))

    def target(self, text: str, what: str, place: str, most: float, beside: tuple[str, ...] = ()) -> None:
        """A target: at most `most`, as a multiple of each of `beside` where there are any."""
        mine = self.get(what, place)
        if mine is None:
            print(f"  not measured   {text}")
            return
        for other in beside or ("",):
            theirs = self.get(what, other) if other else 1.0
            if theirs is None:
                print(f"  not measured   {text} ({other} is missing)")
                continue
            holds = mine <= most * theirs
            factor = f"{theirs / mine:.1f} times below" if 0 < mine < theirs else f"{mine / theirs:.1f} times"
            said = f"{factor} {other}'s {theirs:.2f}" if other else f"at most {most:g}"
            print(f"  {'holds' if holds else 'MISSED':14s} {text}: {mine:.2f} ({said})")


def measure(places: dict[str, Place], arguments: argparse.Namespace, found: Found) -> None:
    times: dict[tuple[str, str], list[float]] = {}
    failed: set[tuple[str, str]] = set()
    for _ in range(ROUNDS):
        for name, place in places.items():
            for what, command in COMMANDS.items():
                if (what, name) in failed:
                    continue
                taken = place.ask("times", command=command, repeats=max(1, arguments.repeats // ROUNDS))
                times.setdefault((what, name), []).extend(taken or [])
                if taken is None:
                    failed.add((what, name))
    for (what, name), taken in times.items():
        found.put(f"{what}, ms", name, statistics.median(taken) if taken else None)
    for name, place in places.items():
        flood = place.ask("flood", command=FLOOD.format(arguments.flood)) or {}
        found.put(f"{arguments.flood} MB, seconds", name, flood.get("seconds"))
        found.put(f"{arguments.flood} MB, peak MB", name, flood.get("peak_mb"))
    for _ in range(ROUNDS):
        for name, place in places.items():
            if name in FLOORS:
                continue
            count = max(1, arguments.lives // ROUNDS) * (4 if name.startswith("local") else 1)
            for what, taken in (place.ask("lives", count=count) or {}).items():
                times.setdefault((what, name), []).extend(taken)
            for what, taken in (place.ask("forks", count=count) or {}).items() if name in OURS else ():
                times.setdefault((what, name), []).extend(taken)
    for (what, name), taken in times.items():
        if what in ("ready", "close", "snapshot", "fork") and taken:
            found.put(f"{what}, ms", name, statistics.median(taken))
    for name, place in places.items():
        if name in ("local", "docker"):
            resets = place.ask("resets", count=arguments.lives, pool=0)
            found.put("reset, ms", name, statistics.median(resets) if resets else None)
            resets = place.ask("resets", count=arguments.lives, pool=arguments.pool)
            found.put(f"reset, pool of {arguments.pool}, ms", name, statistics.median(resets) if resets else None)
        if name not in FLOORS:
            count = arguments.episodes * (10 if name.startswith("local") else 1)
            rate = place.ask("episodes", workers=8, count=count) or {}
            found.put("episodes/s, 8 at a time", name, rate.get("per_second"))
        if name in OURS:
            rate = place.ask("episodes", workers=32, count=max(64, arguments.episodes)) or {}
            found.put("episodes/s, 32 at a time", name, rate.get("per_second"))
            found.put("failed of these", name, rate.get("failed"))
        if name not in FLOORS:
            found.put("memory, idle, MB", name, place.ask("memory", count=4))


def check(found: Found, arguments: argparse.Namespace) -> None:
    print("\nTargets:")
    found.target("trivial command, Docker, 1/50 of the peers'", "true, ms", "docker", 1 / 50, PEERS)
    found.target("trivial command, local, twice the host's", "true, ms", "local", 2, FLOORS[:2])
    for place in ("local", "docker"):
        found.target(f"1 MB of output, {place}, 1/8 of the peers'", "1 MB of output, ms", place, 1 / 8, PEERS)
        much = f"{arguments.flood} MB"
        found.target(f"{much} of output, {place}, MB of memory", f"{much}, peak MB", place, 16)
        found.target(f"{much} of output, {place}, seconds", f"{much}, seconds", place, 60)
    found.target("reset, local, ms", "reset, ms", "local", 50)
    found.target("reset, Docker with a pool, ms", f"reset, pool of {arguments.pool}, ms", "docker", 100)
    found.target("snapshot, local, ms", "snapshot, ms", "local", 30)
    found.target("fork, local, ms", "fork, ms", "local", 30)
    mine, theirs = (found.get("episodes/s, 8 at a time", place) for place in ("local, image", "mini-swe-agent"))
    if mine is None or theirs is None:
        print("  not measured   episodes a second, local over an image, 20 times mini-swe-agent's")
    else:
        said = f"{mine:.1f} against {theirs:.2f}, {mine / theirs:.1f} times"
        print(f"  {'holds' if mine >= 20 * theirs else 'MISSED':14s} episodes a second, local over an image: {said}")
    for place in OURS:
        found.target(f"32 episodes at a time, {place}, failures", "failed of these", place, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="commands of each kind")
    parser.add_argument("--lives", type=int, default=20, help="places made and closed; four times as many local ones")
    parser.add_argument("--episodes", type=int, default=24, help="episodes of each place; ten times as many local ones")
    parser.add_argument("--flood", type=int, default=500, help="MB of the command that floods")
    parser.add_argument("--pool", type=int, default=4, help="warm sandboxes of the pool")
    parser.add_argument("--image", default=BASE_IMAGE, help="the image that all places run")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has the peers' packages")
    parser.add_argument("--places", default=",".join(PLACES).replace("local, image", "local image"), help="only these")
    arguments = parser.parse_args()
    wanted = [name.strip().replace("local image", "local, image") for name in arguments.places.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        for number in range(20):
            (tree / f"file{number}.py").write_text(f"VALUE = {number}\n" * 50)
        repository = prepare_repository(f"dir:{tree}", cache=Path(folder, "cache")).path
        places = {}
        for name in (name for name in PLACES if name in wanted):
            python = arguments.peers_python if name in PEERS else sys.executable
            place = Place(name, python, arguments.image, repository)
            if place.missing:
                print(f"{name}: not here ({place.missing})")
                place.close()
            else:
                places[name] = place
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
        found = Found({})
        try:
            measure(places, arguments, found)
        except KeyboardInterrupt:
            print("interrupted: what is measured so far")
        print(f"load {os.getloadavg()[0]:.1f} at the end\n")
        for place in places.values():
            place.close()
    found.show()
    check(found, arguments)
    listing = subprocess.run(["docker", "ps", "-aq", f"--filter=label={LABEL}"], capture_output=True, text=True)
    if left := listing.stdout.split():
        subprocess.run(["docker", "rm", "-f", *left], capture_output=True)


if __name__ == "__main__":
    main()
