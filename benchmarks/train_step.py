"""Seconds and tokens of one SRL update: contexts shared by their group, against every sequence apart.

    python benchmarks/train_step.py                                  a 3M-parameter model, contexts of about 300 tokens
    python benchmarks/train_step.py --context 2000 --steps 4         longer contexts
    python benchmarks/train_step.py --model FOLDER --device cuda     another model (random weights do as well)

Both paths see the same groups in one sitting, one after the other; CPU seconds of the process are shown beside the wall
clock, because they do not depend on what else the machine does. The gradients are compared too.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from swe_srl.generation.attention import use_grouped
from swe_srl.generation.loading import load_model, pick_device
from swe_srl.training.forward import TokenGroup, micro_batches, score


@dataclass(frozen=True)
class Measured:
    """The best of several passes."""

    wall: float
    cpu: float
    gradient: torch.Tensor


def tiny_model() -> PreTrainedModel:
    """Random weights in the shape of the bundled model, a little larger."""
    torch.manual_seed(0)
    shape = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 6}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=2048, num_key_value_heads=6, tie_word_embeddings=True, **shape))


def make_groups(arguments: argparse.Namespace, vocabulary: int) -> list[TokenGroup]:
    """Contexts and completions of random tokens, lengths within a third of the asked ones."""
    rng = random.Random(arguments.seed)

    def tokens(mean: int) -> tuple[int, ...]:
        length = rng.randint(max(1, 2 * mean // 3), 4 * mean // 3)
        return tuple(rng.randrange(vocabulary) for _ in range(length))

    return [
        TokenGroup(tokens(arguments.context), tuple(tokens(arguments.completion) for _ in range(arguments.group_size)))
        for _ in range(arguments.steps)
    ]


def measure(model: PreTrainedModel, groups: list[TokenGroup], budget: int, plain: bool, repeats: int) -> Measured:
    """Forward and backward over all groups in micro-batches of the same number of computed tokens."""
    best: Measured | None = None
    for _ in range(repeats):
        model.zero_grad(set_to_none=True)
        wall, cpu = time.perf_counter(), time.process_time()
        for batch in micro_batches(groups, budget // token_ratio(groups) if plain else budget):
            scored = score(model, [groups[i] for i in batch], plain=plain)
            (scored.logprob_NT.sum() / len(groups)).backward()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        if best is None or wall < best.wall:
            best = Measured(wall, cpu, gradient)
    assert best is not None
    return best


def token_ratio(groups: list[TokenGroup]) -> int:
    """How many times more tokens separate sequences take, at least 1."""
    return max(1, round(sum(g.plain_tokens for g in groups) / sum(g.tokens for g in groups)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and tokens of one SRL update, shared against separate.")
    parser.add_argument("--model", default="", help="model folder or hub id; empty: a random 3M-parameter model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--context", type=int, default=300, help="tokens, on average")
    parser.add_argument("--completion", type=int, default=45, help="tokens, on average")
    parser.add_argument("--update-tokens", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    model = load_model(arguments.model, device, torch.float32)[0] if arguments.model else tiny_model().to(device)
    model.train(False)
    use_grouped(model)
    groups = make_groups(arguments, model.config.vocab_size)
    shared = measure(model, groups, arguments.update_tokens, False, arguments.repeats)
    plain = measure(model, groups, arguments.update_tokens, True, arguments.repeats)
    tokens, plain_tokens = sum(g.tokens for g in groups), sum(g.plain_tokens for g in groups)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters / 1e6:.1f}M parameters, {arguments.steps} steps x {arguments.group_size}, {device}")
    print(f"{'':10}{'tokens':>10}{'wall s':>10}{'cpu s':>10}{'tokens/s':>12}")
    for name, count, result in (("separate", plain_tokens, plain), ("shared", tokens, shared)):
        print(f"{name:10}{count:>10}{result.wall:>10.2f}{result.cpu:>10.2f}{count / result.wall:>12.0f}")
    ratios = plain_tokens / tokens, plain.wall / shared.wall, plain.cpu / shared.cpu
    print(f"{'ratio':10}{ratios[0]:>10.2f}{ratios[1]:>10.2f}{ratios[2]:>10.2f}")
    difference = float((shared.gradient - plain.gradient).norm() / plain.gradient.norm())
    print(f"relative difference of the gradients: {difference:.1e}")


if __name__ == "__main__":
    main()
