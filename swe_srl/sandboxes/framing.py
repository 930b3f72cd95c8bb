"""Taking the two streams of a shell apart: the command's output up to its end mark, and the control messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from swe_srl.sandboxes.output import OutputBuffer
from swe_srl.sandboxes.transport import TransportClosedError

CONTROL_BYTES = 16 << 20  # a control channel that holds more than this is being abused
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_MESSAGE = re.compile(rb"[BNR]\Z|[DE][0-9a-f]{32} \d{1,3}\Z|X\d{1,3}\Z|S/")


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


@dataclass
class OutputReader:
    """Finds a command's output between its start mark and its end mark, in chunks of any size. Either mark may be empty: then
    the output starts at once, or it is for others to say when it ends."""

    output: OutputBuffer
    end_mark: bytes
    start_mark: bytes = b""
    ended: bool = False
    _carry: bytes = b""

    def feed(self, data: bytes) -> bool:
        """Take bytes; whether the command said something."""
        if not self.end_mark:
            self.output.add(data)
            return bool(data)
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

    `B` a command has begun, `N` it cannot be begun; `D<nonce> <exit code>` it is done, and `S<directory>`, with the exports as a
    second part, follows (as it does when the worker ends), where there is one on a channel of its own; `E<nonce> <exit code>` a
    clean shell is done; `X<exit code>` the worker is gone; `R` a worker is ready. Each part ends with NUL.
    """

    state: ShellState = field(default_factory=ShellState)
    begun: bool | None = None  # whether a `B` or an `N` came since this was last set
    owed: int = 0  # states that are still to come
    gone: int | None = None  # the exit code of the worker, when it is gone
    _data: bytes = b""
    _states: bytes = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; the messages that are complete now.

        Raises:
            TransportClosedError: far more came than a shell reports.
        """
        found, self._data = self._messages(self._data + data)
        return found

    def feed_state(self, data: bytes) -> None:
        """Take bytes of the channel of states. Raises as `feed`."""
        _, self._states = self._messages(self._states + data)

    def forget(self) -> None:
        """Drop what is incomplete: its sender is gone."""
        self._data = self._states = b""
        self.owed, self.gone = 0, None

    def _messages(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The complete messages, and what is left."""
        found: list[bytes] = []
        while b"\0" in data:
            message, _, rest = data.partition(b"\0")
            if not _MESSAGE.match(message):  # bash's own complaints stand before the message
                message = message.rpartition(b"\n")[2]
            if _MESSAGE.match(message):
                if message.startswith(b"S"):
                    exports, end, rest = rest.partition(b"\0")
                    if not end:
                        break
                    self.state = ShellState(message[1:], exports)
                self._note(message)
                found.append(message)
            data = rest
        if len(data) > CONTROL_BYTES:
            raise TransportClosedError("the sandbox's control channel was flooded")
        return found, data

    def _note(self, message: bytes) -> None:
        kind = message[:1]
        if kind in b"BN":
            self.begun = kind == b"B"
        elif kind == b"D":
            self.owed += 1
        elif kind == b"S":
            self.owed = max(0, self.owed - 1)
        elif kind == b"X":
            self.gone = int(message[1:])
        elif kind == b"R":
            self.owed, self.gone = 0, None
