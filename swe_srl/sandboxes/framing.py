"""Taking the two streams of a shell apart: the command's output up to its end mark, and the control messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from swe_srl.sandboxes.output import OutputBuffer, decode
from swe_srl.sandboxes.transport import TransportClosedError

CONTROL_BYTES = 16 << 20  # a control channel that says more than this of one command is being abused
CONTROL_MESSAGES = 1000  # and so is one that says so often something
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_FOREIGN = re.compile(rb"[\x80-\xff]")
_MESSAGE = re.compile(rb"B\Z|D[0-9a-f]{32} \d{1,3}\Z|R\Z|X\d{1,3}\Z|S/")


def message(kind: str, first: str = "", second: bytes = b"") -> bytes:
    """A message to the supervisor: a letter, the lengths of its two parts, and the parts (see supervisor.bash).

    >>> message("C", "/sink", b"ls")
    b'C0500000002/sinkls'

    Raises:
        ValueError: the first part has more than 99 characters: the supervisor would wait for what never comes.
    """
    if len(first) > 99:
        raise ValueError(f"the first part of a message has at most 99 characters: {first}")
    return f"{kind}{len(first):02d}{len(second):08d}{first}".encode() + second


def command_bytes(command: str) -> bytes:
    """A command as bash reads it: no NUL; what stands for a foreign byte (`surrogateescape`) is that byte.

    >>> command_bytes("a\\0\\udcff\\ud800")
    b'a\\xff\\xef\\xbf\\xbd'
    """
    return _LONE.sub("\ufffd", command.replace("\0", "")).encode("utf-8", "surrogateescape")


def escaped(command: bytes) -> bytes:
    """A command in ASCII, as `printf %b` of bash reads it: so its length is the same in every locale.

    >>> escaped("a\\\\n\u00e9".encode())
    b'a\\\\\\\\n\\\\0303\\\\0251'
    """
    return _FOREIGN.sub(lambda found: b"\\0%03o" % found[0][0], command.replace(b"\\", rb"\\"))


@dataclass
class OutputReader:
    """Finds a command's output between its start mark (which may be empty) and its end mark, in chunks of any size."""

    output: OutputBuffer
    end_mark: bytes
    start_mark: bytes = b""
    ended: bool = False
    _carry: bytes = b""

    def feed(self, data: bytes) -> bool:
        """Take bytes; whether the command said something."""
        data = self._carry + data
        self._carry = b""
        if self.start_mark:
            at = data.find(self.start_mark)
            if at < 0:
                self._carry = data[-len(self.start_mark) + 1 :]
                return False
            data = data[at + len(self.start_mark) :]
            self.start_mark = b""
        if self.ended or not data:
            return False
        at = data.find(self.end_mark)
        self.ended = at >= 0
        keep = at if self.ended else max(0, len(data) - len(self.end_mark) + 1)
        self._carry = b"" if self.ended else data[keep:]
        self.output.add(data[:keep])
        return at != 0

    def flush(self) -> None:
        """No end mark will come: what was held back belongs to the output."""
        if not self.ended and not self.start_mark:
            self.output.add(self._carry)
        self._carry = b""


@dataclass
class ShellState:
    """What survives the loss of a shell: the directory and `export -p`'s text."""

    directory: bytes = b""
    exports: bytes = b""


@dataclass
class ControlReader:
    """Complete control messages, and the shell's state as last reported.

    `B` a command has begun; `D<nonce> <exit code>` it is done, followed by directory and exports; `S<directory>` the worker ends,
    followed by exports; `X<exit code>` the worker is gone; `R` a worker is ready. Each part ends with NUL. The directory is as
    `pwd` prints it; the exports end with a period, without which they were cut short and count for nothing. Before `X` and `R`
    come three more NUL, which end what a lost worker had begun to report.
    """

    state: ShellState = field(default_factory=ShellState)
    begun: bool = False  # whether a `B` came since `expect`
    reported: bool = False  # whether a state came since then
    _data: bytes = b""
    _bytes: int = 0  # since then
    _messages: int = 0

    def expect(self) -> None:
        """A command comes next: what is told of it begins."""
        self.begun = self.reported = False
        self._bytes = self._messages = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; the messages that are complete now, without the reports of state.

        Raises:
            TransportClosedError: far more came than a shell reports.
        """
        self._data += data
        self._bytes += len(data)
        found: list[bytes] = []
        begin = 0
        while (end := self._data.find(b"\0", begin)) >= 0:
            message = self._data[begin:end]
            if not _MESSAGE.match(message):  # bash's own complaints stand before the message
                message = message.removesuffix(b"\n").rpartition(b"\n")[2]
            kind = message[:1] if _MESSAGE.match(message) else b""
            parts, end = self._following(end, {b"D": 2, b"S": 1}.get(kind, 0))
            if parts is None:
                break
            self._messages += 1
            if self._messages > CONTROL_MESSAGES:
                break
            if kind == b"S":
                parts = [message[1:], *parts]
            if parts:
                self._keep(*parts)
            if kind:
                found.append(message)
            self.begun = self.begun or kind == b"B"
            begin = end + 1
        self._data = self._data[begin:]
        if self._bytes > CONTROL_BYTES or self._messages > CONTROL_MESSAGES:
            raise TransportClosedError("the sandbox's control channel was flooded")
        return found

    def _following(self, end: int, count: int) -> tuple[list[bytes] | None, int]:
        """So many parts after the NUL at `end`, and where the last one ends; None when they are not there yet."""
        parts = []
        for _ in range(count):
            begin, end = end + 1, self._data.find(b"\0", end + 1)
            if end < 0:
                return None, end
            parts.append(self._data[begin:end])
        return parts, end

    @property
    def incomplete(self) -> str:
        """What no NUL has ended yet, without the space around it: all that came where no shell has spoken."""
        return decode(self._data).strip()

    def forget(self) -> None:
        """Drop what is incomplete: its sender is gone."""
        self._data = b""
        self._bytes = self._messages = 0

    def _keep(self, directory: bytes, exports: bytes) -> None:
        directory = directory.removesuffix(b"\n") or self.state.directory
        if directory and exports.endswith(b"."):
            self.state = ShellState(directory, exports[:-1])
            self.reported = True
