"""Names of models, checked before anything slow is done with them. Imports neither torch nor a model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from swe_srl.errors import ConfigError, suggest

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+\Z")
_OF_A_TOKENIZER = re.compile(r"token|vocab|merges|\.model\Z|spm|tekken", re.IGNORECASE)  # in names of files


def check_model_source(source: str | Path, names: Iterable[str] = ()) -> None:
    """Refuse what can be neither a model folder nor a model of the hub.

    Args:
        source: a folder that `save_pretrained` wrote, or a hub id (`owner/name`).
        names: what else the caller would have taken, to suggest the nearest.

    Raises:
        ConfigError: says which of them it is not, and why.
    """
    path, text = Path(source), str(source)
    if path.is_dir():
        if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
            trained = path / "model"
            hint = f": its model is {trained}" if (trained / "config.json").is_file() else ""
            raise ConfigError(f"{text}: no model in this folder (no config.json){hint}")
        if not any(_OF_A_TOKENIZER.search(one.name) for one in path.iterdir()):
            raise ConfigError(
                f"{text}: no tokenizer in this folder (no tokenizer.json): copy the tokenizer's files there from the model that "
                "this one was trained from, or write them with tokenizer.save_pretrained"
            )
        return
    if path.exists():
        hint = "; docs/training.md, 'Recipes', makes a folder of a GGUF file" if path.suffix == ".gguf" else ""
        raise ConfigError(f"{text}: a model is a folder (with config.json), this is a file{hint}")
    if not _HUB_ID.match(text):
        hint = f", nor a name: {suggest(text, names, 'name')}" if names and "/" not in text else ""
        raise ConfigError(
            f"{text}: no such model folder (a model is a folder with config.json, or owner/name of the hub){hint}"
        )


def is_hub_id(source: str | Path) -> bool:
    """Whether it can only be a model of the hub.

    >>> is_hub_id("Qwen/Qwen2.5-Coder-7B-Instruct"), is_hub_id("quickstart")
    (True, False)
    """
    return not Path(source).exists() and _HUB_ID.match(str(source)) is not None
