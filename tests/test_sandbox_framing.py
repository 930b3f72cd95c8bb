"""Framing and output, without a sandbox."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swe_srl.sandboxes.framing import CONTROL_MESSAGES, ControlReader, OutputReader, ShellState
from swe_srl.sandboxes.output import OutputBuffer
from swe_srl.sandboxes.transport import TransportClosedError, script
from swe_srl.testing import FakeSandbox, ScriptedPolicy
from swe_srl.types import Action, CommandResult, Context, FormatError

MARK, START = b"5c0ffee1dea7a1b2c3d4e5f60718293a", b"e7a81f3052d946cb9b04c6d81a7f2e35"
pieces = st.lists(st.binary(max_size=70) | st.sampled_from([MARK[:9], MARK[:31], START[:31]]), max_size=8)


def chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    out, at = [], 0
    for size in [*sizes, len(data)]:
        out.append(data[at : at + size])
        at += size
    return out


@settings(deadline=None)
@given(pieces, pieces, pieces, st.lists(st.integers(1, 40), max_size=30), st.booleans())
def test_output_is_found_between_its_marks(
    before: list[bytes], wanted: list[bytes], after: list[bytes], sizes: list[int], started: bool
) -> None:
    middle = b"".join(wanted)
    assume(MARK not in middle and START not in b"".join(before) + START[:-1])
    data = middle + MARK + b"".join(after)
    if started:
        data = b"".join(before) + START + data
    buffer = OutputBuffer(0)
    reader = OutputReader(buffer, MARK, START if started else b"")
    for chunk in chunks(data, sizes):
        reader.feed(chunk)
    assert reader.ended and buffer.data() == middle


@settings(deadline=None)
@given(pieces, st.lists(st.integers(1, 40), max_size=30))
def test_output_without_an_end_mark_is_whole_after_flush(wanted: list[bytes], sizes: list[int]) -> None:
    assume(MARK not in b"".join(wanted))
    buffer = OutputBuffer(0)
    reader = OutputReader(buffer, MARK)
    for chunk in chunks(b"".join(wanted), sizes):
        reader.feed(chunk)
    reader.flush()
    assert not reader.ended and buffer.data() == b"".join(wanted)


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 120), st.lists(st.integers(1, 50), max_size=20))
def test_bounded_output_keeps_head_and_tail(data: bytes, limit: int, sizes: list[int]) -> None:
    buffer = OutputBuffer(limit)
    for chunk in chunks(data, sizes):
        buffer.add(chunk)
    head, tail = buffer.parts()
    assert buffer.total == len(data) and buffer.truncated == (len(data) > limit)
    if buffer.truncated:
        assert head == data[: limit - limit // 2]
        assert tail == (data[-(limit // 2) :] if limit // 2 else b"")
    else:
        assert head + tail == data
    buffer.text().encode()


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(8, 60))
def test_a_cut_never_splits_a_character(text: str, limit: int) -> None:
    buffer = OutputBuffer(limit)
    buffer.add(text.replace("\0", "").replace("\ufffd", "").encode())
    assert "\ufffd" not in buffer.text()


def test_memory_of_a_long_stream_is_bounded() -> None:
    buffer = OutputBuffer(1000)
    for _ in range(100_000):
        buffer.add(b"x" * 100)
    assert len(buffer.data()) == 1000 and len(buffer._tail) <= 7


def test_control_messages() -> None:
    reader = ControlReader()
    done = b"D" + b"a" * 32 + b" 7"
    whole = (
        b"R\0bash: warning: noise\nB\0"
        + done
        + b"\0/some\nwhere\n\0declare -x A=1\n.\0S/else\n\0declare -x B=2\n.\0\0\0\0X137\0junk\0"
    )
    found = [message for byte in whole for message in reader.feed(bytes([byte]))]
    assert found == [b"R", b"B", done, b"S/else\n", b"X137"]
    assert (reader.state.directory, reader.state.exports) == (b"/else", b"declare -x B=2\n")


@pytest.mark.parametrize("forged", [b"X" + b"9" * 5000, b"D" + b"a" * 32 + b" " + b"9" * 5000, b"X", b"X-1"])
def test_a_forged_report_with_no_exit_code_is_noise(forged: bytes) -> None:
    assert ControlReader().feed(b"R\0" + forged + b"\0") == [b"R"]


def test_report_of_a_clean_shell_leaves_the_state_alone() -> None:
    reader = ControlReader()
    reader.feed(b"S/here\n\0exports\n.\0D" + b"b" * 32 + b" 0\0\0\0")
    assert (reader.state.directory, reader.state.exports) == (b"/here", b"exports\n")


def test_a_report_that_is_cut_short_counts_for_nothing_and_hides_nothing() -> None:
    whole = b"D" + b"c" * 32 + b" 0\0/there\n\0declare -x A=1\ndeclare -x LONG=xxxx"
    for end in range(len(whole) + 1):
        reader = ControlReader()
        reader.feed(b"S/here\n\0declare -x A=0\n.\0")
        reader.expect()
        found = reader.feed(whole[:end]) + reader.feed(b"\0\0\0X137\0\0\0\0R\0")
        assert found[-2:] == [b"X137", b"R"] and not reader.reported
        assert (reader.state.directory, reader.state.exports) == (b"/here", b"declare -x A=0\n")


def test_exports_without_a_directory_are_kept_with_the_last_one() -> None:
    reader = ControlReader()
    reader.feed(b"S/here\n\0declare -x A=0\n.\0D" + b"d" * 32 + b" 0\0\0declare -x A=1\n.\0")
    assert (reader.state.directory, reader.state.exports) == (b"/here", b"declare -x A=1\n")


def test_a_report_in_many_pieces_is_no_flood() -> None:
    control = ControlReader()
    nonce = b"a" * 32
    exports = [b'declare -x V%d="1"\n' % number for number in range(3 * CONTROL_MESSAGES)]
    control.expect()
    pieces = [b"B\0", b"D" + nonce + b" 0\0", b"/testbed\n", b"\0", *exports, b".\0"]
    assert [said for piece in pieces for said in control.feed(piece)] == [b"B", b"D" + nonce + b" 0"]
    assert control.state == ShellState(b"/testbed", b"".join(exports))


def test_flooded_control_channel() -> None:
    reader = ControlReader()
    with pytest.raises(TransportClosedError, match="flooded"):
        for _ in range(20):
            reader.feed(b"x" * (1 << 20))


@pytest.mark.parametrize("message", [b"\0", b"R\0", b"B\0R\0", b"D" + b"e" * 32 + b" 0\0/\0.\0"])
def test_many_messages_are_a_flood(message: bytes) -> None:
    reader = ControlReader()
    with pytest.raises(TransportClosedError, match="flooded"):
        for _ in range(10):
            reader.feed(message * 20_000)
    reader.forget()
    assert reader.feed(b"R\0") == [b"R"], "a new shell may speak"
    for _ in range(3000):
        reader.expect()
        reader.feed(b"B\0")


def test_worker_is_one_line() -> None:
    assert "\n" not in script("worker") and "\n" in script("supervisor")


def test_fake_sandbox() -> None:
    failed = CommandResult("boom\n", 2, 0.1)
    fake = FakeSandbox({"ls": "a\n", "make": failed, "rev": lambda command: command[::-1], "die": OSError("gone")})
    assert [fake.run(name).output for name in ("ls", "make", "rev")] == ["a\n", "boom\n", "ver"]
    assert fake.run("nosuch -x").exit_code == 127
    with pytest.raises(OSError, match="gone"):
        fake.run("die")
    fake.write_file("f", b"1")
    snapshot = fake.snapshot()
    fake.write_file("f", b"2")
    with fake.fork(snapshot) as fork:
        assert (fork.read_file("f"), fake.read_file("f")) == (b"1", b"2")
    snapshot.discard()
    with pytest.raises(RuntimeError, match="not discarded"):
        fake.fork(snapshot)
    with pytest.raises(FileNotFoundError):
        fake.read_file("missing")
    fake.close()
    with pytest.raises(RuntimeError, match="closed"):
        fake.run("ls")
    assert fake.commands == ["ls", "make", "rev", "nosuch -x", "die"]


def test_scripted_policy() -> None:
    broken = FormatError("no command")
    policy = ScriptedPolicy({"one": ["ls", Action("cat x", "why")], "two": [broken]})
    contexts = [Context("one", 0, ()), Context("one", 1, ()), Context("two", 0, ()), Context("two", 1, ())]
    assert [output.action for output in policy.act(contexts)] == [Action("ls"), Action("cat x", "why"), broken, None]
    assert policy.contexts == contexts
