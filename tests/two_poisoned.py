"""Started by a launcher as each of two processes: a run whose model is shared out, spoilt in its second update by one of them.

What each process saw is in `<index>.json`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from training_data import SFT, train_settings

from swe_srl.errors import SweSrlError
from swe_srl.launched import end, launched
from swe_srl.training import train
from swe_srl.training.optimiser import Optimiser

STAGE = {**SFT, "updates": 3, "batch_steps": 2, "eval_every": 0, "save_every": 1}


def main(folder: Path) -> None:
    place, optimiser, step = launched(), Optimiser, Optimiser.step
    seen: dict[str, Any] = {"spoilt": 0, "error": ""}

    def spoiling(self: Optimiser, number: int) -> tuple[float, float]:
        found = step(self, number)
        if not place.main and self.steps == 2:
            own = max((one.to_local() for one in self.parameters), key=lambda local: local.numel())
            with torch.no_grad():
                own.view(-1)[-1] = math.nan
            seen["spoilt"] += 1
        return found

    optimiser.step = spoiling  # type: ignore[method-assign]
    try:
        train(train_settings(folder, STAGE, shard=True, keep=9))
    except SweSrlError as error:
        seen["error"] = f"{type(error).__name__}: {error}"
    (folder / f"{place.index}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    end(0)
