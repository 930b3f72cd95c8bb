"""A registry and a Docker engine of one's own: pulls, limits, evictions and restarts without touching anybody else's."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Speaks as much of the distribution API as an engine needs to pull, on the loopback interface.

    `limited` says how many of the next manifests are refused with 429; `broken` how many blobs are cut off in the middle;
    `stalled` how many fall silent in the middle, and `mute` how many manifests are never answered.
    `asked` counts requests by kind, `most` is the greatest number of blobs on their way at once; `slow` is a pause in seconds
    before each blob.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.limited = 0
        self.broken = 0
        self.stalled = 0
        self.mute = 0
        self.over = threading.Event()  # the registry is closed: what is silent ends
        self.slow = 0.0
        self.active = self.most = 0
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, size: int = 1 << 20, architecture: str = "amd64", seed: int = 0) -> str:
        """An image with one file of random bytes; returns its full name."""
        noise = hashlib.shake_256(f"{name}{seed}".encode()).digest(size)
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            member = tarfile.TarInfo("noise")
            member.size = size
            archive.addfile(member, io.BytesIO(noise))
        return self.add_layers(name, [layer.getvalue()], {"Cmd": ["/noise"]}, architecture)

    def add_layers(self, name: str, layers: list[bytes], config: dict[str, object], architecture: str = "amd64") -> str:
        """An image of plain tars; returns its full name."""
        packed = [gzip.compress(layer, 1, mtime=0) for layer in layers]
        ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        image = {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": ids},
        }
        described = json.dumps(image).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(described, "application/vnd.docker.container.image.v1+json"),
            "layers": [self._blob(blob, "application/vnd.docker.image.rootfs.diff.tar.gzip") for blob in packed],
        }
        repository, _, tag = name.partition(":")
        content = json.dumps(manifest).encode()
        for key in (tag or "latest", f"sha256:{hashlib.sha256(content).hexdigest()}"):
            self.manifests[f"{repository}/{key}"] = content
        return f"{self.address}/{repository}:{tag or 'latest'}"

    def _blob(self, content: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, body: bool) -> None:
            if self.path == "/v2/":
                self._send(200, b"{}", "application/json", body)
            elif "/manifests/" in self.path:
                self._manifest(body)
            else:
                self._blob(body)

        def _manifest(self, body: bool) -> None:
            repository, _, reference = self.path.removeprefix("/v2/").partition("/manifests/")
            with registry.lock:
                registry.asked["manifest"] += 1
                refused = registry.limited > 0
                registry.limited -= refused
                silent = registry.mute > 0
                registry.mute -= silent
            if silent:
                registry.over.wait()
            content = registry.manifests.get(f"{repository}/{reference}")
            if refused:
                self._send(
                    429, _error("TOOMANYREQUESTS", "You have reached your pull rate limit"), "application/json", body
                )
            elif content is None:
                self._send(404, _error("MANIFEST_UNKNOWN", "manifest unknown"), "application/json", body)
            else:
                self._send(200, content, MANIFEST, body)

        def _blob(self, body: bool) -> None:
            digest = self.path.rpartition("/")[2]
            content = registry.blobs.get(digest)
            if content is None:
                self._send(404, _error("BLOB_UNKNOWN", "blob unknown"), "application/json", body)
                return
            with registry.lock:
                registry.asked[f"blob {digest}"] += 1
                registry.active += 1
                registry.most = max(registry.most, registry.active)
                cut = registry.broken > 0
                registry.broken -= cut
                stalls = registry.stalled > 0
                registry.stalled -= stalls
            try:
                time.sleep(registry.slow)
                if cut or stalls:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content[: len(content) // 2])
                    if stalls:
                        registry.over.wait()
                    self.close_connection = True
                else:
                    self._send(200, content, "application/octet-stream", body)
            finally:
                with registry.lock:
                    registry.active -= 1

        def _send(self, status: int, content: bytes, kind: str, body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Nothing."""

    return Handler


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


class Engine:
    """A dockerd with folders of its own. It can be stopped and started again."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.socket = f"unix://{place}/docker.sock"
        self.bridge = f"swesrl{secrets.token_hex(4)}"  # of its own: with none, dockerd removes everybody's docker0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, tries: int = 4) -> None:
        """Start the daemon and wait until it answers. On a busy machine its containerd may need another try."""
        space = self.place.name.replace("_", "0")
        words = ["dockerd", "-H", self.socket, "--data-root", f"{self.place}/data", "--exec-root", f"{self.place}/exec"]
        words += ["--pidfile", f"{self.place}/pid", "--bridge", self.bridge, "--iptables=false", "--ip-forward=false"]
        words += ["--containerd-namespace", f"x{space}", "--containerd-plugins-namespace", f"y{space}"]
        _bridge(self.bridge, there=True)
        for _ in range(tries):
            with (self.place / "log").open("ab") as log:
                pipes = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
                self.process = subprocess.Popen(words, start_new_session=True, **pipes)  # type: ignore[call-overload]
            while self.process.poll() is None:
                if self.answers():
                    return
                time.sleep(0.1)
        raise RuntimeError(f"the engine did not start: {(self.place / 'log').read_text()[-2000:]}")

    def answers(self) -> bool:
        try:
            client = docker.DockerClient(base_url=self.socket)
            client.ping()
            client.close()
        except docker.errors.DockerException:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the daemon, as a restart of the service does; by SIGKILL its containers go on.

        A daemon that ends while a container is being started can leave its file system mounted, and no later one can remove it.
        """
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            self.process = None
            if number != signal.SIGKILL:
                _unmount(self.place)


@contextmanager
def own_engine() -> Iterator[Engine]:
    """An engine that is gone afterwards, with everything in it."""
    place = Path(tempfile.mkdtemp(prefix="swe-srl-engine-x"))
    engine = Engine(place)
    try:
        engine.start()
        yield engine
    finally:
        if engine.answers():
            client = docker.DockerClient(base_url=engine.socket)
            for container in client.containers.list(all=True):
                container.remove(force=True)
            client.close()
        engine.stop()
        _bridge(engine.bridge, there=False)
        _clean(place)


def _bridge(name: str, there: bool) -> None:
    """Make a network bridge, or remove it; nothing when that is so already."""
    add, remove, set_flags = 0x89A0, 0x89A1, 0x8914
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control, suppress(OSError):
        if not there:
            fcntl.ioctl(control, set_flags, struct.pack("16sh", name.encode(), 0))  # down
        fcntl.ioctl(control, add if there else remove, f"{name}\0".encode())


def _clean(place: Path) -> None:
    """End what the daemon left behind (its containerd, when it was killed), and remove its folder."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(place).encode() in file.read_bytes():
                os.kill(int(file.parent.name), signal.SIGKILL)
    _unmount(place)
    shutil.rmtree(place, ignore_errors=True)


def _unmount(place: Path) -> None:
    for mount in sorted((line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()), reverse=True):
        if mount.startswith(str(place)):
            subprocess.run(["umount", "-l", mount], check=False)


def load_image(engine: Engine, image: str) -> None:
    """Copy an image of the machine's own engine into another one."""
    with tempfile.TemporaryFile() as file:
        environment = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}
        subprocess.run(["docker", "save", image], stdout=file, check=True, env=environment)
        file.seek(0)
        subprocess.run(["docker", "-H", engine.socket, "load"], stdin=file, check=True, capture_output=True)
