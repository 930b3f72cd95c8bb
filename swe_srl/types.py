"""The words of the project as frozen records: immutable, compared by value, pickled; what passes between its parts.

Leftovers of foreign data are one JSON string (`extra`): nothing is lost, nothing mutable is shared."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class StopReason(str, Enum):
    """Why an episode ended."""

    SUBMITTED = "submitted"  # the policy ran the reserved submit command
    TURN_LIMIT = "turn_limit"
    TOKEN_LIMIT = "token_limit"
    TIME_LIMIT = "time_limit"
    POLICY_DONE = "policy_done"  # a scripted or replayed policy had no further action
    FORMAT_ERRORS = "format_errors"  # too many malformed completions in a row
    INFRASTRUCTURE = "infrastructure"  # the sandbox or the endpoint failed: never counted against the policy


class VerdictStatus(str, Enum):
    """The outcome of grading one patch."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    EMPTY_PATCH = "empty_patch"
    PATCH_FAILED = "patch_failed"
    TIMEOUT = "timeout"  # the tests outran their limit
    INFRASTRUCTURE = "infrastructure"  # image missing, daemon gone, …: listed apart, never counted as a failure


@dataclass(frozen=True, slots=True)
class Task:
    """One issue to resolve in one repository at one commit: a SWE-bench row.

    `source` says where the repository comes from when there is no container image: `packaged:<name>` (a repository shipped
    with the project), `dir:<path>` (a plain folder), `git:<path>@<commit>`, or `archive:<path>`. `setup_patch` is applied to
    that source before the base commit is made (it plants the bug and withholds the graded tests).
    """

    instance_id: str
    repo: str
    base_commit: str
    problem_statement: str
    patch: str = ""
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    version: str = ""
    image: str = ""
    eval_script: str = ""
    log_parser: str = ""
    source: str = ""
    setup_patch: str = ""
    image_source: str = ""  # the Dockerfile on this machine that `image` is built from, when the row names one
    extra: str = "{}"  # JSON object: the row's other columns, untouched

    def row(self) -> dict[str, Any]:
        """The task as a SWE-bench row (FAIL_TO_PASS and PASS_TO_PASS as JSON strings, as the harness reads them)."""
        row: dict[str, Any] = json.loads(self.extra)
        for name in ("instance_id", "repo", "base_commit", "problem_statement", "patch", "test_patch"):
            row[name] = getattr(self, name)
        row["FAIL_TO_PASS"] = json.dumps(list(self.fail_to_pass))
        row["PASS_TO_PASS"] = json.dumps(list(self.pass_to_pass))
        row["version"] = self.version
        for name in ("image", "image_source", "eval_script", "log_parser", "source", "setup_patch"):
            if value := getattr(self, name):
                row[name] = value
        return row


@dataclass(frozen=True, slots=True)
class Action:
    """What the policy writes. `thought` is private and never rewarded; `command` is the only thing that runs."""

    command: str
    thought: str = ""


@dataclass(frozen=True, slots=True)
class FormatError:
    """A completion that holds no single well-formed action; `reason` is shown to the policy as the observation."""

    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A context that the model or endpoint will not take: it ends its own episode, for the reason `stop`, and no other."""

    reason: str
    stop: StopReason  # TOKEN_LIMIT when the context is too long


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What one command did. `output` is stdout and stderr as one text: bounded, valid Unicode, no lone surrogates."""

    output: str
    exit_code: int | None  # None when the command was killed
    duration: float  # seconds
    timed_out: bool = False
    truncated: bool = False  # the middle of the output was cut; the text says so
    rebuilt: bool = False  # the shell was lost and rebuilt (directory and exported variables kept); the text says so


@dataclass(frozen=True, slots=True)
class Turn:
    """One action and the observation it brought. `raw` is the completion as written, when it is known.

    `exit_code` is None when the command was killed, which `killed` says, and when a recorded trajectory does not tell it.
    """

    action: Action | FormatError
    observation: str = ""
    exit_code: int | None = None
    raw: str = ""
    similarity: float | None = None
    target: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thought_tokens: int = 0
    seconds: float = 0.0
    killed: bool = False  # the command had no end of its own: killed at its limit, or lost with its shell


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. `role` is "system", "user" or "assistant"."""

    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The turns of an episode with what is known of its outcome. `resolved` is None when unknown."""

    trajectory_id: str
    task_id: str
    turns: tuple[Turn, ...]
    problem_statement: str = ""
    system_prompt: str = ""
    repo: str = ""
    base_commit: str = ""
    resolved: bool | None = None
    patch: str = ""
    stop_reason: StopReason | None = None
    source_format: str = ""
    extra: str = "{}"  # JSON object


@dataclass(frozen=True, slots=True)
class Step:
    """One training instance: the context up to turn `index` and the target command of that turn.

    `context` ends with a user message; the completion to be sampled is the next assistant message.
    """

    step_id: str
    trajectory_id: str
    task_id: str
    index: int
    context: tuple[Message, ...]
    target: str
    thought: str = ""
    repo: str = ""
    base_commit: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a policy sees before it acts. It never holds the gold patch, the test patch or the graded tests' names."""

    task_id: str
    turn: int
    messages: tuple[Message, ...]
    seed: int = 0  # of this turn's sampling: derived from (run, task, sample, turn), so batching does not change it


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled completion, exactly as the model produced it: trained as sampled, never re-tokenised.

    `token_ids` [L] and `logprobs` [L] include the end-of-turn token when it was sampled; `finished` is False when the
    token limit cut the completion. A refused context has an empty, unfinished completion with its `refusal`.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0  # as an endpoint counts them; 0: `token_ids` tells
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `temperature` 0 is greedy; `top_p` 1 and `top_k` 0 switch the filters off.

    Raises:
        ValueError: a value that nothing can be drawn with.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        for name, sound, rule in (
            ("temperature", 0 <= self.temperature < math.inf, "a number of at least 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1 (which switches it off)"),
            ("top_k", self.top_k >= 0, "at least 0 (which switches it off)"),
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
        ):
            if not sound:
                raise ValueError(f"{name} must be {rule}, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Score:
    """A similarity or reward with the parts that made it, so that a report can say why."""

    value: float
    parts: Mapping[str, float | str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one sandbox. None or 0 means unlimited; a bound that cannot be enforced here is refused, not ignored."""

    memory_mb: int = 2048
    processes: int = 256
    disk_mb: int = 1024
    open_files: int = 1024
    command_seconds: float = 60.0
    silent_seconds: float = 0.0  # kill a command that prints nothing for this long
    output_bytes: int = 16_000  # of one observation: head and tail kept


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a sandbox is made of."""

    image: str = ""  # container image (Docker); "" for the host's tools (local sandbox)
    root: str = ""  # unpacked root file system, read-only below the local sandbox's overlay; "" for the host's tools
    layers: tuple[str, ...] = ()  # folders of changes to `root` that other sandboxes left, read-only too, top first
    workdir: str = "/testbed"  # absolute path inside, where the repository is and where the shell starts
    repository: str = ""  # folder on the host, copied on write to `workdir`; "" when the image has the repository
    user: str = ""  # user name or "uid:gid" inside; "" for the sandbox's unprivileged default
    network: bool = False  # whether the sandbox reaches the network
    limits: Limits = Limits()
    env: tuple[tuple[str, str], ...] = ()
    shown: tuple[tuple[str, str], ...] = ()  # (folder on the host, place inside), read-only; local sandboxes alone


@dataclass(frozen=True, slots=True)
class TestRun:
    """What running a task's tests left behind: the input of judging, which needs no container.

    `log` is the harness's log with its markers; `exit_code` is the test command's own; `report` came out of band (JSON, or "").
    """

    __test__ = False  # not a test class for pytest
    log: str
    exit_code: int | None
    applied: bool
    timed_out: bool = False
    report: str = ""
    error: str = ""  # infrastructure failure, in words


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is it resolved. `official` follows the swebench harness's rules on the log; `hardened` is ours."""

    task_id: str
    status: VerdictStatus  # by the official rules
    official: bool
    hardened: bool
    reason: str = ""
    fail_to_pass_passed: tuple[str, ...] = ()
    fail_to_pass_failed: tuple[str, ...] = ()
    pass_to_pass_passed: tuple[str, ...] = ()
    pass_to_pass_failed: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()  # suspicious traits of the patch or the run, by name
    seconds: float = 0.0
