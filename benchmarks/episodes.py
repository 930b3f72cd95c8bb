"""Tokens per second of sampling whole episodes: contexts kept from turn to turn, computed anew, and `model.generate`.

    python benchmarks/episodes.py                                       the bundled model: 16 episodes of 8 turns at a time
    python benchmarks/episodes.py --hidden 128 --layers 2 --start 4000 --observation 1000
    python benchmarks/episodes.py --model FOLDER --device cuda

Every turn of an episode has the context of the turn before, the completion and an observation (random tokens). All episodes are
at the same turn, as in a rollout of as many workers, and one call samples a turn of all of them. `model.generate` gets the same
contexts as one left-padded batch. No completion ends early, so all sides write as many tokens; sandboxes take no time here.
All sides run in one process, in turns.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

import torch
from generate import NEVER, random_model
from transformers import PreTrainedModel

from swe_srl.generation.attention import use_grouped
from swe_srl.generation.decoding import decode_batch
from swe_srl.generation.kept import KeptContexts
from swe_srl.generation.loading import load_model, pick_device, pick_dtype
from swe_srl.generation.sampling import uniforms
from swe_srl.training.data import quickstart_file
from swe_srl.types import Sampling

Say = Callable[[list[list[int]]], list[list[int]]]  # completions of contexts


def ours(model: PreTrainedModel, new: int, kept: KeptContexts | None) -> Say:
    """The project's decode loop."""

    def say(contexts: list[list[int]]) -> list[list[int]]:
        streams = uniforms([(row, 0) for row in range(len(contexts))], new)
        found = decode_batch(model, contexts, 1, Sampling(max_new_tokens=new), streams, [NEVER], kept)
        return [one.token_ids for one in found]

    return say


def theirs(model: PreTrainedModel, new: int) -> Say:
    """`model.generate` of one batch, padded on the left."""

    def say(contexts: list[list[int]]) -> list[list[int]]:
        longest = max(map(len, contexts))
        ids = torch.tensor([[*[0] * (longest - len(one)), *one] for one in contexts], device=model.device)
        seen = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in contexts], device=model.device)
        lengths = {"min_new_tokens": new, "max_new_tokens": new}
        output = model.generate(ids, attention_mask=seen, do_sample=True, top_k=0, pad_token_id=0, **lengths)
        return [row[longest:].tolist() for row in output]

    return say


def seconds(say: Say, arguments: argparse.Namespace, vocabulary: int) -> tuple[float, int]:
    """Wall time of all turns of all episodes, and the tokens written."""
    rng, written = random.Random(arguments.seed), 0
    tokens = [
        [rng.randrange(3, vocabulary) for _ in range(rng.randint(1, 2 * arguments.start))]
        for _ in range(arguments.episodes)
    ]
    begun = time.perf_counter()
    for _ in range(arguments.turns):
        said = say(tokens)
        written += sum(map(len, said))
        tokens = [
            [
                *before,
                *completion,
                *[rng.randrange(3, vocabulary) for _ in range(rng.randint(1, 2 * arguments.observation))],
            ]
            for before, completion in zip(tokens, said, strict=True)
        ]
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, written


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens per second of sampling whole episodes.")
    parser.add_argument("--model", default="", help="model folder or hub id; empty: the bundled one")
    parser.add_argument("--hidden", type=int, default=0, help="a random model of this size instead, a multiple of 64")
    parser.add_argument("--layers", type=int, default=2, help="of the random model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=16, help="at a time")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--start", type=int, default=250, help="mean tokens of the first context")
    parser.add_argument("--observation", type=int, default=100, help="mean tokens of an observation")
    parser.add_argument("--new", type=int, default=56, help="tokens of a completion")
    parser.add_argument("--repeats", type=int, default=3, help="the best counts")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    dtype = pick_dtype(arguments.dtype, device)
    longest = 2 * arguments.start + arguments.turns * (2 * arguments.observation + arguments.new)
    if arguments.hidden:
        model = random_model(arguments.hidden, arguments.layers, longest).to(device, dtype)
    else:
        model = load_model(arguments.model or quickstart_file("model"), device, dtype)[0]
    model.train(False)
    model.generation_config.eos_token_id = None
    best = dict.fromkeys(("kept", "anew", "generate"), float("inf"))
    tokens = 0
    for _ in range(arguments.repeats):
        for name in best:
            if name == "generate":
                model.set_attn_implementation("sdpa")  # what `transformers` chooses by itself
                say = theirs(model, arguments.new)
            else:
                assert use_grouped(model), "this model takes the plain path"
                say = ours(model, arguments.new, KeptContexts(10**9) if name == "kept" else None)
            taken, tokens = seconds(say, arguments, model.config.vocab_size)
            best[name] = min(best[name], taken)
    print(
        f"{dtype}, {device}, {arguments.threads} threads: {arguments.episodes} episodes of {arguments.turns} turns, "
        f"{tokens} tokens"
    )
    for name, taken in best.items():
        print(
            f"{name:10}{taken:8.2f} s{tokens / taken:10.1f} tokens per second{taken / best['kept']:8.2f} times the seconds"
        )


if __name__ == "__main__":
    main()
