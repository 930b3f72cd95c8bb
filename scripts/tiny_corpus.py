"""Pre-training transcripts of the tiny model: a careless agent at work on procedurally generated packages.

The agent knows the format and the shell's words, and is mediocre: it takes detours, often edits the wrong place or puts the
wrong thing there, and submits without checking. Pre-training begins with a careful agent's transcripts, which teach the
trade, and ends with the careless one's. The terminal is simulated here (real Python runs the examples; the few shell
commands are computed); a test compares the simulation with a real sandbox.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import random
import traceback
from dataclasses import dataclass

from tiny_code import CodeMaker, Function, Module, mutants

from swe_srl.tasks import expert
from swe_srl.tasks.synthesis.issue import Example, double_quoted, write_issue
from swe_srl.trajectories.action_format import format_action
from swe_srl.types import Action

WORKDIR = "/testbed"
MAX_RESULT = 60


@dataclass(slots=True)
class Bug:
    """A planted bug: the function, the 1-based line, the line before and after the bug, and an example that shows it."""

    function: Function
    line: int
    fixed: str
    buggy: str
    example: str
    wrong: str
    expected: str


class Package:
    """A simulated checkout: two modules, one bug, the visible examples as tests."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.maker = rng, CodeMaker(rng)
        package = self.maker.name()
        names = [n for n in dict.fromkeys(self.maker.name() for _ in range(6)) if n != package]
        self.modules = [self.maker.module(package, name) for name in names[: rng.choice([1, 2, 2])]]
        self.package = package
        self.module = rng.choice(self.modules)
        self.bug = self._plant()
        self.lines = self.module.text.split("\n")
        self.lines[self.bug.line - 1] = self.bug.buggy
        self.visible = self._visible_tests()

    def _plant(self) -> Bug:
        """A random mutation that some example shows.

        Raises:
            LookupError: no example shows any of the mutations tried.
        """
        rng, module = self.rng, self.module
        good = run_module(module.path, module.text)
        lines = module.text.split("\n")
        for function in rng.sample(module.functions, len(module.functions)):
            start = module.starts[function.name]
            by_kind: dict[str, list[tuple[int, str]]] = {}
            for kind, offset, mutant in mutants(function.lines):
                by_kind.setdefault(kind, []).append((start + offset, mutant))
            choices = [rng.choice(by_kind[kind]) for kind in rng.sample(sorted(by_kind), len(by_kind))]
            for number, mutant in choices[:4]:
                changed = [*lines[: number - 1], mutant, *lines[number:]]
                try:
                    bad = run_module(module.path, "\n".join(changed))
                except SyntaxError:
                    continue
                for example in function.examples:
                    expected, wrong = evaluate(good, example), evaluate(bad, example)
                    if expected == wrong or expected is None or wrong is None or expected.startswith("!"):
                        continue
                    if max(len(expected), len(wrong), len(example)) > MAX_RESULT:
                        continue
                    return Bug(function, number, lines[number - 1], mutant, example, wrong, expected)
        raise LookupError("no mutation shows")

    def _visible_tests(self) -> list[tuple[str, str]]:
        good, bad = run_module(self.module.path, self.module.text), run_module(self.module.path, "\n".join(self.lines))
        tests = []
        for function in self.module.functions:
            for example in function.examples[:3]:
                value = evaluate(good, example)
                if value == evaluate(bad, example) and value is not None:
                    tests.append((example, value))
        return tests

    # --- the terminal
    def find(self, name: str) -> tuple[str, int]:
        hits = []
        for module in self.modules:
            lines = self.lines if module is self.module else module.text.split("\n")
            hits += [f"./{module.path}:{i}:{line}" for i, line in enumerate(lines, 1) if f"def {name}(" in line]
        return "\n".join(hits), 0 if hits else 1

    def view(self, name: str, module: Module) -> tuple[str, int]:
        lines = self.lines if module is self.module else module.text.split("\n")
        lines = lines[:-1] if lines[-1] == "" else lines
        out = []
        for i, line in enumerate(lines, 1):
            if f"def {name}(" in line:
                out.append(f"{i}:{line}")
                out += [f"{i + k + 1}-{text}" for k, text in enumerate(lines[i : i + expert.VIEW_LINES])]
                break
        return "\n".join(out), 0 if out else 1

    def head(self, module: Module, count: int) -> tuple[str, int]:
        lines = self.lines if module is self.module else module.text.split("\n")
        return "\n".join(lines[:count]).rstrip("\n"), 0

    def run_example(self, example: str) -> tuple[str, int]:
        namespace = run_module(self.module.path, "\n".join(self.lines))
        captured, result = io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(captured):
                result = str(eval(example, namespace))
        except Exception as error:
            return python_traceback(error), 1
        return result, 0

    def run_tests(self) -> str:
        namespace = run_module(self.module.path, "\n".join(self.lines))
        failures = errors = 0
        for example, value in self.visible:
            got = evaluate(namespace, example)
            if got != value:
                errors, failures = (errors + 1, failures) if got and got.startswith("!") else (errors, failures + 1)
        parts = [f"failures={failures}"] * bool(failures) + [f"errors={errors}"] * bool(errors)
        return f"FAILED ({', '.join(parts)})" if parts else "OK"

    def check(self, example: str) -> tuple[str, int]:
        output, _ = self.run_example(example)
        return f"{output}\n{self.run_tests()}", 0


def run_module(path: str, text: str) -> dict[str, object]:
    """The namespace after `from module import *`."""
    filename = f"{WORKDIR}/{path}"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, object] = {"__name__": path}
    exec(compile(text, filename, "exec"), namespace)
    return namespace


def evaluate(namespace: dict[str, object], example: str) -> str | None:
    """repr of the example's value; "!Type: message" when it raises; None when it is no good as an example."""
    try:
        value = eval(example, dict(namespace))
    except Exception as error:
        return f"!{type(error).__name__}: {error}"
    text = repr(value)
    return None if " at 0x" in text or len(text) > MAX_RESULT or "\n" in text else text


def python_traceback(error: BaseException) -> str:
    """What `python3 -c` prints: the frames below the one of `eval` here, the first called <string>."""
    entries = traceback.TracebackException.from_exception(error)
    frames = list(entries.stack)[1:]
    lines = ["Traceback (most recent call last):", '  File "<string>", line 1, in <module>']
    for line in traceback.StackSummary.from_list(frames[1:]).format():
        lines += line.rstrip("\n").split("\n")
    return "\n".join([*lines, *[text.rstrip("\n") for text in entries.format_exception_only()]])


def issue_text(rng: random.Random, bug: Bug) -> str:
    """The issue, in the words of the task synthesis."""
    raised = bug.wrong.startswith("!")
    wrong = bug.wrong[1:] if raised else double_quoted(bug.wrong)
    shown = Example("", bug.example, double_quoted(bug.expected), wrong, raised)
    return write_issue(bug.function.name, shown, rng)


@dataclass(frozen=True, slots=True)
class Manners:
    """How careless the agent is: probabilities of doing what the expert would do at each kind of turn."""

    find: float = 0.95
    view: float = 0.95
    reproduce: float = 0.9
    right_edit: float = 0.45
    check: float = 0.9
    retry: float = 0.4


CAREFUL = Manners(find=0.97, view=0.97, reproduce=0.95, right_edit=0.97, check=0.95, retry=0.8)
CARELESS = Manners()


def observe(output: str, exit_code: int) -> str:
    """The user message after a command (agents/quickstart.yaml)."""
    return (f"[exit {exit_code}]\n" if exit_code else "") + output


class Careless:
    """Plays one episode; `messages` is the chat."""

    def __init__(self, package: Package, manners: Manners) -> None:
        self.world, self.manners, self.rng = package, manners, package.rng
        self.messages: list[dict[str, str]] = [{"role": "user", "content": issue_text(self.rng, package.bug)}]
        self.turns = 0

    def do(self, thought: str, command: str, result: tuple[str, int]) -> None:
        self.messages.append({"role": "assistant", "content": format_action(Action(command, thought))})
        self.messages.append({"role": "user", "content": observe(*result)})
        self.turns += 1

    def play(self) -> list[dict[str, str]]:
        rng, world, bug, m = self.rng, self.world, self.world.bug, self.manners
        name, module = bug.function.name, world.module
        while rng.random() > m.find and self.turns < 2:
            self.detour()
        self.do(f"The issue is about {name}. Find it.", expert.find_command(name), world.find(name))
        while rng.random() > m.view and self.turns < 4:
            self.detour()
        self.do(f"Read {name} in {module.path}.", expert.view_command(name, module.path), world.view(name, module))
        if rng.random() < m.reproduce:
            command = expert.example_command(module.importing, bug.example)
            self.do("Reproduce the example of the issue.", command, world.run_example(bug.example))
        for _ in range(3):
            solved = self.edit()
            if rng.random() > m.check:
                break
            command = expert.check_command(module.importing, bug.example)
            self.do("Check the example and run the tests.", command, world.check(bug.example))
            if solved or rng.random() > m.retry or self.turns > 7:
                break
            if rng.random() < 0.3:
                self.do(
                    f"Read {name} in {module.path}.", expert.view_command(name, module.path), world.view(name, module)
                )
        self.messages.append(
            {
                "role": "assistant",
                "content": format_action(Action(expert.SUBMIT, "The example is right and the tests pass.")),
            }
        )
        return self.messages

    def detour(self) -> None:
        rng, world = self.rng, self.world
        other = rng.choice(rng.choice(world.modules).functions).name
        roll = rng.random()
        if roll < 0.3:
            self.do("Look around.", "ls", (f"README.md\n{world.package}\ntests", 0))
        elif roll < 0.5:
            names = sorted(["__init__.py", *(f"{m.name}.py" for m in world.modules)])
            self.do(f"Look into {world.package}.", f"ls {world.package}", ("\n".join(names), 0))
        elif roll < 0.7:
            module = rng.choice(world.modules)
            self.do(f"Read the start of {module.path}.", f"head -n 8 {module.path}", world.head(module, 8))
        else:
            self.do(f"Find {other}.", expert.find_command(other), world.find(other))

    def edit(self) -> bool:
        """One edit of the buggy function: right, in the wrong place, or with the wrong thing. Whether it is right."""
        rng, world, bug = self.rng, self.world, self.world.bug
        start = world.module.starts[bug.function.name]
        line, new = bug.line, bug.fixed
        if rng.random() > self.manners.right_edit:
            choices = mutants(world.lines[start - 1 : start - 1 + len(bug.function.lines)])
            if choices:
                _, offset, new = rng.choice(choices)
                line = start + offset
        old = world.lines[line - 1]
        if old == new:
            return old == bug.fixed
        command = expert.edit_command(world.module.path, line, new)
        thought = expert.edit_thought(line, old, bug.function.name)
        self.do(thought, command, ("", 0))
        world.lines[line - 1] = new
        return all(world.lines[i] == text for i, text in enumerate(world.module.text.split("\n")))


def episode(seed: int, manners: Manners = CARELESS) -> list[dict[str, str]]:
    """One transcript, a function of the seed alone."""
    rng = random.Random(f"tiny-{seed}")
    while True:
        try:
            return Careless(Package(rng), manners).play()
        except (LookupError, SyntaxError):  # nothing shows, or a name was drawn twice: draw another package
            continue
