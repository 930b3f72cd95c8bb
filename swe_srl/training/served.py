"""A vLLM server in the place of the embedded generator: it gets the model's weights before it samples, and is measured.

The server computes with kernels, and often a dtype, of its own, so its log-probabilities are a little off the model's. The
objective takes them as they are: they are those of what really sampled. How far off they are is in every update's metrics.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.generation.loading import end_tokens
from swe_srl.generation.vllm import VllmGenerator, VllmServer
from swe_srl.training.adapters import has_adapter, merged
from swe_srl.training.checkpoints import save_model, write_folder
from swe_srl.training.forward import TokenGroup
from swe_srl.training.processes import Processes
from swe_srl.training.rollouts import Logprobs
from swe_srl.training.settings import TrainSettings

COMPARED = 8  # groups of an update whose log-probabilities are compared
ALLOWED = 0.3  # mean difference: rounding to bfloat16 makes about a tenth of it, other weights several times as much

Version = tuple[float, ...]
Score = Callable[[Sequence[TokenGroup]], list[Logprobs]]


class Served:
    """The server of a run, and the weights that it has.

    Args:
        settings: of the run.
        model: the one being trained, changed in place.
        tokenizer: the model's.
        folder: in which the weights are put for the server.
        processes: all of them ask the server; the first one hands the weights over.

    Raises:
        ConfigError: there is no such server, it takes shorter contexts than the run may have, or it would not follow the model.
    """

    def __init__(
        self,
        settings: TrainSettings,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        folder: Path,
        processes: Processes,
    ) -> None:
        self.model, self.tokenizer, self.folder, self.processes = model, tokenizer, folder, processes
        self.server = VllmServer(settings.vllm.url)
        self.generator = VllmGenerator(self.server, tokenizer, end_tokens(model, tokenizer))
        self._handed: Version | None = None
        if processes.main and not settings.vllm.folder:
            shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
        self._name, self._count = uuid.uuid4().hex[:12], 0
        if _trains_tied(model) and self.server.on_cpu:
            raise ConfigError(
                "vllm.url: on a CPU, vLLM does not renew its copy of output embeddings that are tied to the input's, so it would "
                "go on sampling with old ones: train adapters (lora.rank), or serve on a GPU"
            )
        needed = _longest(settings, model)
        if self.server.positions < needed:
            raise ConfigError(
                f"vllm.url: the server takes {self.server.positions} tokens of context and completion, this run may have "
                f"{needed}: start it with --max-model-len {needed}, or lower max_context_tokens"
            )

    def follow(self, to_save: Callable[[], PreTrainedModel], sharded: bool) -> None:
        """Give the server the model's weights when they have changed since. All processes must call it.

        Args:
            to_save: gives the whole model; every process must ask.
            sharded: the model is shared out among processes: then its weights always count as changed.
        """
        version = None if sharded else weights_version(self.model)
        if version is not None and version == self._handed:
            return
        whole = to_save()
        self.generator.expected = self.processes.from_main(lambda: self._hand_over(whole))
        self._handed = version

    def _hand_over(self, model: PreTrainedModel) -> str:
        self._count += 1
        name = f"{self._name}-{self._count}"
        target = self.folder / name
        whole = merged(model) if has_adapter(model) else model
        try:
            write_folder(target, lambda hidden: save_model(hidden, whole, self.tokenizer))
            self.server.take(target, name)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        return name

    def gap(self, groups: Sequence[TokenGroup], sampled: Sequence[Logprobs], score: Score) -> dict[str, float]:
        """How far the server's log-probabilities are from the model's own, per token: the mean and the largest difference.

        Args:
            groups: sampled with the weights that the model still has.
            sampled: what the server reported.
            score: log-probabilities of the model at temperature 1.

        Raises:
            TrainingError: the server has another model.
        """
        if not groups:
            return {}
        chosen = [index * len(groups) // COMPARED for index in range(COMPARED)]
        chosen = sorted(set(chosen)) if len(groups) > COMPARED else list(range(len(groups)))
        own = score([groups[index] for index in chosen])
        pairs = [
            abs(ours - theirs)
            for index, group in zip(chosen, own, strict=True)
            for mine, given in zip(group, sampled[index], strict=True)
            for ours, theirs in zip(mine, given, strict=True)
        ]
        mean = sum(pairs) / len(pairs)
        if not mean <= ALLOWED:
            raise TrainingError(
                f"vLLM's log-probabilities are {mean:.2f} off the model's on average (allowed: {ALLOWED}): it serves another "
                "model, another tokenizer, or reports them in another way (start it with --logprobs-mode raw_logprobs)"
            )
        return {"server_gap": mean, "server_gap_max": max(pairs)}


def check_server(settings: TrainSettings) -> None:
    """Whether there is a server that a run can use.

    Raises:
        ConfigError: there is none.
    """
    VllmServer(settings.vllm.url)


@torch.no_grad()
def weights_version(model: PreTrainedModel) -> Version:
    """What tells weights from those before a change: by an optimiser, by loading a checkpoint, or in any other way.

    PyTorch counts changes in place, but not those through `.data` or by some fused kernels. So the sum and the norm of every
    trained parameter, in float64, are in it too: one pass over them, cheap beside sampling.
    """
    trained = [parameter.detach() for parameter in model.parameters() if parameter.requires_grad]
    sums = [one.sum(dtype=torch.float64) for one in trained]
    norms = [torch.linalg.vector_norm(one, dtype=torch.float64) for one in trained]
    counted = sum(parameter._version for parameter in model.parameters())
    return counted, *(torch.stack([*sums, *norms]).tolist() if trained else ())


def _trains_tied(model: PreTrainedModel) -> bool:
    """Whether one matrix is input and output embeddings, and is trained."""
    weight = model.get_input_embeddings().weight
    return bool(model.config.get_text_config(decoder=True).tie_word_embeddings and weight.requires_grad)


def _longest(settings: TrainSettings, model: PreTrainedModel) -> int:
    """Tokens that a context and its completion may have."""
    positions: Any = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if not settings.max_context_tokens:
        return int(positions or 0)
    asked = settings.max_context_tokens + max(stage.max_new_tokens for stage in settings.stages)
    return min(asked, int(positions)) if positions else asked
