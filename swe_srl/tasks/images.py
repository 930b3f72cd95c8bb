"""How the published per-instance images are called, by the rules of the data sets that publish them.

Docker takes no double underscore in a name, so each set writes another sign in its place. All of them are made for
linux/amd64 alone.
"""

from __future__ import annotations

import json
from dataclasses import replace

from swe_srl.errors import ConfigError, suggest
from swe_srl.types import Task

PUBLISHED_FOR = "amd64"
_RULES = {
    # Lite, Verified, full, Multilingual: the rows' own `image` follows it
    "swe-bench": ("swebench/sweb.eval.x86_64.", "_1776_"),
    "swe-gym": ("xingyaoww/sweb.eval.x86_64.", "_s_"),
    "swe-rebench": ("swerebench/sweb.eval.x86_64.", "_1776_"),
    "swe-smith": ("jyangballin/swesmith.x86_64.", "_1776_"),  # one image for each repository and commit
}
IMAGE_RULES = ("auto", "none", *_RULES)


def image_name(task: Task, rule: str) -> str:
    """The image's name by a data set's rule.

    Args:
        task: its id names the image; for SWE-smith its repository does.
        rule: "swe-bench", "swe-gym", "swe-rebench" or "swe-smith".

    Raises:
        ConfigError: no such rule, or a SWE-smith task whose repository is not of the form swesmith/OWNER__NAME.COMMIT.
    """
    if rule not in _RULES:
        raise ConfigError(suggest(rule, _RULES, "rule of image names"))
    prefix, sign = _RULES[rule]
    name = task.instance_id
    if rule == "swe-smith":
        name = task.repo.removeprefix("swesmith/")
        if name == task.repo or "__" not in name:
            raise ConfigError(
                f"{task.instance_id}: a SWE-smith task's repository is swesmith/OWNER__NAME.COMMIT, not {task.repo!r}"
            )
    return f"{prefix}{name.replace('__', sign)}:latest".lower()


def with_image(task: Task, rule: str = "auto") -> Task:
    """The task with an image: the row's own, else the one that the rule names.

    Columns that other data sets use for it (`image_name`, `docker_image`) are the row's own too.

    Args:
        task: of any data set.
        rule: as for `image_name`; "auto" is SWE-smith's for its repositories and none for others (a file of rows does not tell
            which data set it is of), "none" is no rule.
    """
    if task.image or rule == "none":
        return task
    published = json.loads(task.extra).get("docker_image")
    if isinstance(published, str) and published:
        return replace(task, image=published)
    if rule == "auto" and not task.repo.startswith("swesmith/"):
        return task
    return replace(task, image=image_name(task, "swe-smith" if rule == "auto" else rule))
