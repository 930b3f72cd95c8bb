"""What a command printed, as bounded text: head and tail kept, valid Unicode, the cut said in words."""

from __future__ import annotations

from collections import deque


class OutputBuffer:
    """Keeps the first and last bytes of a stream in bounded memory.

    Args:
        limit: bytes kept, half of them from the head and half from the tail; 0 keeps everything.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0  # bytes received

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        self.total += len(data)
        room = len(data) if not self._limit else self._limit - self._limit // 2 - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data or not self._limit // 2:
            return
        self._tail.append(data[-(self._limit // 2) :])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= self._limit // 2:
            self._tail_size -= len(self._tail.popleft())

    @property
    def truncated(self) -> bool:
        """Whether bytes of the middle were dropped."""
        return bool(self._limit) and self.total > self._limit

    def parts(self) -> tuple[bytes, bytes]:
        """Head and tail; the tail is empty when everything fits in the head."""
        tail = b"".join(self._tail)
        return bytes(self._head), tail[-(self._limit // 2) :] if self._limit // 2 else b""

    def data(self) -> bytes:
        """Head and tail joined (the whole stream when nothing was cut)."""
        head, tail = self.parts()
        return head + tail

    def text(self) -> str:
        """The terminal's text; when the middle is missing, a line of its own says how many bytes."""
        head, tail = self.parts()
        if not self.truncated:
            return decode(head + tail)
        head, tail = _whole_characters(head, tail)
        lost = self.total - len(head) - len(tail)
        return f"{decode(head)}\n[{lost} bytes of output cut here]\n{decode(tail)}"


def decode(data: bytes) -> str:
    """Terminal bytes as valid Unicode: what is not UTF-8, and NUL, become U+FFFD.

    >>> decode(b"caf\\xc3\\xa9 \\xff\\x00")
    'café ��'
    """
    return data.decode("utf-8", errors="replace").replace("\0", "\ufffd")


def _whole_characters(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """Without the pieces of the characters that the cut went through."""
    for back in range(1, min(4, len(head) + 1)):
        byte = head[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            head = head[:-back] if back < width else head
            break
    skip = 0
    while skip < min(3, len(tail)) and 0x80 <= tail[skip] < 0xC0:
        skip += 1
    return head, tail[skip:]
