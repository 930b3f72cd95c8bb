"""One side of benchmarks/train_step.py, in a process of its own: prints a JSON line, writes its gradient beside the work.

`trl` imports TRL alone, so it runs in an environment without swe_srl.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config

COMPARED = 10_000_000  # numbers of the gradient that are written down
POSITIONS = 65_536


@dataclass
class Work:
    """What passes computed: tokens, pairs of a token and one that it attends to, tokens with logits."""

    tokens: int = 0
    pairs: int = 0
    logits: int = 0


Loss = Callable[[], Iterator[tuple[Any, Work]]]  # of every pass


def ours(model: Any, groups: list[dict[str, Any]], budget: int, plain: bool) -> Loss:
    """Forward passes of swe_srl: packs of at most `budget` tokens, or `budget` sequences at a time."""
    from swe_srl.generation.attention import use_grouped
    from swe_srl.training.forest import Forest
    from swe_srl.training.forward import TokenGroup, passes, score
    from swe_srl.training.objective import completion_weights, policy_loss

    use_grouped(model)

    def computed(chosen: list[Any]) -> Work:
        if plain:
            losses = sum(len(one.losses) for one in chosen)
            return Work(sum(one.inputs for one in chosen), sum(_causal(one.inputs) for one in chosen), losses)
        forest = Forest.of(chosen)
        logits = len({int(source) for sources in forest.sources for source in sources})
        return Work(len(forest.tokens), int(forest.positions.sum()) + len(forest.tokens), logits)

    def losses() -> Iterator[tuple[Any, Work]]:
        packed = [TokenGroup(tuple(g["context"]), tuple(map(tuple, g["completions"]))) for g in groups]
        sequences = [one for group in packed for one in group.sequences]
        advantage_N = torch.tensor([one for g in groups for one in g["advantages"]], device=model.device)
        weight_N = torch.tensor(
            completion_weights([len(one.losses) for one in sequences], "sequence"), device=model.device
        )
        batches = passes(model, sequences, budget)
        if plain:
            order = sorted(range(len(sequences)), key=lambda i: sequences[i].inputs)
            batches = [order[i : i + budget] for i in range(0, len(order), budget)]
        for rows in batches:
            chosen = [sequences[row] for row in rows]
            scored = score(model, chosen, plain=plain)
            new, mask = scored.logprob_NT, scored.mask_NT
            loss = policy_loss(new, new.detach(), advantage_N[rows], mask, weight_N[rows], 0.2, 0.2).loss
            yield loss, computed(chosen)

    return losses


def trl(model: Any, groups: list[dict[str, Any]], batch: int, folder: Path) -> Loss:
    """The loss of TRL's GRPOTrainer on its own inputs: left-padded prompts, right-padded completions, `batch` at a time."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    size = len(groups[0]["completions"])
    settings = GRPOConfig(
        output_dir=str(folder / "trl"),
        use_cpu=model.device.type == "cpu",
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=size,
        num_generations=size,
        beta=0.0,
        loss_type="grpo",
        report_to=[],
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": "-"}] * size),
        processing_class=AutoTokenizer.from_pretrained(json.loads((folder / "work.json").read_text())["model"]),
    )
    rows = [
        (g["context"], one, advantage)
        for g in groups
        for one, advantage in zip(g["completions"], g["advantages"], strict=True)
    ]
    trainer.current_gradient_accumulation_steps = len(rows) / batch
    model.train()

    def losses() -> Iterator[tuple[Any, Work]]:
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            prompt, completion = max(len(row[0]) for row in some), max(len(row[1]) for row in some)
            inputs = {
                "prompt_ids": [[0] * (prompt - len(c)) + c for c, _, _ in some],
                "prompt_mask": [[0] * (prompt - len(c)) + [1] * len(c) for c, _, _ in some],
                "completion_ids": [o + [0] * (completion - len(o)) for _, o, _ in some],
                "completion_mask": [[1] * len(o) + [0] * (completion - len(o)) for _, o, _ in some],
                "advantages": [advantage for _, _, advantage in some],
            }
            tensors = {name: torch.tensor(value, device=model.device) for name, value in inputs.items()}
            inputs_of = [len(c) + len(o) for c, o, _ in some]
            work = Work(sum(inputs_of), sum(map(_causal, inputs_of)), sum(len(o) for _, o, _ in some))
            yield trainer._compute_loss(model, tensors), work

    return losses


def _causal(tokens: int) -> int:
    return tokens * (tokens + 1) // 2


def model_of(work: dict[str, Any], device: str, seed: int) -> Any:
    """The model of a folder, or one of a shape with random weights: the same ones in every process on the same device."""
    if "shape" not in work:
        return AutoModelForCausalLM.from_pretrained(work["model"], dtype=torch.float32).to(device)
    torch.manual_seed(seed)
    config = Qwen2Config(**work["shape"], max_position_embeddings=POSITIONS)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def written(gradients: list[Any], path: Path) -> None:
    """Write down the gradient, of a large one every so many numbers."""
    each = max(1, sum(one.numel() for one in gradients) // COMPARED)
    torch.save(torch.cat([one.flatten()[::each].cpu() for one in gradients]), path)


def main() -> None:
    side, name, device, threads, budget, batch, dtype, seed, *more = sys.argv[1:]
    folder = Path(name)
    torch.set_num_threads(int(threads))
    work = json.loads((folder / "work.json").read_text())
    model = model_of(work, device, int(seed))
    if more == ["checkpointing"]:
        model.gradient_checkpointing_enable()
        model.train()

    def losses_of(groups: list[dict[str, Any]]) -> Loss:
        if side == "trl":
            return trl(model, groups, int(batch), folder)
        return ours(model, groups, int(budget) if side == "forest" else int(batch), plain=side == "plain")

    def computed(losses: Loss) -> Work:
        """Gradients of all passes."""
        half = torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
        total = Work()
        with half if dtype == "bfloat16" else nullcontext():
            for loss, one in losses():
                loss.backward()
                total.tokens, total.pairs = total.tokens + one.tokens, total.pairs + one.pairs
                total.logits += one.logits
        return total

    on_gpu = torch.device(device).type == "cuda"
    short = [{**g, "context": g["context"][:64]} for g in work["groups"][:1]]
    computed(
        losses_of(work["groups"] if on_gpu else short)
    )  # what is done once: allocations, compilation for these sizes
    losses = losses_of(work["groups"])
    model.zero_grad(set_to_none=True)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    total = computed(losses)
    if on_gpu:
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    written([p.grad for p in model.parameters() if p.grad is not None], folder / f"{side}.pt")
    status = Path("/proc/self/status").read_text()  # `ru_maxrss` would have the parent's peak in it
    on_cpu = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else on_cpu
    where = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU"
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": peak, "device": where, **vars(total)}))


if __name__ == "__main__":
    main()
