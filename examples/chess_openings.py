"""SRL in a domain that is neither software nor mathematics: the next move of a chess opening.

    python examples/chess_openings.py --output runs/chess

All that a domain needs is a file of steps (JSON lines: the chat so far, and the expert's next answer as the target) and a
function that says how close an answer comes to the target. Nothing else in the trainer knows what the answers mean. Here a
tiny random model first imitates the answers (sft), then is rewarded by `same_move` (srl). The command line does the same:

    swe-srl train --trajectories openings.jsonl --agent plain --similarity examples/chess_openings.py:same_move …
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from swe_srl.training import StageSettings, TrainSettings, train
from swe_srl.trajectories import write_steps
from swe_srl.types import Message, Step

SYSTEM = "You know the chess openings. Answer with the next move alone, in algebraic notation, such as Nf3 or exd5."
OPENINGS = {
    "Italian Game": "e4 e5 Nf3 Nc6 Bc4 Bc5 c3 Nf6 d4 exd4",
    "Two Knights Defence": "e4 e5 Nf3 Nc6 Bc4 Nf6 Ng5 d5 exd5 Na5",
    "Ruy Lopez": "e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7",
    "Berlin Defence": "e4 e5 Nf3 Nc6 Bb5 Nf6 O-O Nxe4 d4 Nd6",
    "Scotch Game": "e4 e5 Nf3 Nc6 d4 exd4 Nxd4 Nf6 Nxc6 bxc6",
    "Petrov Defence": "e4 e5 Nf3 Nf6 Nxe5 d6 Nf3 Nxe4 d4 d5",
    "King's Gambit": "e4 e5 f4 exf4 Nf3 g5 h4 g4 Ne5 Nf6",
    "Najdorf Sicilian": "e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 a6",
    "Sicilian Dragon": "e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 g6",
    "Sveshnikov Sicilian": "e4 c5 Nf3 Nc6 d4 cxd4 Nxd4 Nf6 Nc3 e5",
    "French Defence": "e4 e6 d4 d5 Nc3 Nf6 Bg5 Be7 e5 Nfd7",
    "Caro-Kann Defence": "e4 c6 d4 d5 Nc3 dxe4 Nxe4 Bf5 Ng3 Bg6",
    "Scandinavian Defence": "e4 d5 exd5 Qxd5 Nc3 Qa5 d4 Nf6 Nf3 c6",
    "Pirc Defence": "e4 d6 d4 Nf6 Nc3 g6 f4 Bg7 Nf3 O-O",
    "Queen's Gambit Declined": "d4 d5 c4 e6 Nc3 Nf6 Bg5 Be7 e3 O-O",
    "Queen's Gambit Accepted": "d4 d5 c4 dxc4 Nf3 Nf6 e3 e6 Bxc4 c5",
    "Slav Defence": "d4 d5 c4 c6 Nf3 Nf6 Nc3 dxc4 a4 Bf5",
    "King's Indian Defence": "d4 Nf6 c4 g6 Nc3 Bg7 e4 d6 Nf3 O-O",
    "Grünfeld Defence": "d4 Nf6 c4 g6 Nc3 d5 cxd5 Nxd5 e4 Nxc3",
    "Nimzo-Indian Defence": "d4 Nf6 c4 e6 Nc3 Bb4 e3 O-O Bd3 d5",
    "Queen's Indian Defence": "d4 Nf6 c4 e6 Nf3 b6 g3 Ba6 b3 Bb4",
    "Benoni Defence": "d4 Nf6 c4 c5 d5 e6 Nc3 exd5 cxd5 d6",
    "Dutch Defence": "d4 f5 g3 Nf6 Bg2 e6 Nf3 Be7 O-O O-O",
    "English Opening": "c4 e5 Nc3 Nf6 Nf3 Nc6 g3 d5 cxd5 Nxd5",
}
_MOVE = re.compile(r"(?P<castling>O-O(?:-O)?)|(?P<piece>[KQRBN]?)[a-h]?[1-8]?x?(?P<square>[a-h][1-8])(?:=[QRBN])?")


def same_move(predicted: str, target: str) -> float:
    """1 for the move itself; a third each for the same piece and the same square; 0 for what is no move.

    >>> same_move("Nf3", "Nf3"), round(same_move("Nc3", "Nf3"), 2), same_move("knight", "Nf3")
    (1.0, 0.33, 0.0)
    """
    if predicted == target:
        return 1.0
    ours, theirs = _MOVE.fullmatch(predicted), _MOVE.fullmatch(target)
    if ours is None or theirs is None or ours["castling"] or theirs["castling"]:
        return 0.0
    return ((ours["piece"] == theirs["piece"]) + (ours["square"] == theirs["square"])) / 3


def steps() -> Iterator[Step]:
    """One step a move, after the first: the opening's name and its moves so far, and the move that follows."""
    for name, line in OPENINGS.items():
        moves = line.split()
        for index in range(1, len(moves)):
            question = Message("user", f"{name}: {' '.join(moves[:index])}")
            yield Step(f"{name}:{index}", name, name, index, (Message("system", SYSTEM), question), moves[index])


def settings(arguments: argparse.Namespace, file: Path) -> TrainSettings:
    shared = {
        "similarity": f"{Path(__file__).resolve()}:same_move",
        "sft_target": "command",
        "batch_steps": 16,
        "max_new_tokens": 8,
        "validation_steps": 16,
    }
    imitate = StageSettings(method="sft", updates=arguments.imitate, learning_rate=4e-3, schedule="cosine", **shared)
    reward = StageSettings(method="srl", updates=arguments.reward, learning_rate=5e-4, **shared)
    return TrainSettings(
        model="random",
        agent="plain",  # an answer is everything after the thought
        trajectories=str(file),
        validation_share=0.1,
        samples_every=1,
        output=arguments.output,
        stages=(imitate, reward),
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="SRL on chess openings.")
    parser.add_argument("--output", type=Path, default=Path("runs/chess"), help="run folder")
    parser.add_argument("--imitate", type=int, default=60, help="updates of sft")
    parser.add_argument("--reward", type=int, default=20, help="updates of srl")
    return parser.parse_args(arguments)


def main(arguments: argparse.Namespace) -> None:
    file = arguments.output.with_suffix(".steps.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_steps(file, steps())
    print(f"the steps are in {file}, the model is in {train(settings(arguments, file)) / 'model'}")


if __name__ == "__main__":
    main(parse())
