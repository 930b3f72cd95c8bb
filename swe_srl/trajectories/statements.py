"""The issue inside a harness's first message, and the repository inside an instance id."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BETWEEN = (
    re.compile(r"<pr_description>\s*(?:Consider the following PR description:\n)?(.*?)\s*</pr_description>", re.DOTALL),
    re.compile(r"<issue_description>\s*(.*?)\s*</issue_description>", re.DOTALL),
    re.compile(r"<github_issue>\s*(.*?)\s*</github_issue>", re.DOTALL),
    re.compile(r"<issue>\s*(.*?)\s*</issue>", re.DOTALL),
    re.compile(r"\nTask Description:\n(.*?)\n+Current terminal state:", re.DOTALL),
    re.compile(r"\nISSUE:\n(.*?)\n+INSTRUCTIONS:\n", re.DOTALL),
    re.compile(r"\n# Problem Statement\n(.*?)\n+IMPORTANT: You should ONLY interact", re.DOTALL),
    re.compile(r"\APlease solve this issue: (.*?)\n\nYou can execute bash commands and edit files", re.DOTALL),
)
_NO_ISSUE = re.compile(
    r"\A\s*(?:Here is a demonstration of how to correctly accomplish this task|Retrieving content for: |Added workspace context)"
)
_RUNNING_EXAMPLE = re.compile(r"\AHere's a running example.*?-+ END OF EXAMPLE -+\s*", re.DOTALL)
_SWE_BENCH_ID = re.compile(r"\A([\w.-]+?)__([\w.-]+?)-\d+(?:_\d+)?\Z")
_SWE_SMITH_ID = re.compile(r"\A([\w.-]+?)__([\w-]+(?:\.[\w-]+)*?)\.([0-9a-f]{8})(?:\.|\Z)")


def problem_statement_of(messages: Sequence[str]) -> str:
    """The issue's text in the user messages before the first action; the whole last message when no known wrapping fits.

    >>> problem_statement_of(["<pr_description>\\nIt breaks.\\n</pr_description>\\nFix it."])
    'It breaks.'
    """
    messages = [text for text in messages if text.strip() and not _NO_ISSUE.match(text)]
    for text in messages:
        for pattern in _BETWEEN:
            if found := pattern.search(text):
                return found.group(1)
    return _RUNNING_EXAMPLE.sub("", messages[-1]).strip() if messages else ""


def repository_of(task_id: str) -> str:
    """`owner/name` out of an instance id of SWE-bench's or SWE-smith's form, or "".

    >>> repository_of("pallets__flask-5014"), repository_of("arrow-py__arrow.1d70d009.lm_rewrite__nuzjfyur")
    ('pallets/flask', 'arrow-py/arrow')
    """
    found = _SWE_SMITH_ID.match(task_id) or _SWE_BENCH_ID.match(task_id)
    return f"{found.group(1)}/{found.group(2)}" if found else ""


_ATTEMPT = re.compile(r"\A(.+__.+-\d+)_\d+\Z")
_SWE_SMITH_TRAJECTORY = re.compile(r"\A(.+__.+?\.[0-9a-f]{8}\.[^.]+)(?:\.\w{8}(?:_\d+)?)\Z")


def task_of(name: str) -> str:
    """The instance id inside a trajectory's id that adds an attempt to it.

    >>> task_of("python__mypy-15976_0"), task_of("arrow-py__arrow.1d70d009.lm_rewrite__nuzjfyur.l13ggwmx_0")
    ('python__mypy-15976', 'arrow-py__arrow.1d70d009.lm_rewrite__nuzjfyur')
    """
    found = _SWE_SMITH_TRAJECTORY.match(name) or _ATTEMPT.match(name)
    return found.group(1) if found else name
