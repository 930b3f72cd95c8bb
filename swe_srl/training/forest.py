"""A set of token sequences as a forest: each distinct prefix once, packed depth first.

A packed token's position is its depth, and it is seen by itself and its descendants alone: key k is visible to query q if
and only if `k <= q <= ends[k]`. What a token sees is then exactly its own sequence so far, so that every causal model
gives the numbers of the separate sequences. A sequence's last trained token is only predicted, never an input: it is not
in the forest.

Among its siblings the largest subtree comes first, so that long trunks lie in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SLACK = 0.25  # a pack may exceed its longest sequence by this share, whatever the budget


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Tokens, and which of them are trained on.

    Args:
        tokens: of the whole sequence.
        losses: indices of the tokens whose probability counts, ascending, each at least 1; may be empty.
    """

    tokens: tuple[int, ...]
    losses: Sequence[int]

    def __post_init__(self) -> None:
        ascending = isinstance(self.losses, range) or all(
            a < b for a, b in zip(self.losses, self.losses[1:], strict=False)
        )
        if self.losses and not (ascending and self.losses[0] >= 1 and self.losses[-1] < len(self.tokens)):
            raise ValueError(f"losses must ascend within 1 and {len(self.tokens) - 1}, the tokens that have one before")

    @property
    def inputs(self) -> int:
        """Tokens that a model has to read for the losses."""
        return self.losses[-1] if self.losses else 0


@dataclass(frozen=True)
class Forest:
    """M packed tokens.

    Args:
        tokens: [M] ids.
        positions: [M] depth of each, from 0.
        ends: [M] the last packed index of each token's subtree.
        sources: by sequence and loss, the packed index of the token before: where the loss's logits are.
    """

    tokens: Ints
    positions: Ints
    ends: Ints
    sources: tuple[Ints, ...]

    @classmethod
    def of(cls, sequences: Sequence[TokenSequence]) -> Forest:
        """The forest of these sequences; one without losses takes no place in it."""
        root = _grow(sequences)
        nodes = list(_depth_first(root))[1:]
        start = 0
        for node in nodes:
            node.start = start
            start += len(node.tokens)
        none = np.empty(0, np.int64)
        return cls(
            np.concatenate([none, *(node.tokens for node in nodes)]),
            np.concatenate([none, *(np.arange(len(node.tokens)) + node.depth for node in nodes)]),
            np.concatenate([none, *(np.full(len(node.tokens), node.start + node.weight - 1) for node in nodes)]),
            tuple(_sources(root, sequence) for sequence in sequences),
        )

    def visible(self) -> NDArray[np.bool_]:
        """[M, M] whether a query (row) sees a key (column)."""
        index = np.arange(len(self.tokens))
        return (index[None, :] <= index[:, None]) & (index[:, None] <= self.ends[None, :])


def distinct(sequences: Sequence[TokenSequence]) -> int:
    """Tokens of the sequences' forest."""
    return _grow(sequences).weight


def split(sequences: Sequence[TokenSequence], budget: int) -> list[list[int]]:
    """Indices of the sequences in packs whose forests have few tokens in total and at most `budget` each.

    A sequence is never split: a pack whose longest one has L tokens may hold `max(budget, (1 + SLACK) * L)`, so that the
    completions of a long context stay together.

    The sequences are laid out depth first and that order is cut where it costs least, by dynamic programming: of all cuts
    of the order, the fewest tokens, and among those the fewest packs. Nothing is repeated when everything fits, or when
    every tree does; a cut repeats the prefix that its two neighbours share and no more. (The optimum over all partitions,
    an NP-hard problem that has bin packing as the case of trees of equal prefixes, can be lower.)
    """
    order, shared = _depth_first_sequences(_grow(sequences))
    lengths = [sequences[index].inputs for index in order]
    best: list[tuple[int, int, int]] = [(0, 0, 0)]  # of the first so many: tokens, packs, where the last pack begins
    longest = max(lengths, default=0)
    for stop in range(1, len(order) + 1):
        size, deepest, choice = 0, 0, None
        for first in range(stop - 1, -1, -1):
            size += lengths[first] - (shared[first + 1] if first + 1 < stop else 0)
            deepest = max(deepest, lengths[first])
            if size > max(budget, (1 + SLACK) * longest):
                break
            if size > max(budget, (1 + SLACK) * deepest):
                continue
            option = (best[first][0] + size, best[first][1] + 1, first)
            choice = option if choice is None else min(choice, option)
        assert choice is not None  # a single sequence always fits
        best.append(choice)
    packs: list[list[int]] = []
    stop = len(order)
    while stop:
        first = best[stop][2]
        packs.append(order[first:stop])
        stop = first
    packs.reverse()
    idle = [index for index, sequence in enumerate(sequences) if not sequence.losses]
    if idle:  # they cost nothing anywhere
        packs = [packs[0] + idle, *packs[1:]] if packs else [idle]
    return packs


@dataclass(eq=False)
class _Node:
    """Tokens that the same sequences pass through, from `depth` on."""

    tokens: Ints
    depth: int = 0
    children: dict[int, _Node] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)  # sequences whose inputs end with this node
    weight: int = 0  # tokens of the subtree
    start: int = 0  # packed index

    def cut(self, length: int) -> None:
        """Keep the first tokens; the rest becomes the only child."""
        rest = _Node(self.tokens[length:], self.depth + length, self.children, self.ended)
        self.tokens, self.children, self.ended = self.tokens[:length], {int(self.tokens[length]): rest}, []


def _grow(sequences: Sequence[TokenSequence]) -> _Node:
    """The root (without tokens) of the sequences' trie, weights set."""
    root = _Node(np.empty(0, np.int64))
    for index, sequence in enumerate(sequences):
        if sequence.losses:
            _insert(root, np.array(sequence.tokens[: sequence.inputs], np.int64), index)
    for node in reversed(list(_preorder(root))):
        node.weight = len(node.tokens) + sum(child.weight for child in node.children.values())
    return root


def _insert(root: _Node, tokens: Ints, index: int) -> None:
    node, depth = root, 0
    while depth < len(tokens):
        child = node.children.get(int(tokens[depth]))
        if child is None:
            child = node.children[int(tokens[depth])] = _Node(tokens[depth:], depth)
        common = min(len(child.tokens), len(tokens) - depth)
        different = np.flatnonzero(child.tokens[:common] != tokens[depth : depth + common])
        common = int(different[0]) if len(different) else common
        if common < len(child.tokens):
            child.cut(common)
        node, depth = child, depth + common
    node.ended.append(index)


def _preorder(root: _Node) -> Iterator[_Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.children.values())


def _depth_first(root: _Node) -> Iterator[_Node]:
    """Every node before its children, the child of the largest subtree first."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(sorted(node.children.values(), key=lambda child: child.weight))


def _depth_first_sequences(root: _Node) -> tuple[list[int], list[int]]:
    """Sequences in depth-first order, and how many inputs each shares with the one before (0 for the first)."""
    order: list[int] = []
    shared: list[int] = []
    low = 0
    for node in _depth_first(root):
        low = min(low, node.depth)
        for index in node.ended:
            order.append(index)
            shared.append(low)
            low = node.depth + len(node.tokens)
    return order, shared


def _sources(root: _Node, sequence: TokenSequence) -> Ints:
    wanted = np.array(sequence.losses, np.int64) - 1
    node, found = root, np.empty(0, np.int64)
    while len(found) < len(wanted):
        node = node.children[sequence.tokens[node.depth + len(node.tokens)]]
        here = wanted[(wanted >= node.depth) & (wanted < node.depth + len(node.tokens))]
        found = np.concatenate([found, here - node.depth + node.start])
    return found
