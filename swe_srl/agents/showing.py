"""The environment of an episode, and environments that show more than the issue at the start: the files to edit, or all names.

The scaffolds of few turns need it: `oracle-edit` shows the files that the gold patch changes (an oracle: no agent would be told),
`agentless-mini` the names of the repository's files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from swe_srl.agents.definition import GOLD_FILES, AgentDefinition
from swe_srl.agents.episode import EpisodeEnv
from swe_srl.envs.answers import AnswerEnv
from swe_srl.envs.environment import SweEnv
from swe_srl.errors import ConfigError, SandboxError, TaskError
from swe_srl.protocols import Sandbox
from swe_srl.tasks.problems import is_problem
from swe_srl.trajectories.prompting import elide
from swe_srl.types import Task

_SECONDS = 60.0


class ShowingEnv:
    """An environment whose issue has something behind it.

    Args:
        env: the environment; its sandbox is read once, after `reset`.
        agent: says what is shown, and how much of it.
    """

    def __init__(self, env: SweEnv, agent: AgentDefinition) -> None:
        self._env = env
        self._agent = agent

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; the observation is the issue's text and what is shown.

        Raises:
            TaskError: the gold patch cannot be read.
            SandboxError: the sandbox did not start, or cannot be read.
        """
        issue, info = self._env.reset(seed=seed, options=options)
        sandbox = self._env.sandbox
        assert sandbox is not None  # after a reset there is one
        show = gold_files if self._agent.show == GOLD_FILES else file_names
        return f"{issue.rstrip()}\n\n{show(sandbox, self._env.task, self._agent.shown_chars)}", info

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        """Run a command."""
        return self._env.step(action)

    def patch(self) -> str:
        """The agent's changes."""
        return self._env.patch()

    def close(self) -> None:
        """Free the sandbox."""
        self._env.close()


def open_environment(task: Task, agent: AgentDefinition, definition: str, sandbox: str) -> EpisodeEnv:
    """The environment in which an agent works on a task: a sandbox with its repository, or for a problem none.

    Args:
        task: what it works on.
        agent: says what is shown at the start, and how many turns there are.
        definition: name or path of the environment definition; a problem has none.
        sandbox: "local", "docker" or "auto".

    Raises:
        ConfigError: as for `SweEnv`.
    """
    if is_problem(task):
        return AnswerEnv(task)
    return showing(SweEnv([task], definition, sandbox, max_turns=agent.max_turns), agent)


def check_agent(agent: AgentDefinition, tasks: Iterable[Task]) -> None:
    """Look whether an agent can work on all of these tasks.

    Raises:
        ConfigError: some are problems with an answer, and it writes commands or shows the files of a repository.
    """
    problem = next(filter(is_problem, tasks), None)
    if problem is not None and (agent.prompting.action_format != "plain" or agent.show):
        raise ConfigError(
            f"agent: {agent.name} works in a repository, and {problem.instance_id} is a problem with an answer: take one with "
            f"`action_format: plain`, as math-answer (a whole solution) or math (a step at a time)"
        )


def showing(env: SweEnv, agent: AgentDefinition) -> EpisodeEnv:
    """The environment as an agent sees it: as it is, unless the agent's definition shows more."""
    return ShowingEnv(env, agent) if agent.show else env


def gold_files(sandbox: Sandbox, task: Task, limit: int) -> str:
    """The files that the gold patch changes or removes, whole, each between `<file path="…">` and `</file>`.

    Args:
        sandbox: at the base commit.
        task: with its gold patch.
        limit: characters of all files together; longer ones lose their middle, and the text says so.

    Raises:
        TaskError: the gold patch cannot be read.
    """
    try:
        paths = [file.source_file.removeprefix("a/") for file in PatchSet(task.patch) if not file.is_added_file]
    except UnidiffParseError as error:
        raise TaskError(f"{task.instance_id}: the gold patch cannot be read: {error}") from error
    shown = []
    for path in paths:
        try:
            text = sandbox.read_file(path).decode(errors="replace")
        except FileNotFoundError as error:
            raise TaskError(
                f"{task.instance_id}: {path}, which the gold patch changes, is not in the repository"
            ) from error
        shown.append(f'<file path="{path}">\n{elide(text, limit // len(paths)).rstrip()}\n</file>')
    return "\n\n".join(shown)


def file_names(sandbox: Sandbox, task: Task, limit: int) -> str:
    """The names of the files that the repository tracks, between `<files>` and `</files>`.

    Args:
        sandbox: at the base commit.
        task: for messages.
        limit: characters; a longer list loses its middle, and the text says so.

    Raises:
        SandboxError: git fails in the sandbox.
    """
    trust = shlex.quote("safe.directory=*")
    code, output = sandbox.run_clean(
        f"git -c {trust} -c core.fsmonitor=false -c core.quotePath=false ls-files", _SECONDS
    )
    if code != 0:
        raise SandboxError(f"{task.instance_id}: git cannot list the repository's files: {output[-300:]!r}")
    return f"<files>\n{elide(output.decode(errors='replace').rstrip(), limit)}\n</files>"
