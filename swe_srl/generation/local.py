"""The embedded generator: a `transformers` model on this machine."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.generation.attention import turning_point, use_grouped
from swe_srl.generation.decoding import Sampled, decode_batch
from swe_srl.generation.kept import KeptContexts
from swe_srl.generation.loading import check_ids, decode, encode_chat, end_tokens, load_model, pick_device, pick_dtype
from swe_srl.generation.sampling import uniforms
from swe_srl.generation.trunks import Trunk, by_trunk
from swe_srl.generation.trying import check_decoding
from swe_srl.types import Completion, Message, Refusal, Sampling, StopReason

Loaded = tuple[PreTrainedModel, PreTrainedTokenizerBase]


class TransformersGenerator:
    """Completions of a causal language model, with the exact tokens and their log-probabilities.

    A context is pre-filled once, and so is the trunk of long contexts that go on from one another; the n completions decode
    against the shared keys and values, and finished ones leave the batch. Completion j of a context depends on (its seed, j)
    alone, up to rounding differences of batch shapes.

    Args:
        model: a model folder or hub id, or a loaded (model, tokenizer), which is used in place (and switched to grouped
            attention).
        device: "auto", "cpu", "cuda", "cuda:1", …; a loaded model stays where it is.
        dtype: "auto" (float32 on a CPU, bfloat16 on a GPU), "float32", "bfloat16", "float16"; a loaded model keeps its.
        batch_tokens: bound on the tokens of one batch (contexts and completions), which bounds its memory.

    Raises:
        GenerationError: the model cannot be loaded, cannot be sampled from here, or has no chat template or no end-of-turn token.
    """

    def __init__(
        self, model: str | Path | Loaded, device: str = "auto", dtype: str = "auto", batch_tokens: int = 131_072
    ) -> None:
        if batch_tokens < 1:
            raise ConfigError(f"batch_tokens must be positive, not {batch_tokens}")
        if isinstance(model, tuple):
            self.model, self.tokenizer = model
        else:
            where = pick_device(device)
            self.model, self.tokenizer = load_model(model, where, pick_dtype(dtype, where))
        self.batch_tokens = batch_tokens
        self.grouped = use_grouped(self.model)
        check_decoding(self.model)
        self.ends = end_tokens(self.model, self.tokenizer)
        self.kept: KeptContexts | None = None

    def for_episodes(self, batch_tokens: int = 0) -> TransformersGenerator:
        """The same model for the turns of episodes: keys and values of a turn's contexts are kept for the next turn.

        What is kept is freed with the generator that this returns, and belongs to the weights as they are now (see
        `kept.KeptContexts`). Models with attention of another kind keep nothing.

        Args:
            batch_tokens: bound on the tokens of one batch, and on those that are kept beside it; 0: this generator's.
        """
        generator = copy.copy(self)
        generator.batch_tokens = batch_tokens or self.batch_tokens
        generator.kept = KeptContexts(generator.batch_tokens) if self.grouped else None
        return generator

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """`n` completions for each context; see `swe_srl.protocols.Generator`.

        A context that leaves no room for a token within the model's positions is refused.

        Raises:
            GenerationError: the model failed, or has no embedding for a token; out of memory names the setting to lower.
        """
        if len(seeds) != len(contexts):
            raise ConfigError(f"{len(contexts)} contexts but {len(seeds)} seeds")
        encoded = [encode_chat(self.tokenizer, messages) for messages in contexts]
        check_ids(self.model, self.tokenizer, [max(ids, default=0) for ids in encoded])
        room = [self._room(len(ids), sampling.max_new_tokens) for ids in encoded]
        results: list[list[Completion]] = [[no_room(len(ids))] * n for ids in encoded]
        training = [module for module in self.model.modules() if module.training]
        self.model.train(False)
        if self.kept is not None:
            self.kept.begin()
        try:
            trunk, batches = Trunk(), list(self._batches(encoded, room, n))
            for batch, following in zip(batches, [*batches[1:], []][: len(batches)], strict=True):
                trunk.wanted = encoded[following[0]] if following else ()
                groups = self._within_memory(batch, encoded, room, n, sampling, seeds, trunk)
                for index, completions in zip(batch, groups, strict=True):
                    results[index] = completions
        except torch.OutOfMemoryError as error:
            raise GenerationError(
                f"out of memory while generating: lower batch_tokens ({self.batch_tokens}; in training: generate_tokens; in "
                "evaluation: fewer workers)"
            ) from error
        finally:
            for module in training:
                module.training = True
        return results

    def _within_memory(self, batch: list[int], *arguments: Any) -> list[list[Completion]]:
        """`_run`; when memory is short, once more without what is kept, and from then on with less of it."""
        try:
            return self._run(batch, *arguments)
        except torch.OutOfMemoryError:
            if self.kept is None or not self.kept.shrink():
                raise
        return self._run(batch, *arguments)

    def _room(self, length: int, wanted: int) -> int:
        limit = getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return wanted if limit is None else max(0, min(wanted, int(limit) - length))

    def _batches(self, encoded: list[list[int]], room: list[int], n: int) -> Iterator[list[int]]:
        """Indices of contexts that share a trunk or are of similar length, under the token budget (a single context may
        exceed it)."""
        batch: list[int] = []
        for index in by_trunk(encoded, [i for i in range(len(encoded)) if room[i] > 0]):
            together = [*batch, index]
            cost = max(len(encoded[i]) for i in together) + n * max(room[i] for i in together)
            apart = len({self._side(len(encoded[i]), room[i], i) for i in together}) > 1
            if batch and (apart or cost * (len(batch) + 1) > self.batch_tokens):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _side(self, length: int, room: int, index: int) -> int:
        """What can be computed together has the same: contexts before a model's turning point, or beyond it, or one by itself."""
        turn = turning_point(self.model)
        return -1 if not turn or length + room <= turn else -2 if length - 1 > turn else index

    def _run(
        self,
        batch: list[int],
        encoded: list[list[int]],
        room: list[int],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        trunk: Trunk,
    ) -> list[list[Completion]]:
        streams = uniforms([(seeds[i], j) for i in batch for j in range(n)], max(1, sampling.max_new_tokens))
        rooms = [room[i] for i in batch]
        drawing = Sampling(sampling.temperature, sampling.top_p, sampling.top_k, max(rooms))
        contexts = [encoded[i] for i in batch]
        sampled = decode_batch(self.model, contexts, n, drawing, streams, self.ends, self.kept or trunk, rooms)
        return [
            [self._completion(one, len(encoded[i])) for one in sampled[row * n : row * n + n]]
            for row, i in enumerate(batch)
        ]

    def _completion(self, sampled: Sampled, prompt_tokens: int) -> Completion:
        ids, text = tuple(sampled.token_ids), decode(self.tokenizer, sampled.token_ids, self.ends)
        return Completion(text, ids, tuple(sampled.logprobs), sampled.finished, prompt_tokens)


def no_room(prompt_tokens: int) -> Completion:
    """What is answered for a context that fills the model's positions."""
    reason = f"the context's {prompt_tokens} tokens leave no room within the model's positions"
    return Completion("", (), (), False, prompt_tokens, refusal=Refusal(reason, StopReason.TOKEN_LIMIT))
