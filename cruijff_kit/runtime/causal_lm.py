"""Causal language models of transformers, read from a directory: nothing fetched, none of its code run."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG
from cruijff_kit.runtime.model_files import load_tokenizer

__all__ = ["OFFLINE", "end_ids", "load_causal_lm", "tokenizer_of"]

OFFLINE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""How anything of a model directory is loaded."""


def load_causal_lm(folder: str | Path, *, dtype: torch.dtype, device: torch.device, nf4: bool = False) -> Any:
    """Return the model of a directory, ready to evaluate.

    Attention is the one the model was made with: where scores are capped it is computed
    step by step, because the fused kernels leave the cap out without a word.

    Args:
        folder: directory in Hugging Face format, safetensors in it.
        dtype: arithmetic of weights and activations.
        device: where it goes.
        nf4: whether linear layers are kept in 4 bits.

    Raises:
        SiteError: the directory cannot be loaded, lacks weights or carries an adapter, or 4 bits
            are not to be had here.
    """
    if (Path(folder) / ADAPTER_CONFIG).exists():
        # transformers would put that adapter on by itself, on top of the one asked for.
        fact = f"the base model directory `{folder}` carries an adapter (`{ADAPTER_CONFIG}`)"
        raise SiteError(fact, hint="keep base models and adapters in directories of their own")
    disable_progress_bar()
    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "output_loading_info": True, **OFFLINE}
    if nf4:
        options |= _four_bits(dtype, device)
    try:
        config = AutoConfig.from_pretrained(folder, **OFFLINE)
        _refuse_packed(config, folder)
        if getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None:
            options["attn_implementation"] = "eager"
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (OSError, ValueError, RuntimeError) as err:
        raise SiteError(f"the model directory `{folder}` cannot be loaded: {err}") from err
    model, told = loaded
    missing = sorted(told["missing_keys"])
    if missing:
        # transformers would go on with random numbers in their place.
        fact = f"the model directory `{folder}` lacks {len(missing)} weights that its config.json calls for"
        raise SiteError(f"{fact}, such as `{missing[0]}`", hint="download the model again")
    return (model if nf4 else model.to(device)).eval()


def _refuse_packed(config: Any, folder: str | Path) -> None:
    """Refuse weights that mlx-lm packed into few bits: transformers knows that form by no name, and says so darkly."""
    told = getattr(config, "quantization_config", None)
    if isinstance(told, dict) and "quant_method" not in told and {"bits", "group_size"} <= set(told):
        fact = f"the weights in `{folder}` are packed by mlx-lm into {told['bits']} bits, which torch does not read"
        raise SiteError(fact, hint="use `--backend mlx`, or the model that it was made of")


def tokenizer_of(path: str) -> Any:
    """Return the tokenizer of a model directory, which reads ids as they were given.

    Raises:
        SiteError: it cannot be loaded.
    """
    try:
        tokenizer: Any = load_tokenizer(Path(path))
    except (OSError, ValueError) as err:
        raise SiteError(f"the model directory `{path}` cannot be loaded: {err}") from err
    # Tidied spaces would be another answer than the one given.
    tokenizer.clean_up_tokenization_spaces = False
    return tokenizer


def end_ids(named: int | Sequence[int] | None, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return every id that ends an answer: those that a model directory names, and its tokenizer's."""
    listed = [named] if named is None or isinstance(named, int) else named
    return tuple({end for end in (*listed, tokenizer.eos_token_id) if end is not None})


def _four_bits(dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Return the options that load linear layers as 4-bit normal floats (Dettmers et al. 2023)."""
    lacks = [
        fact
        for fact, there in (
            ("a GPU of CUDA", device.type == "cuda"),
            ("the package `bitsandbytes`", find_spec("bitsandbytes") is not None),
        )
        if not there
    ]
    if lacks:
        fact = f"`quantization: nf4` needs {' and '.join(lacks)}, which this machine does not have"
        raise SiteError(fact, hint="leave `quantization: none`, or train where both are: `pip install bitsandbytes`")
    from transformers import BitsAndBytesConfig

    bits = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": bits, "device_map": {"": device}}
