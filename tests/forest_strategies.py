"""Random sets of token sequences that share prefixes, for property tests of the forest."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from swe_srl.training.forest import TokenSequence


def random_sequences(
    seed: int, count: int, longest: int = 12, alphabet: int = 390, share: float = 0.8
) -> list[TokenSequence]:
    """Sequences that branch off one another: repeated ones, prefixes of others and ones without losses among them."""
    rng = random.Random(seed)
    found: list[TokenSequence] = []
    for _ in range(count):
        tokens: tuple[int, ...] = ()
        if found and rng.random() < share:
            other = rng.choice(found).tokens
            tokens = other[: rng.randint(0, len(other))]
        if not tokens or rng.random() < 0.85:
            tokens += tuple(rng.randrange(3, 3 + alphabet) for _ in range(rng.randint(1, longest)))
        some = sorted(rng.sample(range(1, len(tokens)), rng.randint(0, len(tokens) - 1)))
        start = rng.randint(1, len(tokens))
        found.append(TokenSequence(tokens, some if rng.random() < 0.3 else range(start, len(tokens))))
    return found


def sequence_sets(count: int = 8, longest: int = 12, alphabet: int = 390) -> st.SearchStrategy[list[TokenSequence]]:
    """As a strategy of Hypothesis."""
    return st.builds(
        random_sequences,
        st.integers(0, 10**6),
        st.integers(0, count),
        st.just(longest),
        st.just(alphabet),
        st.sampled_from([0.3, 0.8, 1.0]),
    )
