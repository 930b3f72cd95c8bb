"""What a tool call is understood against: the state of the harness's editor before it, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass, replace

from swe_srl.trajectories.observations import Observation


@dataclass(frozen=True, slots=True)
class Untranslatable:
    """Why a tool call has no equal shell command."""

    reason: str


@dataclass(frozen=True, slots=True)
class Scene:
    """The moment of a call.

    Args:
        swe_agent: SWE-agent's tools may be used as the first word of a command.
        tools: further names that the system prompt documents as tools.
        open_file: file in the viewer before the call, "" when none.
        observation: what this call brought, as recorded.
    """

    swe_agent: bool = False
    tools: frozenset[str] = frozenset()
    open_file: str = ""
    observation: str = ""

    def after(self, seen: Observation) -> Scene:
        """The scene of the next call, once this call brought the observation `seen`."""
        told = bool(seen.directory)  # the harness prints its state after every command, or never
        return replace(self, open_file=seen.open_file if told else self.open_file)
