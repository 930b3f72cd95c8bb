"""Tokens per second of sampling G completions per context: the project's generator against `model.generate`.

    python benchmarks/generate.py                                   the grid: 1k, 8k, 24k tokens; 64 and 300 new ones; G = 8
    python benchmarks/generate.py --contexts 8000 --new 64 --steps 6    contexts of one trajectory, each a prefix of the next
    python benchmarks/generate.py --model FOLDER --device cuda

Both sample at temperature 1, in one process, in turns. `model.generate` gets one context at a time with
`num_return_sequences=G`, so it pads nothing. No completion ends early (the end token is never drawn), so both write the
same number of tokens: what finished completions save by leaving the batch comes on top. `prefill` is the share of
`model.generate`'s CPU seconds that it needs for its first token: where it is large, computing a context once instead of G
times can pay up to G times. CPU seconds are shown too, because they depend less on what else the machine does.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from swe_srl.generation.attention import GROUPED, use_grouped
from swe_srl.generation.decoding import decode_batch
from swe_srl.generation.loading import load_model, pick_device, pick_dtype
from swe_srl.generation.sampling import uniforms
from swe_srl.types import Sampling

NEVER = -1  # a token id that no model draws


@dataclass(frozen=True)
class Seconds:
    """Of writing all completions once."""

    wall: float
    cpu: float


def random_model(hidden: int, layers: int, positions: int) -> PreTrainedModel:
    """A Qwen2 model of heads of 32 dimensions, two query heads to a key/value head, and a vocabulary of 2,048."""
    torch.manual_seed(0)
    heads = max(2, hidden // 32)
    config = Qwen2Config(
        vocab_size=2048,
        hidden_size=hidden,
        intermediate_size=11 * hidden // 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return Qwen2ForCausalLM(config)


def make_contexts(length: int, steps: int, vocabulary: int, seed: int) -> list[list[int]]:
    """One context of so many random tokens; or `steps` of them, evenly longer, each going on from the one before."""
    rng = random.Random(seed)
    tokens = [rng.randrange(vocabulary) for _ in range(length)]
    return [tokens[: (step + 1) * length // steps] for step in range(steps)]


def ours(model: PreTrainedModel, contexts: list[list[int]], group: int, new: int) -> int:
    """Tokens written by the project's decode loop."""
    streams = uniforms([(i, j) for i in range(len(contexts)) for j in range(group)], new)
    sampled = decode_batch(model, contexts, group, Sampling(max_new_tokens=new), streams, [NEVER])
    return sum(len(one.token_ids) for one in sampled)


def theirs(model: PreTrainedModel, contexts: list[list[int]], group: int, new: int) -> int:
    """Tokens written by `model.generate`, a context at a time."""
    written = 0
    for context in contexts:
        ids = torch.tensor([context], device=model.device)
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=0,
            num_return_sequences=group,
            min_new_tokens=new,
            max_new_tokens=new,
            pad_token_id=0,
        )
        written += output.shape[0] * (output.shape[1] - len(context))
    return written


def timed(write: Callable[[], int], tokens: int) -> Seconds:
    """Seconds of `write`, which must write so many tokens."""
    wall, cpu = time.perf_counter(), time.process_time()
    written = write()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    taken = Seconds(time.perf_counter() - wall, time.process_time() - cpu)
    assert written == tokens, f"{written} tokens instead of {tokens}"
    return taken


def best(runs: list[Seconds]) -> Seconds:
    """The least of each."""
    return Seconds(min(one.wall for one in runs), min(one.cpu for one in runs))


def rows(model: PreTrainedModel, length: int, news: list[int], arguments: argparse.Namespace) -> Iterator[str]:
    """Measure both sides in turns, for every number of new tokens; the rows of the table."""
    group, steps = arguments.group_size, arguments.steps
    contexts = make_contexts(length, steps, model.config.vocab_size, arguments.seed)
    model.set_attn_implementation("sdpa")
    first = best([timed(lambda: theirs(model, contexts, group, 1), steps * group) for _ in range(arguments.repeats)])
    for new in news:
        tokens = steps * group * new
        our_runs, their_runs = [], []
        for _ in range(arguments.repeats):
            use_grouped(model)
            our_runs.append(timed(partial(ours, model, contexts, group, new), tokens))
            model.set_attn_implementation("sdpa")  # what `transformers` chooses by itself
            their_runs.append(timed(partial(theirs, model, contexts, group, new), tokens))
        our, their = best(our_runs), best(their_runs)
        yield (
            f"{length:>8}{new:>6}{first.cpu / their.cpu:>9.0%}{tokens / their.wall:>10.1f}{tokens / our.wall:>10.1f}"
            f"{their.wall / our.wall:>7.1f}{tokens / their.cpu:>12.1f}{tokens / our.cpu:>10.1f}{their.cpu / our.cpu:>7.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens per second of sampling, against model.generate.")
    parser.add_argument("--model", default="", help="model folder or hub id; empty: a random one")
    parser.add_argument("--hidden", type=int, default=128, help="size of the random model, a multiple of 64")
    parser.add_argument("--layers", type=int, default=2, help="of the random model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contexts", default="1000,8000,24000", help="tokens of a context")
    parser.add_argument("--new", default="64,300", help="tokens of each completion")
    parser.add_argument("--steps", type=int, default=1, help="contexts of one trajectory, each a prefix of the next")
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1, help="the best counts")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    lengths = [int(length) for length in arguments.contexts.split(",")]
    news = [int(new) for new in arguments.new.split(",")]
    dtype = pick_dtype(arguments.dtype, device)
    if arguments.model:
        model = load_model(arguments.model, device, dtype)[0]
    else:
        model = random_model(arguments.hidden, arguments.layers, max(lengths) + max(news)).to(device, dtype)
    model.train(False)
    assert use_grouped(model) and model.config._attn_implementation == GROUPED, "this model takes the plain path"
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters / 1e6:.1f}M parameters, {dtype}, {device}, {arguments.threads} threads, ", end="")
    print(f"G = {arguments.group_size}, {arguments.steps} contexts a call")
    print(f"{'':23}{'tokens per second, wall':^27}{'tokens per CPU second':^29}")
    print(f"{'context':>8}{'new':>6}{'prefill':>9}", end="")
    print(f"{'generate':>10}{'swe_srl':>10}{'ratio':>7}{'generate':>12}{'swe_srl':>10}{'ratio':>7}")
    for length in lengths:
        for row in rows(model, length, news, arguments):
            print(row, flush=True)


if __name__ == "__main__":
    main()
