"""What a model's chat template does to a chat that grows turn by turn, and what the user should know of it."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from swe_srl.generation.loading import encode_chat, render_chat
from swe_srl.types import Message

ANSWER = "An answer."
SHOWN = 40  # characters of each text where two part


def template_notes(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Message]) -> list[str]:
    """What this template does that the user would not expect, for a chat as the run has them; [] for most templates.

    A template preserves prefixes when the text of every chat begins with the text of each of its beginnings, what the model
    wrote included. Then a trajectory's later contexts continue its earlier ones and the completions there.

    Args:
        tokenizer: with a chat template.
        chat: messages that end with the user's; the longer, the more is seen.

    Raises:
        ConfigError: the template refuses the chat, or writes nothing for it.
    """
    encode_chat(tokenizer, chat)
    name = f"the chat template of {tokenizer.name_or_path!r}"
    whole = render_chat(tokenizer, chat, prompt=False)
    notes = []
    if unseen := [one for one in chat if _without_thought(one.content).strip() not in whole]:
        notes.append(
            f"warning: {name} does not write {len(unseen)} of a chat's {len(chat)} messages as they are (the first is the "
            f"{unseen[0].role}'s: {unseen[0].content[:SHOWN]!r}): the model sees something else there, or nothing. Use another "
            "model or template; where only the system message is left out, an agent definition without one will do"
        )
    thoughts = [_thought(one.content) for one in chat if one.role == "assistant"]
    if any(thought not in whole for thought in thoughts):
        notes.append(
            f"{name} is not prefix-preserving: it drops the thoughts of earlier turns, which the agent definition keeps, so the "
            "model does not see what it thought before"
        )
        chat = [Message(one.role, _without_thought(one.content)) for one in chat]
    if parting := _parting(tokenizer, chat):
        notes.append(
            f"{name} is not prefix-preserving: it writes the beginning of a chat otherwise when the chat goes on ({parting}). "
            "Every context is rendered whole, so training is right, but the contexts of a trajectory's steps share nothing after "
            "that place"
        )
    if opens_thought(tokenizer, chat):
        notes.append(
            f"{name} opens <think> in the prompt: completions begin inside the thought, and must close it; sft learns to write "
            "its targets so"
        )
    if "strftime_now" in str(tokenizer.chat_template):
        notes.append(
            f"{name} may write the day's date into every chat: contexts differ from day to day, also in a run that is resumed"
        )
    return notes


def _parting(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Message]) -> str:
    """Where the text of the chat leaves the text of one of its beginnings; "" when it never does."""
    whole = render_chat(tokenizer, chat, prompt=False)
    for end in range(1, len(chat)):
        if chat[end - 1].role == "system":
            continue
        begun = render_chat(tokenizer, chat[:end], prompt=False)
        if not whole.startswith(begun):
            at = next((i for i, (one, other) in enumerate(zip(begun, whole, strict=False)) if one != other), len(whole))
            return f"after {end} messages {begun[at : at + SHOWN]!r}, later {whole[at : at + SHOWN]!r}"
    return ""


def opens_thought(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Message] = (Message("user", "?"),)) -> bool:
    """Whether the generation prompt leaves a `<think>` open, so that completions begin inside the thought."""
    prompt = render_chat(tokenizer, chat)[len(render_chat(tokenizer, chat, prompt=False)) :]
    return prompt.rfind("<think>") > prompt.rfind("</think>")


def turn_end(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]) -> int:
    """The id that an answer ends with: the one of `ends` that the chat template writes after it, else the tokenizer's own.

    The template's may be another than the tokenizer's (`<end_of_turn>` and `<eos>`): then the model was taught the former.

    Args:
        ends: ids that end a completion (see `end_tokens`), at least one.
    """
    chat = (Message("user", "?"), Message("assistant", ANSWER))
    after = render_chat(tokenizer, chat, prompt=False).rpartition(ANSWER)[2]
    written = tokenizer(after, add_special_tokens=False).input_ids
    own = tokenizer.eos_token_id
    return next((int(one) for one in written if one in ends), ends[0] if own is None else int(own))


def _thought(text: str) -> str:
    return text.rpartition("</think>")[0].removeprefix("<think>").strip()


def _without_thought(text: str) -> str:
    return text.rpartition("</think>")[2].lstrip("\n")
