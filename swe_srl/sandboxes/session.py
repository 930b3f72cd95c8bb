"""One persistent bash in a sandbox: framing, time-outs, and rebuilding a lost shell.

The host talks to a supervisor shell (supervisor.bash), which forwards commands to a worker shell (worker.bash). A command's
output has a sink of its own, so a background job never speaks into a later command; its end is known by a nonce that waits
unread in a pipe until the command is over. The host keeps the directory and the exported variables as of the last command,
and puts them back whenever the worker had to be replaced.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
import time
from dataclasses import dataclass

from swe_srl.errors import SandboxError
from swe_srl.sandboxes.descriptors import NoDescriptorsError
from swe_srl.sandboxes.framing import ControlReader, OutputReader, ShellState, command_bytes, escaped, message
from swe_srl.sandboxes.losses import EARLIER, GONE, KEPT, LOST_ALL, LOST_SHELL, NOT_ENTERED, NOT_KEPT, STATE_LOST, cause
from swe_srl.sandboxes.output import OutputBuffer
from swe_srl.sandboxes.patience import Ending, Kind, Patience, begin_seconds
from swe_srl.sandboxes.shell_state import dump_command, reduced_script, restore_script
from swe_srl.sandboxes.transport import SandboxGoneError, Transport, TransportClosedError
from swe_srl.types import CommandResult, Limits

TAKEN_UP_SECONDS = 1.0  # a command with less time is not told from one that was not taken up
START_SECONDS = 60.0  # for a new supervisor to report that its worker is ready
COMMAND_CHARACTERS = 20_000_000
RESTART_PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds after failed tries; the last one again and again
RESTART_SECONDS = 45.0  # of tries: an engine may be starting again
UNLIMITED = 1e7  # seconds
KILL_SECONDS = 5.0  # for a supervisor to kill everything and start a new worker


@dataclass
class ShellSession:
    """A persistent shell over a transport. Safe to share between threads: commands run one at a time."""

    transport: Transport
    limits: Limits

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._control = ControlReader()
        self._unsaid: list[str] = []  # losses that no observation has told yet
        self._lost = False  # the last try to bring the shell back failed, or was interrupted

    def start(self, script: str = "") -> None:
        """Start the supervisor and its worker, which first runs a script that `shell_state` of a session made."""
        with self._lock:
            self._begin(script)

    def close(self) -> None:
        """End the transport, from any thread: a command that runs in another one is lost first."""
        self.transport.kill()
        with self._lock:
            self.transport.close()

    def run(self, command: str, timeout: float | None = None) -> CommandResult:
        """Run a command in the worker; see `swe_srl.protocols.Sandbox.run`."""
        if len(command) > COMMAND_CHARACTERS:
            text = f"[the command was not run: it has {len(command)} characters, and at most {COMMAND_CHARACTERS} can be run]"
            return CommandResult(text, 126, 0.0)
        limit = (self.limits.command_seconds if timeout is None else timeout) or UNLIMITED
        output = OutputBuffer(self.limits.output_bytes)
        with self._lock:
            begin = time.monotonic()
            self._revive()
            ending = self._run("C", command, limit, output)
            before, self._unsaid = self._unsaid, []
            note = self._recover(ending, limit)
            if note and not ending.begun:  # lost before the command was taken up: the new shell gets it
                before = [*before, note]
                ending = self._run("C", command, limit, output)
                note = self._recover(ending, limit)
            duration = time.monotonic() - begin
        text = "".join(f"{loss}\n" for loss in before) + output.text()
        if note:
            text = f"{text}\n{note}" if text and not text.endswith("\n") else text + note
        return CommandResult(
            output=text,
            exit_code=ending.exit_code,
            duration=duration,
            timed_out=ending.kind in ("timeout", "silence"),
            truncated=output.truncated,
            rebuilt=bool(before or note),
        )

    def run_clean(self, script: str, timeout: float, limit: int = 0) -> tuple[int | None, bytes]:
        """Run a script in a clean shell beside the worker: none of the worker's functions, variables or options apply.

        Returns:
            The exit code (None when it was killed) and what it printed, whole when `limit` (bytes) is 0.
        """
        output = OutputBuffer(limit)
        with self._lock:
            self._revive()
            ending = self._run("H", script, timeout, output)
            if note := self._recover(ending, timeout):
                self._unsaid.append(note)
            if ending.kind in ("closed", "exit", "stuck", "unmarked"):  # the shell was lost over something else
                output = OutputBuffer(limit)
                ending = self._run("H", script, timeout, output)
                self._recover(ending, timeout)
        return ending.exit_code, output.data()

    def restart(self) -> None:
        """Kill every process and start a new worker, with the directory and the exported variables."""
        with self._lock:
            self._lost = True
            bring_back = self._restore if self._new_worker("K") else self._start_again
            bring_back()

    def shell_state(self) -> str:
        """A script that sets the worker's directory, variables, functions, options and aliases again.

        Raises:
            SandboxError: the shell was lost over it.
        """
        mark = secrets.token_hex(16)
        output = OutputBuffer(0)
        with self._lock:
            self._revive()
            ending = self._run("C", dump_command(mark), KILL_SECONDS * 4, output)
            if ending.kind != "done":
                self._unsaid.append(said := self._recover(ending, KILL_SECONDS * 4))
                raise SandboxError(f"the shell's state could not be taken (too many functions?): {said}")
            directory = self._control.state.directory
        return restore_script(directory, output.data(), mark.encode())

    def _run(self, kind: str, command: str, seconds: float, output: OutputBuffer, starting: float = 0) -> Ending:
        """Have a command run; its shell, which may still be `starting`, gets that many seconds more."""
        nonce = secrets.token_hex(16)
        self._control.expect()
        reader = OutputReader(output, nonce.encode())
        try:
            header, reader.start_mark = self.transport.open_sink()
            try:
                return self._exchange(kind, header, command, nonce, seconds, reader, starting)
            finally:
                reader.flush()
                self.transport.close_sink()
        except TransportClosedError:
            return Ending("closed", None, self._control.begun)
        except BaseException:  # an interrupt: nobody knows how far the command is, so the next one must not meet it
            self._lost = True
            raise

    def _exchange(
        self, kind: str, header: str, command: str, nonce: str, seconds: float, reader: OutputReader, starting: float
    ) -> Ending:
        body = command_bytes(command)
        if kind == "C" and not body.isascii():
            kind, body = "E", escaped(body)
        begin = begin_seconds(len(body))
        patience = Patience(seconds, self.limits.silent_seconds, begin, starting)
        try:
            self.transport.send(message(kind, header, body) + nonce.encode(), starting + min(seconds, begin))
        except TimeoutError:
            return self._out_of(patience.left()[0], seconds)
        return self._collect(nonce, patience, reader, seconds)

    def _collect(self, nonce: str, patience: Patience, reader: OutputReader, seconds: float) -> Ending:
        """Read both streams until the command's report and its output's end are here."""
        exit_code: int | None = None
        lost: int | None = None
        done = False
        while not (done and reader.ended):
            reason, wait = patience.left()
            if wait <= 0:
                return self._out_of(reason, seconds, exit_code if reason == "unmarked" else None)
            if (pause := patience.pause()) <= 0:  # the supervisor tells then when nobody is left who would
                with contextlib.suppress(TimeoutError):  # it is stopped
                    self.transport.send(message("P"), wait)
            for chunk in self.transport.receive(min(wait, max(pause, 0))):
                if chunk.stream == "output":
                    if reader.feed(chunk.data):
                        patience.said()
                    continue
                for report in self._control.feed(chunk.data):
                    if report.startswith(b"X") and lost is None:
                        lost = int(report[1:])
                    if report.startswith(b"D" + nonce.encode()):
                        exit_code = int(report.split(b" ")[-1])
                        done = True
                        patience.done()
                if self._control.begun:
                    patience.begun()
            if lost is not None:
                self._drain_lost(reader)
                return Ending("exit", lost, self._control.begun)
        return Ending("done", exit_code)

    def _out_of(self, reason: Kind, seconds: float, exit_code: int | None = None) -> Ending:
        """Time is up. A command that has had time, and that no shell has taken up, was not what took it."""
        if reason in ("timeout", "silence") and not self._control.begun and seconds >= TAKEN_UP_SECONDS:
            reason = "stuck"
        return Ending(reason, exit_code, begun=reason != "stuck")

    def _drain_lost(self, reader: OutputReader) -> None:
        """The worker is gone before it could mark the end of the output: let the supervisor mark it."""
        self.transport.send(message("F", reader.end_mark.decode()), 1.0)
        deadline = time.monotonic() + 1.0
        while not reader.ended and time.monotonic() < deadline:
            for chunk in self.transport.receive(deadline - time.monotonic()):
                if chunk.stream == "output":
                    reader.feed(chunk.data)
                else:
                    self._control.feed(chunk.data)

    def _recover(self, ending: Ending, limit: float) -> str:
        """Bring the session back after a command that did not end well; what is to be told about it."""
        if ending.kind == "done":
            return ""
        self._lost = True  # until it is back, which an interrupt may prevent
        if ending.kind == "exit" and self._new_worker("W"):
            ending.begun = ending.begun or self._control.begun
            what = f"the shell ended with exit code {ending.exit_code}"
            return LOST_SHELL.format(what=what, kept=self._restore())
        ready = ending.kind not in ("exit", "closed") and self._new_worker("K")
        what = cause(ending.kind, limit, self.limits.silent_seconds)
        ending.begun = ending.begun or self._control.begun  # late news
        return LOST_ALL.format(what=what, kept=self._restore() if ready else self._start_again())

    def _new_worker(self, kind: str) -> bool:
        """Have the supervisor start a worker: whether one is ready."""
        try:
            self.transport.send(message(kind), KILL_SECONDS)
            self._await_worker(KILL_SECONDS)
        except (TimeoutError, SandboxError):
            return False
        return True

    def _begin(self, script: str = "") -> None:
        self._control.forget()
        self.transport.start()
        if not script:
            self._await_worker(START_SECONDS)
            return
        output = OutputBuffer(4096)
        ending = self._run("C", script, KILL_SECONDS * 4, output, START_SECONDS)  # it waits for the worker
        if not ending.begun:
            if ending.kind == "closed":
                self._await_worker(KILL_SECONDS)  # which tells what was said
            raise SandboxError(f"the sandbox's shell did not start ({ending.kind}): {self._control.incomplete}")
        if self._recover(ending, KILL_SECONDS * 4):
            self._unsaid.append(STATE_LOST)
        elif said := output.text().strip():  # by `cd`: nothing else of the script is heard
            self._unsaid.append(NOT_ENTERED.format(said=said))

    def _start_again(self) -> str:
        """A new supervisor over the same files; what was kept, in words. What is still dying gets a moment."""
        self._lost = True
        until = time.monotonic() + RESTART_SECONDS
        for pause in itertools.chain(RESTART_PAUSES, itertools.repeat(RESTART_PAUSES[-1])):
            try:
                self._begin()
                break
            except (SandboxGoneError, NoDescriptorsError):
                raise
            except SandboxError:
                if time.monotonic() >= until:
                    raise
                time.sleep(pause)
        return self._restore()

    def _revive(self) -> None:
        """Bring back a shell that could not be brought back before."""
        if self._lost:
            self._unsaid.append(LOST_ALL.format(what="the shell was lost", kept=self._start_again()))

    def _await_worker(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (now := time.monotonic()) < deadline:
            try:
                for chunk in self.transport.receive(deadline - now):
                    if chunk.stream == "control" and b"R" in self._control.feed(chunk.data):
                        return
            except TransportClosedError as error:
                said = self._control.incomplete or str(error)
                raise SandboxError(f"the sandbox's shell did not start: {said}") from error
        raise SandboxError(f"the sandbox's shell did not start within {seconds:g} seconds: {self._control.incomplete}")

    def _restore(self) -> str:
        """Put directory and exported variables back; when that breaks the new shell, begin with a fresh state. What was kept,
        in words."""
        self._lost = False  # there is a new shell
        state, reported = self._control.state, self._control.reported
        if not state.directory:
            return KEPT
        script = reduced_script(state.directory, state.exports)
        ending = self._run("C", script, KILL_SECONDS, OutputBuffer(4096))
        if ending.kind == "done":
            return GONE if ending.exit_code else KEPT if reported else EARLIER
        self._control.state = ShellState()
        self._start_again()
        return NOT_KEPT
