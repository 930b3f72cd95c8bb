"""Similarities by name."""

from __future__ import annotations

from swe_srl.errors import ConfigError, suggest
from swe_srl.protocols import Similarity
from swe_srl.rewards.effect import EffectSimilarity, Probe
from swe_srl.rewards.guards import Guarded
from swe_srl.rewards.own import OwnSimilarity, load_function
from swe_srl.rewards.pivot import PivotSimilarity
from swe_srl.rewards.sequence import SequenceSimilarity
from swe_srl.rewards.shell.compare import ShellSimilarity

EFFECT = "effect"
_TEXTS = frozenset({"sequence", "sequence-autojunk"})  # the others read both texts as shell commands, whatever they are
_SIMILARITIES: dict[str, Similarity] = {
    "sequence": SequenceSimilarity(),
    "sequence-autojunk": SequenceSimilarity(autojunk=True),
    "shell": ShellSimilarity(),
    "pivot": PivotSimilarity(),
}


def similarity_names() -> list[str]:
    """Names that `get_similarity` knows, sorted."""
    return sorted([EFFECT, *_SIMILARITIES])


def get_similarity(name: str, probe: Probe | None = None, reserved: str = "", shell: bool = True) -> Similarity:
    """The similarity of that name, guarded against shell commands that do nothing; picklable and pure but for `effect`.

    Args:
        name: one of `similarity_names()`; or a function of your own as `FILE.py:FUNCTION` or `package.module:FUNCTION`, which
            is called as it is: what does nothing in your domain is for it to say.
        probe: for `effect`: where commands can be tried. Without one, `effect` is `shell`, and its parts say so.
        reserved: for `effect`: the command that ends an episode, which no shell runs.
        shell: whether what is compared are shell commands (`is_shell` of an agent definition's `action_format`). Of other texts,
            such as the steps of a solution, similarities of characters compare every one as it is.

    Raises:
        ConfigError: no such name, and the message suggests the nearest; or no such function.

    >>> get_similarity("sequence")("ls -l", "ls -la").value
    0.9090909090909091
    >>> get_similarity("sequence", shell=False)("# So 2k", "# So 2k").value
    1.0
    """
    if ":" in name:
        load_function(name)
        return OwnSimilarity(name)
    if name == EFFECT:
        return Guarded(EffectSimilarity(probe, reserved=reserved))
    if name.endswith(".py"):
        raise ConfigError(f"similarity {name!r} names a file: name the function in it, too, as {name}:FUNCTION")
    if name not in _SIMILARITIES:
        raise ConfigError(suggest(name, similarity_names(), "similarity"))
    similarity = _SIMILARITIES[name]
    return similarity if name in _TEXTS and not shell else Guarded(similarity)
