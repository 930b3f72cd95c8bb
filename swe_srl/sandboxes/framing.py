"""Taking the two streams of a shell apart: the command's output up to its end mark, and the control messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from swe_srl.sandboxes.output import OutputBuffer
from swe_srl.sandboxes.transport import TransportClosedError

CONTROL_BYTES = 16 << 20  # a control channel that holds more than this is being abused
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_FOREIGN = re.compile(rb"[\x80-\xff]")
_MESSAGE = re.compile(rb"B\Z|D[0-9a-f]{32} \d{1,3}\Z|R\Z|X\d{1,3}\Z|S/")


def message(kind: str, first: str = "", second: bytes = b"") -> bytes:
    """A message to the supervisor: a letter, the lengths of its two parts, and the parts (see supervisor.bash).

    >>> message("C", "/sink", b"ls")
    b'C0500000002/sinkls'
    """
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
    followed by exports; `X<exit code>` the worker is gone; `R` a worker is ready. Each part ends with NUL.
    """

    state: ShellState = field(default_factory=ShellState)
    begun: bool = False  # whether a `B` came since this was last set
    _data: bytes = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; the messages that are complete now, without the reports of state.

        Raises:
            TransportClosedError: far more came than a shell reports.
        """
        self._data += data
        if len(self._data) > CONTROL_BYTES:
            raise TransportClosedError("the sandbox's control channel was flooded")
        found: list[bytes] = []
        while b"\0" in self._data:
            message, _, rest = self._data.partition(b"\0")
            if not _MESSAGE.match(message):  # bash's own complaints stand before the message
                message = message.rpartition(b"\n")[2]
            kind = message[:1] if _MESSAGE.match(message) else b""
            if rest.count(b"\0") < {b"D": 2, b"S": 1}.get(kind, 0):
                break
            if kind == b"D":
                directory, exports, rest = rest.split(b"\0", 2)
                self._keep(directory, exports)
            elif kind == b"S":
                exports, rest = rest.split(b"\0", 1)
                self._keep(message[1:], exports)
            if kind:
                found.append(message)
            self.begun = self.begun or kind == b"B"
            self._data = rest
        return found

    @property
    def incomplete(self) -> bytes:
        """What no NUL has ended yet: all that came where no shell has spoken."""
        return self._data

    def forget(self) -> None:
        """Drop what is incomplete: its sender is gone."""
        self._data = b""

    def _keep(self, directory: bytes, exports: bytes) -> None:
        if directory:
            self.state = ShellState(directory, exports)
