"""Settings of `swe-srl reproduce`. Imports neither torch nor a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import ConfigError, suggest
from swe_srl.settings import check_at_least, setting

DATA, COMPUTE = "data", "compute"
TABLES = (DATA, COMPUTE)
# what may change when a study goes on: more seeds and arms are added to what is there
FREE = ("output", "seeds", "arms", "tables", "budget", "workers", "figures", "join")
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class ReproduceSettings:
    """A study: arms trained from the same model on the same data, evaluated on the same held-out tasks."""

    study: str = setting(
        "", "Which study, by name or path of its file: quickstart, data-scale, similarity, group-size, context."
    )
    output: Path | None = setting(
        None,
        "Folder of the results; none: runs/reproduce/ and the study's name. The same command on the same folder goes on; "
        "what is finished is not run again, so more seeds and arms can be added.",
    )
    model: str = setting(
        "", "Base model of all arms in place of the study's: folder of a transformers model, or hub id."
    )
    overrides: tuple[str, ...] = setting(
        (),
        "Settings for the recipes of all arms, KEY=VALUE as `swe-srl train` takes them (learning_rate=1e-5, agent=shell), or of "
        "one arm, ARM:KEY=VALUE. What an arm is about, such as a control's learning rate of 0, stays unless the arm is named.",
    )
    seeds: int = setting(
        0, "Trainings of every arm; 0: the study's own number, which with a budget is the larger one that it names."
    )
    arms: tuple[str, ...] = setting((), "Only these arms, and those that they go on from; empty: all of the study.")
    tables: tuple[str, ...] = setting(
        TABLES, "Tables: arms on matched data, arms with matched compute (forward and backward tokens).", TABLES
    )
    budget: str = setting(
        "",
        "Time that all of it may take, as 1h or 12h: what does not fit is not begun, and the results say so. Time spent on "
        "the same folder before counts. Empty: no bound.",
    )
    updates: int | None = setting(
        None, "Updates of every stage; none: the recipes' own, with a budget a half or a quarter if they do not fit."
    )
    limit: int = setting(0, "Only the first so many held-out tasks; 0 takes all.")
    difficulty: tuple[str, ...] = setting(
        (), "Train on, and evaluate, tasks of these difficulties alone; empty: of all."
    )
    samples: int = setting(0, "Episodes per task and seed; 0: the study's own number.")
    seed: int = setting(0, "The first seed.")
    join: tuple[Path, ...] = setting(
        (),
        "Folders of the same study with other seeds or arms, made on other machines or beside this one: their finished runs are "
        "copied, and stand in these tables.",
    )
    workers: int = setting(16, "Episodes at a time.")
    sandbox: str = setting("auto", "Where episodes and tests run.", ("auto", "local", "docker"))
    figures: bool | None = setting(
        None, "Draw figures (needs the figures extra); none: when matplotlib is installed, else a note."
    )

    def __post_init__(self) -> None:
        check_at_least(self, seeds=0, updates=1, limit=0, samples=0, workers=1)
        parse_budget(self.budget)
        for name in self.tables:
            if name not in TABLES:
                raise ConfigError(f"tables: {suggest(name, TABLES, 'table')}")
        if not self.tables:
            raise ConfigError(f"tables: at least one of {', '.join(TABLES)}")

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        if self.output is not None:
            return self.output
        return Path("runs/reproduce") / Path(self.study).name.removesuffix(".yaml").removesuffix(".yml")

    @property
    def budget_seconds(self) -> float | None:
        """The budget; None for no bound."""
        return parse_budget(self.budget)


def parse_budget(text: str) -> float | None:
    """Seconds in a time such as 90m, 1h, 1h30m; "" is no bound.

    Raises:
        ConfigError: no time.

    >>> parse_budget("1h30m"), parse_budget("0.5 h"), parse_budget("")
    (5400.0, 1800.0, None)
    """
    if not text.strip():
        return None
    parts = re.findall(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    rest = re.sub(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", "", text.lower())
    if rest or not parts or any(unit not in _UNITS for _, unit in parts):
        raise ConfigError(f"budget: a time such as 90m, 1h or 12h was expected, not {text!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not seconds:
        raise ConfigError(f"budget: no time at all: {text!r}")
    return seconds
