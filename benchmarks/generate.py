"""Tokens per second of sampling G completions per context: the project's generator against `model.generate`.

    python benchmarks/generate.py                                    a 3M-parameter model, 16 contexts, G = 8
    python benchmarks/generate.py --contexts 1 --context 8000        one long context
    python benchmarks/generate.py --model FOLDER --device cuda

Both sample at temperature 1 in one sitting. No completion ends early (the end token is never drawn), so both write the same
number of tokens: what finished completions save by leaving the batch comes on top.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

import torch
from train_step import tiny_model
from transformers import PreTrainedModel

from swe_srl.generation.attention import use_grouped
from swe_srl.generation.decoding import decode_batch
from swe_srl.generation.loading import load_model, pick_device
from swe_srl.generation.sampling import uniforms
from swe_srl.types import Sampling


def ours(model: PreTrainedModel, contexts: list[list[int]], group: int, new: int) -> int:
    """Tokens written by the project's decode loop."""
    streams = uniforms([(i, j) for i in range(len(contexts)) for j in range(group)], new)
    sampled = decode_batch(model, contexts, group, Sampling(max_new_tokens=new), streams, [-1])
    return sum(len(one.token_ids) for one in sampled)


def theirs(model: PreTrainedModel, contexts: list[list[int]], group: int, new: int) -> int:
    """Tokens written by `model.generate` on the left-padded batch."""
    device, longest = next(model.parameters()).device, max(map(len, contexts))
    ids = torch.tensor([[0] * (longest - len(context)) + context for context in contexts], device=device)
    mask = torch.tensor([[0] * (longest - len(c)) + [1] * len(c) for c in contexts], device=device)
    output = model.generate(
        ids,
        attention_mask=mask,
        do_sample=True,
        top_k=0,
        num_return_sequences=group,
        min_new_tokens=new,
        max_new_tokens=new,
        eos_token_id=model.config.vocab_size - 1,
        pad_token_id=0,
    )
    return output.shape[0] * (output.shape[1] - longest)


def rate(write: Callable[[], int], repeats: int) -> tuple[float, float]:
    """Best tokens per second of wall clock, and per second of CPU time."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = write()
        walls.append(tokens / (time.perf_counter() - wall))
        cpus.append(tokens / (time.process_time() - cpu))
    return max(walls), max(cpus)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens per second of sampling, against model.generate.")
    parser.add_argument("--model", default="", help="model folder or hub id; empty: a random 3M-parameter model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contexts", type=int, default=16)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--context", type=int, default=300, help="tokens, on average")
    parser.add_argument("--new", type=int, default=45, help="tokens of each completion")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    model = load_model(arguments.model, device, torch.float32)[0] if arguments.model else tiny_model().to(device)
    model.train(False)
    rng = random.Random(0)
    low, high = 2 * arguments.context // 3, 4 * arguments.context // 3
    vocabulary = model.config.vocab_size
    contexts = [
        [rng.randrange(vocabulary - 1) for _ in range(rng.randint(low, high))] for _ in range(arguments.contexts)
    ]
    group, new = arguments.group_size, arguments.new
    theirs_wall, theirs_cpu = rate(lambda: theirs(model, contexts, group, new), arguments.repeats)
    use_grouped(model)
    ours_wall, ours_cpu = rate(lambda: ours(model, contexts, group, new), arguments.repeats)
    print(f"{arguments.contexts} contexts of about {arguments.context} tokens, G = {group}, {new} new tokens, {device}")
    print(f"{'tokens/s':18}{'wall':>10}{'cpu':>10}")
    print(f"{'model.generate':18}{theirs_wall:>10.0f}{theirs_cpu:>10.0f}")
    print(f"{'swe_srl':18}{ours_wall:>10.0f}{ours_cpu:>10.0f}")
    print(f"{'ratio':18}{ours_wall / theirs_wall:>10.1f}{ours_cpu / theirs_cpu:>10.1f}")


if __name__ == "__main__":
    main()
