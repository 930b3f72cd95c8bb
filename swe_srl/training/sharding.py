"""A model shared out among processes (FSDP, torch's `fully_shard`): its parameters, their gradients, the optimiser's state.

Passes with gradients gather a layer at a time. For sampling, and to be saved, the whole model is gathered: every process
must do each of these together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from swe_srl.training.adapter_settings import LoraSettings
from swe_srl.training.adapters import add_adapter, has_adapter
from swe_srl.training.checkpoints import load_weights
from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import IDLE, Scored, score, shares_prefixes
from swe_srl.training.optimiser import all_finite


class _Passes(nn.Module):
    """A model whose forward is `score`: where `fully_shard` gathers what belongs to no layer. It must not return views."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, sequences: Sequence[TokenSequence], temperature: float, plain: bool
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        found = score(self.model, sequences, temperature, plain)
        return found.logprob_NT.clone(), found.entropy_NT, found.mask_NT, found.computed


class Sharded:
    """Shares a model out, in place.

    Args:
        model: the same in every process; on a CPU, it moves to the processes' devices a layer at a time.
        device: of this process.
        lora: the adapters that were put into the model.
    """

    def __init__(self, model: PreTrainedModel, device: torch.device, lora: LoraSettings) -> None:
        self.model, self.device, self.lora = model, device, lora
        shares_prefixes(model)  # looks at it, which takes the whole model
        mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
        kinds = set(model._no_split_modules or ())
        layers: list[Any] = [one for one in model.modules() if type(one).__name__ in kinds]
        for layer in layers:
            fully_shard(layer, mesh=mesh)
        self._root: Any = fully_shard(_Passes(model), mesh=mesh)
        self._layers = layers
        for part in (*layers, self._root):
            assert isinstance(part, FSDPModule)
            part.set_gradient_divide_factor(1.0)  # the loss is weighted over all processes: gradients are summed
            part.set_force_sum_reduction_for_comms(True)
        with torch.no_grad():
            self.score(model, [IDLE])  # the first pass settles who is the root

    def like(self, model: PreTrainedModel) -> Sharded:
        """Shares another model out, in place, as this one is."""
        return Sharded(model, self.device, self.lora)

    def score(
        self, model: PreTrainedModel, sequences: Sequence[TokenSequence], temperature: float = 1.0, plain: bool = False
    ) -> Scored:
        """See `training.forward.score`: the same of the shared-out model."""
        assert model is self.model
        found = Scored(*self._root(sequences, temperature, plain))
        if not torch.is_grad_enabled():
            self._root.reshard()  # which a backward pass does else
        return found

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Inside, every process holds the whole model, for forward passes of its own."""
        for layer in self._layers:
            layer.set_reshard_after_forward(False)
        for part in (*self._layers, self._root):
            part.unshard()
        try:
            yield
        finally:
            for layer in self._layers:
                layer.set_reshard_after_forward(True)
            self._root.reset_iter_state()  # shares it out again, and forgets the order of the passes inside

    def copy(self) -> PreTrainedModel:
        """In the first process the whole model as an ordinary one on the CPU, with its adapters; elsewhere the shared one."""
        main = torch.distributed.get_rank() == 0
        state: dict[str, Any] = {}
        for name, value in self.model.state_dict().items():
            gathered = whole(value)
            if main:
                state[name] = gathered
        if not main:
            return self.model
        found = self._empty()
        found.load_state_dict(state)
        return found

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """See `training.checkpoints.load_weights`."""
        saved = self._empty()
        load_weights(saved, folder)
        adapted, values = has_adapter(self.model), dict(saved.named_parameters())
        for name, parameter in self.model.named_parameters():
            if not adapted or ".lora_" in name:
                parameter.copy_(shard(values[name].to(parameter.device), parameter))

    def _empty(self) -> PreTrainedModel:
        with torch.random.fork_rng(devices=[]):
            found: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                self.model.config, dtype=self.model.dtype
            )
            if has_adapter(self.model):
                base = self.model.peft_config["default"].base_model_name_or_path
                add_adapter(found, self.lora, str(base), 0)
        found.generation_config = self.model.generation_config
        return found


def finite_everywhere(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether all numbers are finite in the shares of all processes, which must all ask.

    Each looks at its own share and the broken ones are counted: the largest of all numbers would not tell, since what is not a
    number can be lost where processes compare it with another one.
    """
    own = [one.to_local() if isinstance(one, DTensor) else one for one in parameters]
    broken = torch.tensor([not all_finite(own)], dtype=torch.int32, device=own[0].device)
    dist.all_reduce(broken)
    return not broken.item()


def whole(value: Any) -> Any:
    """A tensor that is shared out, gathered into the CPU's memory; everything else as it is, also inside of mappings."""
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    if isinstance(value, dict):
        return {key: whole(one) for key, one in value.items()}
    return value


def shard(value: Tensor, like: Tensor) -> Tensor:
    """This process's share of a whole tensor, shared out as `like` is."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def shard_state(state: dict[str, Any], parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
    """The state of an optimiser over these parameters, of which `whole` was taken, shared out as they are."""
    own = {
        index: {
            name: shard(value.to(parameters[index].device), parameters[index])
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in values.items()
        }
        for index, values in state["state"].items()
    }
    return {**state, "state": own}
