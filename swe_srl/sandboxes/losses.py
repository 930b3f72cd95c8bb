"""What an agent is told of a shell that was lost: what happened, and what the new one has of it."""

from __future__ import annotations

LOST_ALL = "[{what}; every process was ended, background jobs too, and the shell was restarted: {kept}]"
LOST_SHELL = "[{what}; it was restarted: {kept}]"
KEPT = "directory and exported variables are kept"
EARLIER = f"as they were before the command, {KEPT}"
GONE = "exported variables are kept, the directory cannot be entered any more"
STATE_LOST = "[the shell was lost over the snapshot's directory, variables and functions: it has none of them]"
NOT_ENTERED = "[the snapshot's directory cannot be entered, and the shell is in the working directory: {said}]"
NOT_KEPT = "directory and exported variables could not be kept"


def cause(kind: str, seconds: float, silent_seconds: float) -> str:
    """What happened to a command that ended in one of the ways of `patience.Kind`, with these limits."""
    return {
        "timeout": f"the command was killed after {seconds:g} seconds",
        "silence": f"the command was killed after {silent_seconds:g} seconds without output",
        "stuck": "the shell did not answer",
        "unmarked": "the end of the output was lost",
    }.get(kind, "the shell was lost")
