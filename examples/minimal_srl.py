"""Supervised Reinforcement Learning (arXiv 2510.25992) in one file, to be read from top to bottom.

    python examples/minimal_srl.py --updates 5

At every turn of an expert's trajectory the model is shown what the expert saw, and writes G answers: a private thought and
one shell command. An answer is rewarded by how similar its command is to the expert's, -1 if it is malformed. Answers
better than their group's mean are made more likely, worse ones less (GRPO), and groups in which all answers are about
equally good teach nothing, so others are drawn in their place.

What `swe-srl train` has and this file leaves out: contexts computed once for their G answers (here every answer repeats its
context), batched decoding that answers leave when they end, several optimiser steps per batch with clipping that then
matters, a KL penalty, averaging by token, checkpoints and resuming, validation and the best checkpoint, stages, bfloat16,
journals, seeds per completion, and the refusal of trajectories that belong to the evaluation.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from swe_srl.agents import AgentDefinition
from swe_srl.rewards import get_similarity, step_reward
from swe_srl.trajectories import make_steps, read_trajectories
from swe_srl.trajectories.action_format import parse_action
from swe_srl.types import Step

EPSILON = 0.01  # groups whose rewards' standard deviation is at most this are replaced
CLIP = 0.2
QUICKSTART = Path(str(resources.files("swe_srl") / "data" / "quickstart"))


@dataclass
class Group:
    """The G answers to one step: token ids, their log-probabilities when they were sampled, rewards."""

    context: list[int]
    answers: list[list[int]]
    old_logprobs: list[Tensor]
    rewards: list[float]


def load_steps(trajectories: Path, agent: str) -> list[Step]:
    """Every turn of every trajectory: the chat up to it, and the command that the expert gave."""
    prompting = AgentDefinition.load(agent).prompting
    return list(make_steps(read_trajectories(trajectories), prompting))


def endless(steps: Sequence[Step], seed: int) -> Iterator[Step]:
    """The steps in a new order every epoch."""
    shuffled, stream = list(steps), random.Random(seed)
    while True:
        stream.shuffle(shuffled)
        yield from shuffled


def encode(tokenizer: PreTrainedTokenizerBase, step: Step) -> list[int]:
    """The chat as token ids, ending where the answer begins."""
    chat = [message.as_dict() for message in step.context]
    return list(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False))


@torch.no_grad()
def sample(model: PreTrainedModel, context: list[int], count: int, limit: int, end: int) -> list[list[int]]:
    """`count` answers at temperature 1, each with its end token unless the limit came first."""
    ids = torch.tensor([context])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        num_return_sequences=count,
        max_new_tokens=limit,
        eos_token_id=end,
        pad_token_id=end,
    )
    answers = []
    for row in output[:, len(context) :].tolist():
        answers.append(row[: row.index(end) + 1] if end in row else row)
    return answers


def logprobs_of(model: PreTrainedModel, context: list[int], answer: list[int]) -> Tensor:
    """Log-probability of every token of the answer after the context: [len(answer)]."""
    logits = model(torch.tensor([context + answer])).logits[0, len(context) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(answer)[:, None])[:, 0]


def reward(text: str, target: str) -> float:
    """How close the answer's command is to the expert's, in [0, 1]; -1 for a malformed answer. The thought is not read."""
    return step_reward(parse_action(text), target, get_similarity("sequence")).value


def make_group(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, step: Step, count: int, limit: int) -> Group:
    """Sample and reward `count` answers to one step."""
    end = int(tokenizer.eos_token_id)
    context = encode(tokenizer, step)
    answers = sample(model, context, count, limit, end)
    with torch.no_grad():
        old = [logprobs_of(model, context, answer) for answer in answers]
    texts = [tokenizer.decode(answer[:-1] if answer[-1] == end else answer) for answer in answers]
    return Group(context, answers, old, [reward(text, step.target) for text in texts])


def advantages(rewards: list[float]) -> Tensor:
    """Rewards less their mean, over their standard deviation."""
    values = torch.tensor(rewards)
    return (values - values.mean()) / (values.std() + 1e-6)


def group_loss(model: PreTrainedModel, group: Group) -> Tensor:
    """The clipped policy gradient: the mean over answers of the mean over their tokens."""
    losses = []
    for answer, old, advantage in zip(group.answers, group.old_logprobs, advantages(group.rewards), strict=True):
        ratio = (logprobs_of(model, group.context, answer) - old).exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
        losses.append(-gain.mean())
    return torch.stack(losses).mean()


def update(model: PreTrainedModel, optimiser: torch.optim.Optimizer, groups: Sequence[Group]) -> float:
    """One step of the optimiser on the mean loss of the groups; returns the gradient's norm before clipping."""
    for group in groups:
        (group_loss(model, group) / len(groups)).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad()
    return float(norm)


def train(arguments: argparse.Namespace) -> None:
    """The whole method."""
    torch.manual_seed(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, weight_decay=0.0)
    steps = endless(load_steps(arguments.trajectories, arguments.agent), arguments.seed)
    print(f"{arguments.updates} updates: each a minute or more on two cores", flush=True)
    for number in range(1, arguments.updates + 1):
        groups: list[Group] = []
        seen: list[float] = []
        tries = 0
        while len(groups) < arguments.batch_steps and tries < 4 * arguments.batch_steps:  # dynamic sampling
            tries += 1
            group = make_group(model, tokenizer, next(steps), arguments.group_size, arguments.max_new_tokens)
            seen += group.rewards
            if torch.tensor(group.rewards).std() > EPSILON:
                groups.append(group)
        norm = update(model, optimiser, groups) if groups else 0.0
        mean, kept = sum(seen) / len(seen), f"{len(groups)} of {tries} groups kept"
        print(f"update {number:3d}   mean reward {mean:+.3f}   {kept}   gradient norm {norm:.3f}", flush=True)
    model.save_pretrained(arguments.output)
    tokenizer.save_pretrained(arguments.output)
    print(f"the model is in {arguments.output}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Supervised Reinforcement Learning in one file.")
    parser.add_argument("--model", default=str(QUICKSTART / "model"), help="model folder or hub id")
    parser.add_argument("--trajectories", type=Path, default=QUICKSTART / "trajectories-train.jsonl")
    parser.add_argument("--agent", default="quickstart", help="agent definition that renders the prompts")
    parser.add_argument("--output", type=Path, default=Path("runs/minimal-srl"))
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--batch-steps", type=int, default=8)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    train(parse())
