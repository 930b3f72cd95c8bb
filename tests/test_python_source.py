"""Python source is parsed in several threads at a time."""

from __future__ import annotations

import ast
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from swe_srl import python_source
from swe_srl.python_source import parse_expression, parse_python


@pytest.fixture()
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Garbage:
    """Collected while source is parsed, it gives the other threads a turn there."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


@pytest.mark.usefixtures("hasty")
def test_threads_do_not_disturb_each_other() -> None:
    source = "class A:\n" + "".join(f"    def f{i}(self): return [self.x[{i}] + (1, 2)]\n" for i in range(60))
    expected = ast.dump(ast.parse(source))

    def parse(depth: int) -> set[str]:
        """From a stack as deep as that: what threads would mix up."""
        if depth:
            return parse(depth - 1)
        found = set()
        for _ in range(25):
            for _ in range(50):
                Garbage()
            found.add(ast.dump(parse_python(source)))
        return found

    with ThreadPoolExecutor(4) as pool:
        assert set().union(*pool.map(parse, [0, 20, 40, 60])) == {expected}


@pytest.mark.parametrize("source", ["a b", "\0", "(" * 500 + ")" * 500, "-" * 200_000 + "1"], ids=str.__len__)
def test_what_is_no_python_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        parse_python(source)
    with pytest.raises(SyntaxError):
        parse_expression(source)


def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with python_source._parsing:
            held.set()
            done.wait(200)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    child = multiprocessing.get_context("fork").Process(target=parse_python, args=("a = 1",))
    child.start()
    child.join(100)
    try:
        assert child.exitcode == 0
    finally:
        child.kill()
        done.set()
        thread.join()
