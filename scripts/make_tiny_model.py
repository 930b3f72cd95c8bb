"""Makes the bundled tiny model: a tokenizer and a few million parameters, trained from scratch on generated transcripts.

    python scripts/make_tiny_model.py --out swe_srl/data/quickstart/model --minutes 60

It stands in for an instruct model: it knows the action format and the shell's words, and is mediocre at the tasks, because the
transcripts' agent is at the end of the training (scripts/tiny_corpus.py). It sees neither the quickstart repositories nor their tasks. `--cache` keeps
the tokenised corpus and the training state, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import random
import time
from pathlib import Path

import numpy as np
import torch
from tiny_corpus import CAREFUL, CARELESS, Manners, episode
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
FORMAT = ["<think>", "</think>", "```bash\n", "\n```"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPLIT = r"[A-Za-z]+|[0-9]|[^\sA-Za-z0-9]|\n+|[ \t]+"  # blanks stand alone, so that a name is the same tokens wherever it is copied to


def train_tokenizer(texts: list[str], size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE whose tokens never cross words, digits or punctuation marks."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in FORMAT])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")
    fast.chat_template = CHAT_TEMPLATE
    return fast


def encode(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Token ids of a chat and, for each, whether the assistant wrote it (its end token included)."""
    ids: list[int] = []
    mine: list[int] = []
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    for message in messages:
        body = tokenizer.encode(message["content"], add_special_tokens=False)
        ids += [tokenizer.convert_tokens_to_ids(f"<|{message['role']}|>"), *body, end]
        mine += [0, *[int(message["role"] == "assistant")] * (len(body) + 1)]
    return ids, mine


def corpus(
    tokenizer: PreTrainedTokenizerFast, manners: Manners, first: int, count: int, cache: Path, limit: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`count` tokenised transcripts of the seeds from `first` on, generated in parallel and cached."""
    file = cache / f"corpus-{first}-{count}.npz"
    if not file.exists():
        pairs = []
        with multiprocessing.Pool(2) as pool:
            for messages in pool.imap(
                functools.partial(episode, manners=manners), range(first, first + count), chunksize=64
            ):
                ids, mine = encode(tokenizer, messages)
                if len(ids) <= limit:
                    pairs.append((ids, mine))
        lengths = np.array([len(ids) for ids, _ in pairs])
        flat = np.array([i for ids, _ in pairs for i in ids], dtype=np.uint16)
        marks = np.array([m for _, mine in pairs for m in mine], dtype=np.uint8)
        np.savez(file, lengths=lengths, ids=flat, mine=marks)
    data = np.load(file)
    ends = np.cumsum(data["lengths"])[:-1]
    return list(zip(np.split(data["ids"], ends), np.split(data["mine"], ends), strict=True))


def batches(rows: list[tuple[np.ndarray, np.ndarray]], budget: int, seed: int) -> list[list[int]]:
    """Rows of similar length together, at most `budget` tokens (padding included) a batch, in random order."""
    rng = random.Random(seed)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + rng.random() * 40)
    out, current, longest = [], [], 0
    for i in order:
        longest = max(longest, len(rows[i][0]))
        if current and longest * (len(current) + 1) > budget:
            out.append(current)
            current, longest = [], len(rows[i][0])
        current.append(i)
    out.append(current)
    rng.shuffle(out)
    return out


def loss_of(
    model: LlamaForCausalLM, rows: list[tuple[np.ndarray, np.ndarray]], others: float
) -> tuple[torch.Tensor, float]:
    """Weighted next-token loss of a right-padded batch, and the plain mean loss on the assistant's tokens."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    weight = torch.zeros(len(rows), width)
    for i, (row, mine) in enumerate(rows):
        ids[i, : len(row)] = torch.from_numpy(row.astype(np.int64))
        weight[i, : len(row)] = torch.from_numpy(np.where(mine == 1, 1.0, others).astype(np.float32))
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    targets, weight = ids[:, 1:], weight[:, 1:]
    keep = weight > 0
    losses = functional.cross_entropy(model.lm_head(hidden[keep]), targets[keep], reduction="none")
    mine = weight[keep] == 1.0
    return (losses * weight[keep]).sum() / weight[keep].sum(), losses[mine].mean().item()


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates (Jordan et al. 2024) for hidden matrices, in float32: bf16 is slow on a CPU."""

    def __init__(
        self, params: list[torch.nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for shape, params in by_shape.items():
                updates = []
                for p in params:
                    buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    buffer.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(buffer, group["momentum"]))
                update = orthogonalise(torch.stack(updates))
                scale = 0.2 * math.sqrt(max(shape))
                for p, u in zip(params, update, strict=True):
                    p.mul_(1 - group["lr"] * group["decay"]).add_(u, alpha=-group["lr"] * scale)


def orthogonalise(x: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrices [N, R, C] by Newton-Schulz iterations."""
    a, b, c = 3.4445, -4.7750, 2.0315
    flip = x.size(-2) > x.size(-1)
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if flip else x


def optimisers(model: LlamaForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for the rest."""
    matrices = [
        p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "lm_head" not in name
    ]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name or "lm_head" in name]
    return [
        Muon(matrices, lr=rate * 2),
        torch.optim.AdamW(rest, lr=rate * 2, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("swe_srl/data/quickstart/model"))
    parser.add_argument("--cache", type=Path, default=Path("runs/tiny-model"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--careful", type=int, default=26_000, help="transcripts for the first part")
    parser.add_argument("--careless", type=int, default=12_000, help="transcripts for the rest")
    parser.add_argument("--careful-share", type=float, default=0.7, help="share of the time on the careful agent")
    parser.add_argument("--vocabulary", type=int, default=1536)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--budget", type=int, default=4096, help="tokens a batch")
    parser.add_argument(
        "--others",
        type=float,
        default=0.1,
        help="loss weight, at first, of the tokens that the assistant did not write",
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    options.cache.mkdir(parents=True, exist_ok=True)
    folder = options.cache / "tokenizer"
    if not folder.exists():
        texts = [message["content"] for seed in range(3000) for message in episode(seed)]
        train_tokenizer(texts, options.vocabulary).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    careful = corpus(tokenizer, CAREFUL, 1_000_000, options.careful, options.cache, limit=1024)
    careless = corpus(tokenizer, CARELESS, 2_000_000, options.careless, options.cache, limit=1024)
    held, careless = careless[-200:], careless[:-200]
    config = LlamaConfig(
        vocab_size=math.ceil(len(tokenizer) / 64) * 64,
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 32,
        num_key_value_heads=options.hidden // 32,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    count = sum(p.numel() for p in model.parameters())
    tokens_all = sum(len(ids) for ids, _ in [*careful, *careless])
    print(
        f"{count / 1e6:.2f}M parameters, {len(careful) + len(careless)} transcripts, {tokens_all / 1e6:.1f}M tokens, vocabulary {len(tokenizer)}",
        flush=True,
    )
    optimizers = optimisers(model, options.rate)
    base_rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    state_file = options.cache / "state.pt"
    used = seen = step = 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=False)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        used, seen, step = state["used"], state["seen"], state["step"]
        print(f"going on after {used / 60:.1f} minutes", flush=True)
    total = options.minutes * 60
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    schedule: list[list[int]] = []
    last_log = last_save = begun = time.monotonic()
    start = used
    recent: list[float] = []
    while used < total:
        current = careful if used < total * options.careful_share else careless
        if not schedule or rows is not current:
            rows = current
            schedule = batches(rows, options.budget, seed=int(step))
        indices = schedule.pop()
        done = used / total
        factor = min(1.0, (step + 1) / 50) * (1.0 if done < 0.6 else max(0.02, (1 - done) / 0.4))
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, base_rates, strict=True):
            group["lr"] = rate * factor
        others = options.others if done < 0.3 else 0.0  # what the terminal shows teaches copying, then only distracts
        loss, mine = loss_of(model, [rows[i] for i in indices], others)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen += sum(len(rows[i][0]) for i in indices)
        step += 1
        recent = [*recent[-49:], mine]
        now = time.monotonic()
        used = start + now - begun
        if now - last_log > 30:
            last_log = now
            print(
                f"{used / 60:6.1f} min  step {int(step):6d}  {seen / 1e6:7.2f}M tokens  loss {np.mean(recent):.4f}",
                flush=True,
            )
        if now - last_save > 300:
            last_save = now
            save(model, tokenizer, optimizers, used, seen, step, state_file)
    save(model, tokenizer, optimizers, used, seen, step, state_file)
    with torch.no_grad():
        mine = float(np.mean([loss_of(model, held[i : i + 20], 0.0)[1] for i in range(0, len(held), 20)]))
    print(f"held-out loss on the assistant's tokens: {mine:.4f}", flush=True)
    model.to(torch.bfloat16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    facts = {"parameters": count, "minutes": round(used / 60, 1), "tokens": int(seen), "held_out_loss": round(mine, 4)}
    (options.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def save(model, tokenizer, optimizers, used, seen, step, file: Path) -> None:  # type: ignore[no-untyped-def]
    temporary = file.with_suffix(".tmp")
    state = {
        "model": model.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers],
        "used": used,
        "seen": seen,
        "step": step,
    }
    torch.save(state, temporary)
    temporary.replace(file)


if __name__ == "__main__":
    main()
