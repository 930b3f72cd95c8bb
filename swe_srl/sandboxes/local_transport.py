"""Reaching the shells of a local sandbox: pipes to a supervisor under bubblewrap."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from swe_srl.errors import SandboxError, SandboxUnavailableError
from swe_srl.sandboxes.cgroups import ControlGroup, make_group
from swe_srl.sandboxes.copies import copy_layer
from swe_srl.sandboxes.descriptors import check_descriptors, descriptor_errors
from swe_srl.sandboxes.etc import HOME
from swe_srl.sandboxes.forks import making_connections
from swe_srl.sandboxes.host_view import IO, bubblewrap, bwrap_options, extra_python, mounted_in_root, user_ids
from swe_srl.sandboxes.launch import helper, new_path
from swe_srl.sandboxes.local_limits import check_enforceable, disk_is_bounded, rlimits_processes, tmpfs_options
from swe_srl.sandboxes.pipes import Sink, chunk, is_finished, wait_for
from swe_srl.sandboxes.removal import remove_folder
from swe_srl.sandboxes.transport import (
    SHELL_VARIABLES,
    SUPERVISOR,
    Chunk,
    SandboxGoneError,
    TransportClosedError,
    supervisor_variables,
    ulimit_arguments,
)
from swe_srl.types import SandboxSpec

DROP_SECONDS = 0.1  # between two looks at what background jobs of earlier commands print
KILL_SECONDS = 10.0
OLD_SINKS = 64  # that background jobs hold: beyond this, the oldest can write no more (SIGPIPE)
REMOVED = (
    "the sandbox's folder {folder}, or a part of it, was removed from outside: make a new sandbox, and keep whatever cleans up "
    "temporary files from it (or set TMPDIR to another folder)"
)
PARTS = ("tmp", "shm", "home", "workspace")  # of a layer, beside the upper folders of its overlays


class LocalTransport:
    """Pipes to a supervisor under bubblewrap. One folder on the host: the layer's mount point, and named pipes."""

    def __init__(self, spec: SandboxSpec, snapshot: Path | None = None) -> None:
        check_enforceable(spec.limits)
        self._spec = spec
        self._snapshot = snapshot
        check_descriptors()
        with descriptor_errors():
            self._helper = helper()
        if os.geteuid() == 0 and not self._helper.shifted:
            raise SandboxUnavailableError(
                f"a sandbox started by root must run as another user, and user ids cannot be mapped here "
                f"({self._helper.problem}): run as an ordinary user, or give this container CAP_SYS_ADMIN and CAP_SETUID"
            )
        with descriptor_errors():
            self.folder = new_path("sandbox")  # made by the first start
        self._made = False
        self._lowers = {"root": spec.root, "repository": spec.repository}
        self._lowers = {name: str(Path(path).resolve()) for name, path in self._lowers.items() if path}
        self._launched = False  # whether there is, or was asked for, what `stop` has to end
        self._inside = -1  # descriptor of the first process inside
        self._stdin = self._control = -1
        self._poll = select.poll()
        self._sink: Sink | None = None  # of the running command
        self._free_sink: Sink | None = None  # of the last one, when none of its jobs can write to it
        self._old_sinks: list[Sink] = []  # that background jobs may still write to
        self._dropped = 0.0
        self._group = ControlGroup()
        self._killed = False

    def _make_folder(self) -> None:
        mode = 0o711 if os.geteuid() == 0 else 0o700
        for folder, access in ((self.folder, mode), (self.folder / "layer", 0o711), (self.folder / "io", 0o711)):
            folder.mkdir(0o700)
            folder.chmod(access)
        self._made = True

    def start(self) -> None:
        self.stop()
        if self._killed:
            raise SandboxGoneError("the sandbox was closed")
        if not self._made:
            with descriptor_errors():
                self._make_folder()
        if not (self.folder / "io").is_dir():
            raise SandboxGoneError(REMOVED.format(folder=self.folder))
        if not self._group.folders:
            make_group(self._group, self.folder.name, self._spec.limits)
        check_descriptors()
        with descriptor_errors(), making_connections(self), contextlib.ExitStack() as theirs:
            stdin, self._stdin = os.pipe()
            theirs.callback(os.close, stdin)
            self._control, control = os.pipe()
            theirs.callback(os.close, control)
            self._poll.register(self._control, select.POLLIN)
            info, child_info = os.pipe()
            theirs.callback(os.close, child_info)
            with os.fdopen(info, "rb") as report:
                os.set_blocking(self._stdin, False)
                os.set_blocking(self._control, False)
                self._launched = True
                self._helper.ask(self._request(), (stdin, control, child_info))
                theirs.close()
                text = report.read()
            if text:
                with contextlib.suppress(ProcessLookupError):
                    self._inside = os.pidfd_open(json.loads(text)["child-pid"])

    def _request(self) -> dict[str, object]:
        limits = self._spec.limits
        ulimit = ulimit_arguments(limits, rlimits_processes(), not self._group.memory, not disk_is_bounded())
        variables = SHELL_VARIABLES | ({} if self._spec.root else {"HOME": HOME, "USER": "agent"})
        if not self._spec.root and (prefix := extra_python()):
            variables["PATH"] = f"{prefix}/bin:{variables['PATH']}"
        etc = Path("/etc") if self._spec.root else self._helper.etc(self._spec.network)
        variables |= dict(self._spec.env) | supervisor_variables(self._spec.workdir, False, ulimit)
        return {
            "do": "launch",
            "id": self.folder.name,
            "layer": str(self.folder / "layer"),
            "tmpfs": tmpfs_options(limits, self._group.memory) if disk_is_bounded() else "",
            "snapshot": str(self._snapshot or ""),
            "parts": PARTS,
            "lowers": self._lowers,
            "mounted": mounted_in_root(self._spec),
            "shown": [str(Path(path).resolve()) for path, _ in self._spec.shown],
            "layers": [str(Path(path).resolve()) for path in self._spec.layers],
            "idmap": True,
            "owner": self._owner(),
            "cgroups": [str(folder) for folder in self._group.folders],
            "program": bubblewrap(),
            "options": bwrap_options(self._spec, self.folder, etc, variables),
            "command": SUPERVISOR,
        }

    def _owner(self) -> int:
        """The owner of the files that the sandbox's user is to own. An image that root unpacked has the image's own owners."""
        owner = Path(next(iter(reversed(self._lowers.values())), "/")).stat().st_uid
        of_image = self._spec.root and not self._spec.repository and owner == 0
        return user_ids(self._spec.user)[0] if of_image and self._spec.user else owner

    def open_sink(self) -> tuple[str, bytes]:
        if self._free_sink is None:
            self._free_sink = self._new_sink()
        sink = self._free_sink
        with descriptor_errors(), self._removal_errors():
            sink.hold = os.open(sink.path, os.O_WRONLY | os.O_NONBLOCK)
        self._sink, self._free_sink = sink, None
        self._poll.register(sink.reading, select.POLLIN)
        return f"{IO}/{sink.name}", b""

    def _new_sink(self) -> Sink:
        name = secrets.token_hex(8)
        path = f"{self.folder}/io/{name}"
        sink = Sink(name, path)
        with descriptor_errors(), self._removal_errors():
            os.mkfifo(path)
        try:
            with descriptor_errors(), self._removal_errors():
                Path(path).chmod(0o622)
                sink.reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except BaseException:
            sink.close()
            Path(path).unlink(missing_ok=True)
            raise
        return sink

    @contextlib.contextmanager
    def _removal_errors(self) -> Iterator[None]:
        """The system's errors for what is no longer there as `SandboxGoneError`."""
        try:
            yield
        except FileNotFoundError as error:
            raise SandboxGoneError(REMOVED.format(folder=self.folder)) from error

    def close_sink(self) -> None:
        sink = self._sink
        if sink is None:
            return
        with contextlib.suppress(KeyError):
            self._poll.unregister(sink.reading)
        hold, sink.hold = sink.hold, -1
        os.close(hold)
        if is_finished(sink.reading):
            self._sink, self._free_sink = None, sink
            return
        Path(sink.path).unlink(missing_ok=True)
        self._sink, self._old_sinks = None, [*self._old_sinks, sink]
        if len(self._old_sinks) > OLD_SINKS:
            self._drop_old_output()
            while len(self._old_sinks) > OLD_SINKS:
                self._old_sinks[0].close()
                del self._old_sinks[0]

    def send(self, data: bytes, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError("the sandbox's supervisor takes no input") from None
                wait_for(self._stdin, select.POLLOUT, remaining)
            except OSError as error:
                raise TransportClosedError(f"the sandbox's supervisor is gone: {error}") from error

    def receive(self, seconds: float) -> Iterator[Chunk]:
        if self._old_sinks:
            if time.monotonic() - self._dropped >= DROP_SECONDS:
                self._drop_old_output()
            seconds = min(seconds, DROP_SECONDS)
        ready = [descriptor for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000)]
        if self._sink and self._sink.reading in ready:
            yield from chunk("output", self._sink.reading)
        if self._control not in ready:
            return
        chunks = list(chunk("control", self._control))
        yield from chunks
        if not chunks:
            while self._sink and (rest := list(chunk("output", self._sink.reading))):
                yield from rest
            raise TransportClosedError("the sandbox's processes ended")

    def _drop_old_output(self) -> None:
        """Make room for what background jobs of earlier commands print, now and then: one that floods is held up by it."""
        self._dropped = time.monotonic()
        for sink in [old for old in self._old_sinks if is_finished(old.reading)]:
            sink.close()
            self._old_sinks.remove(sink)

    def kill(self) -> None:
        self._killed = True
        self._end_processes()

    def _end_processes(self) -> None:
        inside = self._inside
        if inside >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(inside, signal.SIGKILL)

    def stop(self) -> None:
        """Kill every process; the files stay."""
        if self._inside >= 0:
            self._end_processes()
            wait_for(self._inside, select.POLLIN, KILL_SECONDS)
        self._poll = select.poll()
        own = vars(self)
        for name in ("_inside", "_stdin", "_control"):
            if (descriptor := own[name]) >= 0:
                own[name] = -1  # no call comes before the next one, and so no interrupt
                os.close(descriptor)
        for sink in filter(None, (self._sink, self._free_sink, *self._old_sinks)):
            sink.close()
        self._sink, self._free_sink, self._old_sinks = None, None, []
        if self._launched:
            self._helper.ask({"do": "reap", "id": self.folder.name})
            self._launched = False

    def after_fork(self) -> None:
        """In a forked process: close its copies of the pipes."""
        pipes = [self._stdin, self._control, self._inside]
        for sink in filter(None, (self._sink, self._free_sink, *self._old_sinks)):
            pipes += [sink.reading, sink.hold]
        for descriptor in pipes:
            with contextlib.suppress(OSError):  # it was being closed when the process was forked, or is not open (-1)
                os.close(descriptor)

    def close(self) -> None:
        """Kill every process and free every file and mount."""
        with contextlib.suppress(SandboxError):
            self.stop()
            self._helper.ask({"do": "release", "id": self.folder.name})
        self._group.remove()
        remove_folder(self.folder)

    def copy_layer(self, target: Path, parts: Sequence[str] = ()) -> None:
        """Copy the writable files, or some parts of them (`root.upper`), to a folder; see `copies.copy_layer`."""
        parts = parts or [*PARTS, *(f"{name}.upper" for name in self._lowers)]
        request = {"id": self.folder.name, "layer": str(self.folder / "layer"), "parts": parts, "to": str(target)}
        copy_layer(self._helper, self, request)
