"""Whole models written as mlx-lm reads them, in 4 or 8 bits where asked for, and back as transformers does."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from mlx import nn
from mlx_lm.utils import dequantize_model, quantize_model, save_config, save_model

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.adapter_merge import companions, new_directory
from cruijff_kit.runtime.files import make_folder, sync_file
from cruijff_kit.runtime.mlx_model import GROUP, read_model
from cruijff_kit.runtime.model_files import model_config, weight_headers

__all__ = ["convert_model"]

_INDEX = "model.safetensors.index.json"
_PACKED = ("quantization", "quantization_config")
# Newer transformers tell rotary positions as `rope_parameters`; what stands beside for mlx-lm would count there too.
_OLDER = ("rope_theta", "rope_scaling")


def convert_model(model: Path, output: Path, *, to: Literal["mlx", "hf"], bits: int | None = None) -> None:
    """Write a model in another form to a new directory, whole or not at all; the model stays as it is.

    No network is asked and no code of the directory is run. Tokenizer files are copied as
    they are, so that prompts become the same ids.

    Args:
        model: directory in Hugging Face format, or as mlx-lm wrote it.
        output: directory to make.
        to: `mlx`, for mlx-lm; `hf`, for transformers, whose weights are never in MLX's bits.
        bits: for `mlx`, 4 or 8 bits a weight; as they lie there where None.

    Raises:
        SiteError: the output is taken, the directory cannot be loaded, is of a family that MLX
            computes otherwise, or has nothing that could be put into these bits.
    """
    network, told = read_model(model, longest=1)
    packed = any(key in told for key in _PACKED)
    if bits is not None and packed:
        raise SiteError(f"`{model}` is quantised already", hint="convert it to `hf` first, or leave `--bits` out")
    if bits is not None:
        network, told = quantize_model(network, told, GROUP, bits)
        if not any(isinstance(part, nn.QuantizedLinear | nn.QuantizedEmbedding) for part in network.modules()):
            fact = f"no layer of `{model}` has inputs in groups of {GROUP}, so none goes into {bits} bits"
            raise SiteError(fact, hint="leave `--bits` out")
    with new_directory(output, beside={"model": model}) as aside:
        if to == "hf":
            network = dequantize_model(network) if packed else network
            told = _plain(model)
        make_folder(aside)
        save_model(aside, network)
        for path in aside.glob("*.safetensors"):
            sync_file(path)
        for path in companions(model):
            if path.name not in {"config.json", _INDEX}:
                shutil.copyfile(path, aside / path.name)
        save_config(dict(told), aside / "config.json")
        if to == "hf":
            _check_names(aside, model)


def _plain(model: Path) -> dict[str, Any]:
    """Return a configuration without what only mlx-lm reads."""
    told = model_config(model)
    unwanted: Iterable[str] = (*_PACKED, *(_OLDER if "rope_parameters" in told else ()))
    return {key: value for key, value in told.items() if key not in unwanted}


def _check_names(made: Path, model: Path) -> None:
    """Refuse what transformers would load with weights missing, drawing them at random instead."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(made), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config)
    tied = {"lm_head.weight"} if config.get_text_config().tie_word_embeddings else set()
    lost = sorted(network.state_dict().keys() - tied - weight_headers(made).keys())
    if lost:
        fact = f"MLX keeps weights of `{model}` under other names than transformers: `{lost[0]}` is not there"
        raise SiteError(fact, hint="use the directory that it was converted from")
