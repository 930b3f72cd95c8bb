"""The connection to a Ray cluster, and what its nodes are."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from swe_srl.errors import ConfigError, SweSrlError

CONNECT_SECONDS = 10.0
START = (
    "Start one with `ray start --head` on one machine and `ray start --address HEAD:6379` on the others, and run swe-srl on "
    "one of them; or give --ray-address HOST:PORT"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A living node of the cluster.

    Args:
        id: Ray's.
        name: for people.
        cores: CPUs that Ray has to give there.
        gpus: GPUs likewise.
    """

    id: str
    name: str
    cores: float
    gpus: float


def load_ray() -> Any:
    """The ray package. It reports nothing about its use.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_module("ray")
        import_module("ray.util.scheduling_strategies")
    except ImportError as error:
        raise ConfigError(
            f"executor ray: the package ray cannot be imported ({error}): pip install 'swe-srl[ray]'"
        ) from error
    return ray


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The ray package, connected to a cluster until the block ends. A connection that the caller has already is used, and kept.

    Args:
        address: HOST:PORT; "" for `$RAY_ADDRESS`, or else the cluster that was started on this machine.

    Raises:
        ConfigError: ray is not installed, or an address that is none.
        SweSrlError: no cluster answers there.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    where = address or os.environ.get("RAY_ADDRESS") or "auto"
    _check_address(where)
    with _signals_kept():
        try:
            ray.init(address=where, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            said = " ".join(str(error).split())[:500]
            raise SweSrlError(f"no Ray cluster can be joined ({where}): {said}. {START}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def machines(ray: Any) -> list[Machine]:
    """The living nodes that have a CPU to give, by name."""
    found = []
    for node in ray.nodes():
        resources = node.get("Resources") or {}
        if node["Alive"] and resources.get("CPU", 0) > 0:
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:6]})"
            found.append(Machine(node["NodeID"], name, float(resources["CPU"]), float(resources.get("GPU", 0))))
    return sorted(found, key=lambda machine: machine.name)


def is_alive(ray: Any, machine: Machine) -> bool:
    """Whether the cluster still counts a node as its own."""
    return any(node["NodeID"] == machine.id and node["Alive"] for node in ray.nodes())


def on(ray: Any, machine: Machine) -> Any:
    """Ray's way to say: there and nowhere else."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(machine.id, soft=False)


def make_probe() -> Callable[[], dict[str, Any]]:
    """A function that tells about the node it runs on.

    It is sent by value, as Ray sends functions that are made in functions: a node need not have this package for it.
    """

    def probe() -> dict[str, Any]:
        try:
            from swe_srl.evaluation.cluster.describing import describe

            return describe()
        except ImportError as error:
            try:
                from importlib.metadata import version

                return {"version": version("swe-srl"), "problem": str(error)}
            except ImportError:  # PackageNotFoundError is one
                return {"version": "", "problem": str(error)}

    return probe


def _check_address(where: str) -> None:
    if where == "auto":
        return
    host, _, port = where.rpartition(":")
    if "://" in where or not host or not port.isdigit():
        raise ConfigError(
            f"ray_address: HOST:PORT of the cluster's head was expected, as 10.0.0.1:6379, not {where!r}: swe-srl runs on one "
            f"of the cluster's own machines"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise SweSrlError(f"no Ray cluster answers at {where}: {error}. {START}") from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes over SIGTERM, which has an answer already."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
