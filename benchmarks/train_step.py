"""Seconds of one SRL update at full history: the prefix forest, separate sequences, and TRL's GRPOTrainer.

    python benchmarks/train_step.py                                         8 steps of a bundled trajectory
    python benchmarks/train_step.py --trajectories FOLDER --steps 16        of the first trajectory there that has so many
    python benchmarks/train_step.py --peers-python VENV/bin/python          TRL installed elsewhere
    python benchmarks/train_step.py --sides forest,plain --device cuda --model FOLDER
    python benchmarks/train_step.py --sides forest,plain --device cuda --dtype bfloat16 --shape 7B --context 32768 \\
        --gradient-checkpointing                                            Qwen2.5's shape with random weights

All sides get the same model, the same steps of one trajectory and the same completions (random tokens, lengths about those
of the expert's answers: speed does not depend on what they say), one after the other, each in a process of its own whose
peak memory is shown (the forest's follows `--update-tokens`). CPU seconds are shown beside the wall clock because
they do not depend on what else the machine does. The gradients are compared too (of large models, a sample of their numbers).

`--dtype bfloat16` computes as a run does: parameters and gradients in float32, passes under autocast. With `--shape` the contexts
are random tokens, prefixes of one trajectory that ends at `--context` tokens. FLOP/s are those of the model (see
`train_step_flops.py`), so what is computed again is not counted; the share of the device's peak is shown where that is known.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from train_step_flops import SHAPES, flops, peak_of

SIDE = Path(__file__).resolve().parent / "train_step_side.py"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seconds of one SRL update, by how it is computed.")
    parser.add_argument("--trajectories", default="", help="file or folder; empty: the bundled ones")
    parser.add_argument("--agent", default="shell", help="agent definition that renders the prompts")
    parser.add_argument("--model", default="", help="model folder; empty: a random one")
    parser.add_argument("--hidden", type=int, default=128, help="size of the random model, a multiple of 64")
    parser.add_argument("--layers", type=int, default=4, help="of the random model")
    parser.add_argument("--shape", default="", choices=["", *SHAPES], help="a model of this shape with random weights")
    parser.add_argument("--context", type=int, default=8192, help="with --shape: tokens of the longest context")
    parser.add_argument("--completion", type=int, default=300, help="with --shape: tokens of a completion, about")
    parser.add_argument("--steps", type=int, default=8, help="of one trajectory, spread over it")
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--max-context", type=int, default=8192, help="tokens; steps with longer contexts are left out")
    parser.add_argument("--update-tokens", type=int, default=0, help="of a forest's pack; 0: the longest sequence's")
    parser.add_argument("--peer-batch", type=int, default=1, help="sequences that the other sides compute at a time")
    parser.add_argument("--sides", default="forest,plain,trl")
    parser.add_argument("--peers-python", default=sys.executable, help="the Python that has TRL")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="arithmetic of the passes")
    parser.add_argument(
        "--gradient-checkpointing", action="store_true", help="compute activations again going backward"
    )
    parser.add_argument("--peak-flops", type=float, default=0.0, help="of the device, a second; 0: what is known of it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def made_up(arguments: argparse.Namespace) -> dict[str, Any]:
    """The work of every side for a model of a shape: random tokens, every step's context a prefix of the next one's."""
    from swe_srl.training.data import quickstart_file

    shape, rng = SHAPES[arguments.shape], random.Random(arguments.seed)
    trunk = [rng.randrange(shape["vocab_size"]) for _ in range(arguments.context)]
    groups = []
    for step in range(arguments.steps):
        context = trunk[: max(1, (step + 1) * len(trunk) // arguments.steps)]
        usual = arguments.completion
        lengths = [rng.randint(max(1, 2 * usual // 3), 4 * usual // 3) for _ in range(arguments.group_size)]
        groups.append(group_of(context, lengths, shape["vocab_size"], rng))
    name = f"random tokens, shape {arguments.shape}"
    return {"trajectory": name, "model": str(quickstart_file("model")), "groups": groups, "shape": shape}


def group_of(context: list[int], lengths: list[int], vocabulary: int, rng: random.Random) -> dict[str, Any]:
    """A step: its context, random completions, random advantages."""
    completions = [[rng.randrange(vocabulary) for _ in range(length)] for length in lengths]
    return {"context": context, "completions": completions, "advantages": [rng.uniform(-1.5, 1.5) for _ in lengths]}


def prepare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The work of every side: model folder, contexts, completions, advantages."""
    import torch

    from swe_srl.agents import AgentDefinition
    from swe_srl.generation.loading import encode_chat, load_model
    from swe_srl.training.data import quickstart_file
    from swe_srl.training.random_model import make_random_model
    from swe_srl.training.targets import target_tokens
    from swe_srl.trajectories import ReadReport, make_steps, read_trajectories

    source = arguments.trajectories or quickstart_file("trajectories-train.jsonl")
    agent, report = AgentDefinition.load(arguments.agent), ReadReport()
    by_trajectory: dict[str, list[Any]] = {}
    for step in make_steps(read_trajectories(source, report), agent.prompting, report, submit=agent.submit):
        by_trajectory.setdefault(step.trajectory_id, []).append(step)
    longest = max(by_trajectory.values(), key=len, default=[])
    for steps in [one for one in by_trajectory.values() if len(one) >= arguments.steps] or [longest]:
        model = arguments.model
        if not model:
            model = str(folder / "model")
            make_random_model(Path(model), steps, arguments.seed)
            reshape(Path(model), arguments.hidden, arguments.layers)
        loaded, tokenizer = load_model(model, torch.device("cpu"), torch.float32)
        contexts = [encode_chat(tokenizer, step.context) for step in steps]
        fitting = [i for i, context in enumerate(contexts) if len(context) <= arguments.max_context]
        if len(fitting) >= arguments.steps:
            break
    else:
        sys.exit(f"no trajectory has {arguments.steps} steps with contexts of at most {arguments.max_context} tokens")
    chosen = [fitting[(i + 1) * len(fitting) // arguments.steps - 1] for i in range(arguments.steps)]
    rng = random.Random(arguments.seed)
    groups = []
    for i in chosen:
        usual = len(target_tokens(tokenizer, steps[i], True))
        lengths = [rng.randint(max(1, 2 * usual // 3), 4 * usual // 3) for _ in range(arguments.group_size)]
        groups.append(group_of(contexts[i], lengths, loaded.config.vocab_size, rng))
    shape = {name: getattr(loaded.config, name, None) for name in ("head_dim", *SHAPES["tiny"])}
    return {"trajectory": steps[0].trajectory_id, "model": model, "groups": groups, "loaded": shape}


def reshape(folder: Path, hidden: int, layers: int) -> None:
    """Give a random model another size: heads of 32 dimensions, two query heads to a key/value head."""
    from transformers import AutoConfig, AutoModelForCausalLM

    heads = max(2, hidden // 32)
    config = AutoConfig.from_pretrained(
        folder,
        hidden_size=hidden,
        intermediate_size=11 * hidden // 4,
        num_hidden_layers=layers,
        layer_types=["full_attention"] * layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def measure(side: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any] | str:
    """What a side reports, or why it does not."""
    python = arguments.peers_python if side == "trl" else sys.executable
    command = [python, str(SIDE), side, str(folder), arguments.device, str(arguments.threads)]
    command += [str(arguments.update_tokens), str(arguments.peer_batch), arguments.dtype, str(arguments.seed)]
    command += ["checkpointing"] if arguments.gradient_checkpointing else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"ended with {done.returncode}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(folder: Path, sides: list[str]) -> dict[str, float]:
    """The relative difference of every side's gradient from the first one's."""
    import torch

    vectors = {side: torch.load(folder / f"{side}.pt") for side in sides}
    first = vectors[sides[0]]
    return {side: float((one - first).norm() / first.norm()) for side, one in vectors.items()}


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = made_up(arguments) if arguments.shape else prepare(arguments, folder)
        groups = work["groups"]
        (folder / "work.json").write_text(json.dumps(work))
        lengths = [len(g["context"]) + len(one) for g in groups for one in g["completions"]]
        arguments.update_tokens = arguments.update_tokens or max(lengths)
        print(f"{work['trajectory']}: {len(groups)} steps x {arguments.group_size}, contexts of", end=" ")
        print(f"{min(len(g['context']) for g in groups)} to {max(len(g['context']) for g in groups)} tokens,", end=" ")
        print(f"{arguments.dtype} on {arguments.device}")
        columns = ("tokens", "wall s", "cpu s", "peak MB", "gradient", "TFLOP/s", "of peak")
        print(f"{'':8}" + "".join(f"{column:>{12 if column == 'gradient' else 10}}" for column in columns))
        found: dict[str, dict[str, Any]] = {}
        for side in arguments.sides.split(","):
            result = measure(side, arguments, folder)
            if isinstance(result, str):
                print(f"{side:8}not measured: {result}")
                continue
            found[side] = result
            gap = compare(folder, list(found))[side]
            print(f"{side:8}{result['tokens']:>10}{result['wall']:>10.1f}{result['cpu']:>10.1f}", end="")
            print(f"{result['peak_mb']:>10.0f}{gap:>12.1e}{utilisation(result, work, arguments)}", flush=True)
        said(found, arguments, sum(lengths))


def utilisation(result: dict[str, Any], work: dict[str, Any], arguments: argparse.Namespace) -> str:
    """The columns of a side's FLOP/s and of their share of the peak."""
    shape = work.get("shape") or work["loaded"]
    rate = flops(shape, result["tokens"], result["pairs"], result["logits"]) / result["wall"]
    peak = arguments.peak_flops or peak_of(result["device"], arguments.dtype)
    return f"{rate / 1e12:>10.3f}" + (f"{rate / peak:>10.1%}" if peak else f"{'unknown':>10}")


def said(found: dict[str, dict[str, Any]], arguments: argparse.Namespace, plain_tokens: int) -> None:
    """The forest against the others, and the peak that was assumed."""
    forest = found.get("forest")
    for side, result in found.items():
        if forest and side != "forest":
            print(f"forest against {side}: {result['wall'] / forest['wall']:.1f} times less wall clock,", end=" ")
            print(
                f"{result['cpu'] / forest['cpu']:.1f} times less CPU; token ratio {plain_tokens / forest['tokens']:.1f}"
            )
    for device in {result["device"] for result in found.values()}:
        peak = arguments.peak_flops or peak_of(device, arguments.dtype)
        known = f"{peak:.3g} FLOP/s in {arguments.dtype}, dense" if peak else "not known: give --peak-flops"
        print(f"peak of {device}: {known}")


if __name__ == "__main__":
    main()
