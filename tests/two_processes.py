"""Started by a launcher as each of several processes: trains the runs of `CASES` in one folder, then fails in one of them.

What each process saw is in `<index>.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from training_data import SFT, SRL, train_settings
from transformers import PreTrainedModel

from swe_srl.errors import SweSrlError
from swe_srl.training import TrainSettings, run, train
from swe_srl.training.method import BaseMethod
from swe_srl.training.update import Updater
from swe_srl.training.workplace import Workplace

SHORT = {"updates": 1, "eval_every": 1, "save_every": 0, "validation_steps": 2, "batch_steps": 3}
SRL_STAGE = {**SRL, **SHORT, "group_size": 4, "max_new_tokens": 24, "inner_epochs": 2}
SFT_STAGE = {**SFT, **SHORT, "learning_rate": 1e-4}
KL_STAGE = {**SRL_STAGE, "updates": 2, "inner_epochs": 1, "kl": 0.1}
LORA = {"lora": {"rank": 2}}
CASES: dict[str, tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = {
    "plain": (({**SFT_STAGE, "updates": 2}, SRL_STAGE), {}),
    "lora": ((SFT_STAGE, SRL_STAGE), LORA),
    "shard": (({**SFT_STAGE, "updates": 2}, SRL_STAGE), {"shard": True}),
    "lora-shard": ((SFT_STAGE, SRL_STAGE), {**LORA, "shard": True}),
    "half-shard": ((SFT_STAGE,), {"shard": True, "dtype": "bfloat16"}),
    "kl-shard": ((KL_STAGE,), {"shard": True}),
    "kl-lora-shard": ((KL_STAGE, KL_STAGE), {**LORA, "shard": True}),
}


def settings_of(case: str, folder: Path, output: str, **extra: Any) -> TrainSettings:
    stages, own = CASES[case]
    return train_settings(
        folder,
        *stages,
        **{
            "output": str(folder / output),
            "model": "quickstart",
            "samples_every": 99,
            "update_tokens": 256,
            **own,
            **extra,
        },
    )


def growing(folder: Path, output: str, updates: int, shard: bool = False) -> TrainSettings:
    """A run that is `updates` long: only that, and how it is shared out, may differ between the starts of one folder."""
    stage = {**SFT_STAGE, "updates": updates, "eval_every": 0}
    extra = {"model": "quickstart", "samples_every": 99, "update_tokens": 256, "shard": shard}
    return train_settings(folder, stage, output=str(folder / output), **extra)


def held_share(model: PreTrainedModel) -> float:
    """The share of a model's numbers that this process holds."""
    pairs = [(getattr(p, "to_local", lambda p=p: p)().numel(), p.numel()) for p in model.parameters()]
    return float(sum(own for own, _ in pairs) / sum(whole for _, whole in pairs))


def main(folder: Path) -> None:
    from swe_srl.launched import launched

    module: Any = run
    updater: Any = Updater
    method: Any = BaseMethod
    copied = method._reference
    place, made = launched(), module.make_workplace
    seen: dict[str, Any] = {"count": place.count, "held": {}, "reference": []}

    def make(*arguments: Any) -> Workplace:
        work: Workplace = made(*arguments)
        seen["held"][Path(work.settings.output).name] = held_share(work.model)
        return work

    def copy(self: BaseMethod) -> Any:
        found = copied(self)
        seen["reference"].append(held_share(found.model))
        return found

    module.make_workplace = make
    method._reference = copy
    for case in CASES:
        train(settings_of(case, folder, f"two-{case}"))
    train(settings_of("shard", folder, "resumed"))  # begun by one process
    for updates in (1, 3):
        train(growing(folder, "two-grown", updates))
    train(growing(folder, "to-be-one", 1, shard=True))  # and goes on in one process

    def fail(*arguments: Any) -> None:
        raise SweSrlError("the disk is on fire")

    if not place.main:
        updater._backward = fail
    try:
        train(settings_of("plain", folder, "broken"))
    except SweSrlError as error:
        seen["error"] = f"{type(error).__name__}: {error}"
    (folder / f"{place.index}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    from swe_srl.launched import end

    main(Path(sys.argv[1]))
    end(0)
