"""One side of benchmarks/train_step.py, in a process of its own: prints a JSON line, writes its gradient beside the work.

`trl` imports TRL alone, so it runs in an environment without swe_srl.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

Loss = Callable[[], Iterator[tuple[Any, int]]]  # of every pass: the loss, and how many tokens it computed


def ours(model: Any, groups: list[dict[str, Any]], budget: int, plain: bool) -> Loss:
    """Forward passes of swe_srl: packs of at most `budget` tokens, or `budget` sequences at a time."""
    from swe_srl.generation.attention import use_grouped
    from swe_srl.training.forward import TokenGroup, passes, score
    from swe_srl.training.objective import completion_weights, policy_loss

    use_grouped(model)

    def losses() -> Iterator[tuple[Any, int]]:
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
            scored = score(model, [sequences[row] for row in rows], plain=plain)
            new, mask = scored.logprob_NT, scored.mask_NT
            loss = policy_loss(new, new.detach(), advantage_N[rows], mask, weight_N[rows], 0.2, 0.2).loss
            yield loss, scored.computed

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

    def losses() -> Iterator[tuple[Any, int]]:
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
            yield trainer._compute_loss(model, tensors), sum(len(c) + len(o) for c, o, _ in some)

    return losses


def main() -> None:
    side, name, device, threads, budget, batch = sys.argv[1:7]
    folder = Path(name)
    torch.set_num_threads(int(threads))
    work = json.loads((folder / "work.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(work["model"], dtype=torch.float32).to(device)

    def losses_of(groups: list[dict[str, Any]]) -> Loss:
        if side == "trl":
            return trl(model, groups, int(batch), folder)
        return ours(model, groups, int(budget) if side == "forest" else int(batch), plain=side == "plain")

    def synchronise() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    short = [{**g, "context": g["context"][:64]} for g in work["groups"][:1]]
    for loss, _ in losses_of(short)():  # what is done once: allocations, compilation
        loss.backward()
    losses = losses_of(work["groups"])
    model.zero_grad(set_to_none=True)
    synchronise()
    wall, cpu, tokens = time.perf_counter(), time.process_time(), 0
    for loss, count in losses():
        loss.backward()
        tokens += count
    synchronise()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    torch.save(
        torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None]), folder / f"{side}.pt"
    )
    status = Path("/proc/self/status").read_text()  # `ru_maxrss` would have the parent's peak in it
    on_cpu = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    peak = on_cpu if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps({"wall": wall, "cpu": cpu, "tokens": tokens, "peak_mb": peak}))


if __name__ == "__main__":
    main()
