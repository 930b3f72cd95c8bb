"""Hypothesis strategies for trajectories."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from swe_srl.types import Action, FormatError, StopReason, Trajectory, Turn

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # for busy machines

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
ANY_TEXT = st.text(max_size=40)
STRIPPED = TEXT.map(str.strip)
COMMANDS = TEXT.map(lambda text: text.strip("\r\n")).filter(str.strip)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 10**6)


def turns(text=ANY_TEXT):
    """Any turn the project's own form holds."""
    actions = st.builds(Action, text, text) | st.builds(FormatError, text, text)
    return st.builds(
        Turn,
        action=actions,
        observation=text,
        exit_code=st.none() | st.integers(-255, 255),
        raw=text,
        similarity=st.none() | NUMBERS,
        target=st.none() | text,
        prompt_tokens=COUNTS,
        completion_tokens=COUNTS,
        thought_tokens=COUNTS,
        seconds=NUMBERS,
        killed=st.booleans(),
    )


def trajectories(turn=None, text=ANY_TEXT, source_format=ANY_TEXT):
    """Any trajectory the project's own form holds."""
    return st.builds(
        Trajectory,
        trajectory_id=text.filter(bool),
        task_id=text,
        turns=st.lists(turns() if turn is None else turn, min_size=1, max_size=4).map(tuple),
        problem_statement=text,
        system_prompt=text,
        repo=text,
        base_commit=text,
        resolved=st.none() | st.booleans(),
        patch=text,
        stop_reason=st.none() | st.sampled_from(StopReason),
        source_format=source_format,
        extra=st.dictionaries(text, text, max_size=2).map(json.dumps),
    )


def portable_turns():
    """What every other tool's form holds: a command or a refused text, and what it brought."""
    refused = st.builds(FormatError, STRIPPED.filter(bool), TEXT)
    actions = st.builds(Action, COMMANDS.filter(_is_plain), STRIPPED)
    codes = st.none() | st.integers(0, 255)
    return st.builds(Turn, action=actions | refused, observation=TEXT, exit_code=codes, killed=st.booleans())


def _is_plain(command: str) -> bool:
    """Not one of the few texts that mean something else to a reader: keys pressed, a tool called, an episode ended."""
    words = command.lower().split("(")[0].split()
    return not command.lower().startswith(("c-", "ctrl+", "echo")) and (
        not words or words[0] not in ("submit", "finish")
    )
