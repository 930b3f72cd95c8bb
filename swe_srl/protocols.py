"""The five things a user can replace: Sandbox, Policy, Generator, TrajectoryReader, Similarity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from swe_srl.types import (
    Action,
    CommandResult,
    Completion,
    Context,
    FormatError,
    Message,
    Refusal,
    Sampling,
    Score,
    Trajectory,
)


@runtime_checkable
class Snapshot(Protocol):
    """A frozen state of a sandbox: files, and the shell's directory and exported variables."""

    def discard(self) -> None:
        """Free what the snapshot holds. Idempotent."""


@runtime_checkable
class Sandbox(Protocol):
    """One isolated file system and process tree with one persistent bash in it. A context manager."""

    def run(self, command: str, timeout: float | None = None) -> CommandResult:
        """Run `command` in the persistent shell.

        Args:
            command: any text bash accepts; sent over a pipe, so its length is not bounded by the kernel's argument limit.
            timeout: seconds; None for the spec's `limits.command_seconds`. A command that outlives it is killed inside the
                sandbox with all its descendants.

        Raises:
            SandboxError: the sandbox is closed or could not be rebuilt. A failing command is a result, not an error.
        """

    def run_clean(self, script: str, timeout: float) -> tuple[int | None, bytes]:
        """Run a bash script beside the persistent shell, at the workdir: nothing that was set in that shell applies to it.

        Returns:
            The exit code (None when it was killed) and everything it printed.

        Raises:
            SandboxError: it printed more than can be held (256 MB).
        """

    def restart(self) -> None:
        """Kill every process and start a fresh shell; files, directory and exported variables are kept."""

    def read_file(self, path: str) -> bytes:
        """Content of a regular file; relative paths start at the workdir.

        Raises:
            FileNotFoundError: no such file.
            PathOutsideWorkspaceError: the path, links resolved, leaves the sandbox.
            FileTooLargeError: the file is larger than can be held (256 MB).
        """

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file whole, making its parent folders."""

    def snapshot(self) -> Snapshot:
        """Freeze the present state; the sandbox goes on unchanged."""

    def fork(self, snapshot: Snapshot) -> Sandbox:
        """A new sandbox that starts from `snapshot` (which must come from a sandbox of the same kind)."""

    def close(self) -> None:
        """Kill every process and free every file, mount and container. Idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Policy(Protocol):
    """Who acts. The expert, a local model, an endpoint and a script are the same to the rollout loop."""

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        """One output per context, in order; contexts are of different episodes and may be batched.

        Raises:
            GenerationError: the model or endpoint failed (infrastructure).
        """


@runtime_checkable
class PolicyOutput(Protocol):
    """What a policy answers for one context; `swe_srl.agents.PolicyAnswer` is the plain implementation."""

    @property
    def action(self) -> Action | FormatError | Refusal | None:
        """None: the policy has nothing more to do (stop reason `policy_done`). A refusal ends the episode for its reason."""

    @property
    def raw(self) -> str: ...

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def completion_tokens(self) -> int: ...

    @property
    def thought_tokens(self) -> int: ...


@runtime_checkable
class Generator(Protocol):
    """What the model says: tokens with their log-probabilities."""

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """`n` completions for each context.

        Args:
            contexts: B chats, each ending with a user message.
            n: completions per context (the group size G).
            sampling: how to draw.
            seeds: [B]; completion j of context i is drawn from a stream seeded by (seeds[i], j) alone, so neither the
                batch's composition nor the number of processes changes what is sampled.

        Returns:
            B lists of n completions. `logprobs` are of the sampled tokens under the model at temperature 1 without filters.
            A context that cannot be taken (it is too long) has empty completions with a `refusal`.

        Raises:
            GenerationError: the model or endpoint failed for every context, not for one.
        """


@runtime_checkable
class TrajectoryReader(Protocol):
    """How an expert solved it: one public format."""

    name: str

    def accepts(self, path: Path) -> bool:
        """Whether this file looks like the reader's format (reads a bounded head of it)."""

    def read(self, path: Path) -> Iterator[Trajectory]:
        """Stream the file's trajectories. A record that cannot be used is reported, never dropped in silence."""


@runtime_checkable
class Similarity(Protocol):
    """How close a command is to the target command. A pure function of its two arguments."""

    def __call__(self, predicted: str, target: str) -> Score:
        """Score in [0, 1] with its parts. The order of the arguments matters: `(predicted, target)`, always."""
