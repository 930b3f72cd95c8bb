"""A step's target as a completion: what SFT learns, and what the validation loss is measured on."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from swe_srl.generation.loading import encode_text
from swe_srl.generation.templates import opens_thought
from swe_srl.trajectories.action_format import format_action
from swe_srl.types import Action, Step


def target_tokens(
    tokenizer: PreTrainedTokenizerBase, step: Step, thought: bool, form: str = "bash", end: int | None = None
) -> tuple[int, ...]:
    """Token ids of the expert's action and the end token, as they follow the chat template's generation prompt.

    Args:
        thought: write the expert's thought too, where there is one.
        form: how a completion holds its command (see `action_format`).
        end: the end token's id (see `turn_end`); None: the tokenizer's own.
    """
    written = thought and bool(step.thought)
    opened = opens_thought(tokenizer)
    text = format_action(Action(step.target, step.thought if written else ""), thought=written or opened, form=form)
    text = text.removeprefix("<think>") if opened else text  # the prompt has it
    ids = encode_text(tokenizer, text)
    return (*ids, int(tokenizer.eos_token_id if end is None else end))
