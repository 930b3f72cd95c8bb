"""How long the contexts of a run's steps are, told before the run: those without room in the model are left out of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swe_srl.agents import AgentDefinition
from swe_srl.errors import ConfigError
from swe_srl.seeds import derive_seed
from swe_srl.training.data import quickstart_file
from swe_srl.training.settings import QUICKSTART, TrainSettings
from swe_srl.types import Step

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOOKED_AT = 500  # steps


@dataclass(frozen=True)
class ContextLengths:
    """Tokens of the contexts of some steps, drawn by the seed.

    Args:
        tokens: of each.
        room: tokens that a context may have; None when nothing bounds them.
        warnings: of stages whose completions are too short for the steps' commands.
    """

    tokens: tuple[int, ...]
    room: int | None
    warnings: tuple[str, ...] = ()

    @property
    def too_long(self) -> int:
        """How many have no room."""
        return 0 if self.room is None else sum(one > self.room for one in self.tokens)

    @property
    def text(self) -> str:
        """For people."""
        mean, most = statistics.fmean(self.tokens), max(self.tokens)
        left = f"; {self.too_long} have more than the {self.room:,} that have room: left out" if self.too_long else ""
        return f"contexts of {len(self.tokens)} steps: {mean:,.0f} tokens on average, {most:,} at most{left}"


def some_steps(steps: Sequence[Step], seed: int) -> list[Step]:
    """At most `LOOKED_AT` of them, drawn by the seed."""
    return sorted(steps, key=lambda step: derive_seed(seed, "lengths", step.step_id))[:LOOKED_AT]


def cut_commands(
    tokenizer: PreTrainedTokenizerBase, steps: Sequence[Step], limit: int, form: str = "bash", end: int | None = None
) -> str:
    """A warning when completions are too short for the commands of some of these experts' steps, or "".

    Args:
        limit: `max_new_tokens`.
        form, end: see `target_tokens`.
    """
    from swe_srl.training.targets import target_tokens

    tokens = [len(target_tokens(tokenizer, step, False, form, end)) for step in steps]
    if max(tokens, default=0) <= limit:
        return ""
    longer = sum(one > limit for one in tokens)
    return (
        f"warning: max_new_tokens: {limit:,} are too few for the expert's command of {longer} of {len(tokens)} steps (the "
        f"longest takes {max(tokens):,}): no completion can equal it"
    )


def context_lengths(settings: TrainSettings, steps: Sequence[Step]) -> ContextLengths | None:
    """Of at most `LOOKED_AT` training steps; None when there are none, or the model's tokenizer is not here.

    Raises:
        ConfigError: the chat template refuses a chat, or completions leave no room for any.
        GenerationError: the model's tokenizer or configuration cannot be read.
    """
    folder = quickstart_file("model") if settings.model == QUICKSTART else Path(settings.model)
    if not steps or not (folder / "tokenizer_config.json").is_file():
        return None
    from transformers import AutoConfig, AutoTokenizer

    from swe_srl.generation.loading import encode_chat, telling_what_cannot_be_loaded

    with telling_what_cannot_be_loaded(folder):
        tokenizer, config = AutoTokenizer.from_pretrained(str(folder)), AutoConfig.from_pretrained(str(folder))
    chosen = some_steps(steps, settings.seed)
    found = tuple(len(encode_chat(tokenizer, step.context)) for step in chosen)
    bounds = [settings.max_context_tokens] if settings.max_context_tokens else []
    positions = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if positions is not None:
        longest = max(stage.max_new_tokens for stage in settings.stages if stage.method != "rlvr")
        if longest >= positions:
            raise ConfigError(
                f"max_new_tokens: {longest:,} leave no room for a context, since the model has {positions:,} positions for "
                "context and completion: lower it"
            )
        bounds.append(positions - longest)
    form = AgentDefinition.load(settings.agent_name).prompting.action_format
    limits = sorted({stage.max_new_tokens for stage in settings.stages if stage.method == "srl"})
    warnings = [cut_commands(tokenizer, chosen, limit, form) for limit in limits]
    return ContextLengths(found, min(bounds, default=None), tuple(filter(None, warnings)))
