"""LoRA adapters put into a model in place: it stays the same object of the same class, so all passes work unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.seeds import derive_seed
from swe_srl.training.adapter_settings import LoraSettings

NAME = "default"
FILE = "adapter_model.safetensors"
PREFIX = "base_model.model."  # of the names in peft's files
FOLDER = "adapter"  # of a merged model's folder


def add_adapter(model: PreTrainedModel, settings: LoraSettings, base: Path | str, seed: int) -> None:
    """Freeze a model and put adapters into it, which change nothing yet. Does nothing when the rank is 0.

    Args:
        base: what the adapters' folders name as the model they belong to.
        seed: of their first values.

    Raises:
        ConfigError: peft is not installed, or the model has no such modules.
    """
    if not settings.rank:
        return
    try:
        from peft import LoraConfig
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError as error:
        raise ConfigError("peft is not installed: pip install 'swe-srl[lora]', or set lora.rank to 0") from error
    names = [name.strip() for name in settings.targets.split(",") if name.strip()]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha or 2 * settings.rank,
        target_modules="all-linear" if names == ["all-linear"] else names,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, "lora"))
        try:
            model.add_adapter(config, adapter_name=NAME)
        except ValueError as error:
            raise ConfigError(f"lora.targets: {str(error).splitlines()[0]}") from error
    embeddings = model.get_input_embeddings(), model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if model.config.tie_word_embeddings and any(isinstance(one, BaseTunerLayer) for one in embeddings):
        raise ConfigError("lora.targets: this model's input and output embeddings are one matrix: adapt neither")
    config.base_model_name_or_path = str(Path(base).resolve() if Path(base).exists() else base)
    model.train(False)


def has_adapter(model: PreTrainedModel) -> bool:
    """Whether adapters were put into the model."""
    return bool(model._hf_peft_config_loaded)


def save_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Write the adapters as peft's own folder, which `from_pretrained` reads too where the base model can be found."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model, adapter_name=NAME, save_embedding_layers=False)
    folder.mkdir(exist_ok=True)
    save_file({f"{PREFIX}{name}": weight.contiguous() for name, weight in state.items()}, folder / FILE)
    model.peft_config[NAME].save_pretrained(str(folder))


def load_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Copy saved adapters into a model that has such adapters, in place.

    Raises:
        TrainingError: the folder holds none, or those of another model or rank.
    """
    from peft import set_peft_model_state_dict

    file = next((path for path in (folder / FILE, folder / FOLDER / FILE) if path.is_file()), None)
    if file is None:
        raise TrainingError(f"{folder} holds no adapter ({FILE})")
    state = {name.removeprefix(PREFIX): weight for name, weight in load_file(file).items()}
    try:
        found: Any = set_peft_model_state_dict(model, state, adapter_name=NAME)
    except RuntimeError as error:
        raise TrainingError(f"{folder} holds an adapter of another model: {str(error).splitlines()[0]}") from error
    missing = [key for key in found.missing_keys if "lora_" in key]
    if missing or found.unexpected_keys:
        raise TrainingError(f"{folder} holds an adapter of another model ({(missing or found.unexpected_keys)[0]})")


@torch.no_grad()
def merged(model: PreTrainedModel) -> PreTrainedModel:
    """An ordinary model on the CPU whose weights have the adapters added; the given one is left as it is."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    state = {
        name.replace(".base_layer.", "."): weight.cpu()
        for name, weight in model.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer: Any = module
            state[f"{name}.weight"] = state[f"{name}.weight"] + layer.get_delta_weight(NAME).cpu()
    plain: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        model.config, dtype=model.dtype
    )
    plain.load_state_dict(state)
    plain.generation_config = model.generation_config
    return plain
