"""The place of the environment's benchmark that is no place of the product: the session on the host, without a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.environment_host import host_session
from swe_srl.sandboxes.framing import message


@pytest.mark.timeout(60)
def test_the_session_on_the_host(tmp_path: Path) -> None:
    session = host_session(str(tmp_path))
    try:
        first, second = session.run("name=kept; echo one; false"), session.run("echo $name; pwd")
        assert (first.output, first.exit_code, first.rebuilt) == ("one\n", 1, False)
        assert (second.output, second.rebuilt) == (f"kept\n{tmp_path}\n", False)
    finally:
        session.close()


def test_a_part_of_a_message_that_is_too_long_is_no_message() -> None:
    assert message("C", "x" * 99)[:3] == b"C99"
    with pytest.raises(ValueError, match="at most 99"):
        message("C", "x" * 100)
