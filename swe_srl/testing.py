"""Stand-ins for tests, shipped so that users can test their own agents and environments without a sandbox or a model.

>>> sandbox = FakeSandbox({"ls": "README.md\\n"})
>>> sandbox.run("ls").output
'README.md\\n'
>>> sandbox.run("make").exit_code
127
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from swe_srl.errors import SandboxError
from swe_srl.protocols import PolicyOutput, Snapshot
from swe_srl.types import Action, CommandResult, Context, FormatError

Scripted = str | CommandResult | Exception | Callable[[str], "str | CommandResult"]


@dataclass
class FakeSnapshot:
    """A copy of a FakeSandbox's files."""

    files: dict[str, bytes]
    discarded: bool = False

    def discard(self) -> None:
        """Forget the files."""
        self.files.clear()
        self.discarded = True


@dataclass
class FakeSandbox:
    """A sandbox in memory: commands have scripted outputs, files are a dictionary. Runs nothing.

    Args:
        outputs: what a command brings: a text (exit code 0), a whole result, an exception to raise, or a function of the
            command that returns a text or a result. A command that is not a key is "not found", exit code 127.
        files: content by path.
        commands: every command that was run, in order.
    """

    outputs: Mapping[str, Scripted] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    closed: bool = False

    def run(self, command: str, timeout: float | None = None) -> CommandResult:
        """The scripted result of `command`."""
        self._check_open()
        self.commands.append(command)
        scripted = self.outputs.get(command, _not_found)
        if isinstance(scripted, Exception):
            raise scripted
        result = scripted(command) if callable(scripted) else scripted
        return CommandResult(result, 0, 0.0) if isinstance(result, str) else result

    def run_clean(self, script: str, timeout: float) -> tuple[int | None, bytes]:
        """The scripted result of `script`."""
        result = self.run(script, timeout)
        return result.exit_code, result.output.encode()

    def restart(self) -> None:
        """Nothing: there are no processes."""
        self._check_open()

    def read_file(self, path: str) -> bytes:
        """Content of one of `files`."""
        self._check_open()
        if path not in self.files:
            raise FileNotFoundError(f"{path}: no such file in the sandbox")
        return self.files[path]

    def write_file(self, path: str, data: bytes) -> None:
        """Set the content of one of `files`."""
        self._check_open()
        self.files[path] = data

    def snapshot(self) -> FakeSnapshot:
        """Copy the files."""
        self._check_open()
        return FakeSnapshot(dict(self.files))

    def fork(self, snapshot: Snapshot) -> FakeSandbox:
        """A sandbox with the snapshot's files and the same script."""
        if not isinstance(snapshot, FakeSnapshot) or snapshot.discarded:
            raise SandboxError("a fake sandbox starts from a fake snapshot that is not discarded")
        return FakeSandbox(self.outputs, dict(snapshot.files))

    def close(self) -> None:
        """Refuse everything from now on."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self.closed:
            raise SandboxError("this sandbox is closed")


def _not_found(command: str) -> CommandResult:
    word = command.split(maxsplit=1)[0] if command.strip() else ""
    return CommandResult(f"bash: line 1: {word}: command not found\n", 127, 0.0)


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """What ScriptedPolicy answers for one context."""

    action: Action | FormatError | None
    raw: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thought_tokens: int = 0


@dataclass
class ScriptedPolicy:
    """Answers with scripted commands, turn by turn; then it has nothing more to do.

    Args:
        script: the commands (or whole actions, or format errors) of an episode; or one such list for each task id.
        contexts: every context it was asked about.

    >>> policy = ScriptedPolicy(["ls", "submit"])
    >>> policy.act([Context("task", 1, ())])[0].action
    Action(command='submit', thought='')
    """

    script: Sequence[str | Action | FormatError] | Mapping[str, Sequence[str | Action | FormatError]]
    contexts: list[Context] = field(default_factory=list)

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """The scripted action of each context's turn."""
        self.contexts += contexts
        return [self._one(context) for context in contexts]

    def _one(self, context: Context) -> ScriptedAnswer:
        script = self.script.get(context.task_id, ()) if isinstance(self.script, Mapping) else self.script
        if context.turn >= len(script):
            return ScriptedAnswer(None)
        step = script[context.turn]
        return ScriptedAnswer(Action(step) if isinstance(step, str) else step)
