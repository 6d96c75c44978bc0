"""Llama checkpoints under torchtune: dimensions from `config.json`, weights, adapters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.model_files import model_config, weight_files

if TYPE_CHECKING:
    import torch

__all__ = ["adapted", "adapter_weights", "llama_arguments", "load_base"]

_MLP = ("gate_proj", "up_proj", "down_proj")
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", *_MLP)


def llama_arguments(folder: Path, *, max_seq_len: int) -> dict[str, Any]:
    """Return the dimensions that torchtune's Llama builders take, read from `config.json`.

    One builder serves Llama 1 to 3.2: with a scale factor of 1 the scaled rotary
    embedding is the plain one.

    Raises:
        SiteError: the directory is unreadable, or the model has a part that those
            builders do not have.
    """
    config = model_config(folder)
    heads, width = config.get("num_attention_heads", 0), config.get("hidden_size", 0)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    unsupported = _unsupported(config, rope)
    if unsupported:
        raise SiteError(
            f"base model `{folder}` is not one that `lora_single_device` can train: {'; '.join(unsupported)}",
            hint="set `tools.preparation: peft`, which trains any causal model that transformers loads",
        )
    return {
        "vocab_size": config["vocab_size"],
        "num_layers": config["num_hidden_layers"],
        "num_heads": heads,
        "num_kv_heads": config.get("num_key_value_heads") or heads,
        "embed_dim": width,
        "max_seq_len": max_seq_len,
        "intermediate_dim": config["intermediate_size"],
        "norm_eps": config.get("rms_norm_eps", 1e-6),
        "rope_base": int(rope.get("rope_theta") or config.get("rope_theta") or 10000),
        "scale_factor": rope.get("factor", 1) if _rope_kind(rope) == "llama3" else 1,
        "tie_word_embeddings": bool(config.get("tie_word_embeddings", False)),
    }


def _rope_kind(rope: Mapping[str, Any]) -> str:
    return rope.get("rope_type") or rope.get("type") or "default"


def _unsupported(config: Mapping[str, Any], rope: Mapping[str, Any]) -> list[str]:
    """Return what torchtune's Llama builders fix or lack and this model has otherwise."""
    if config.get("model_type") != "llama":
        return [f"`model_type` is `{config.get('model_type')}`, and `llama` is known"]
    missing = [key for key in _REQUIRED if not isinstance(config.get(key), int)]
    if missing:
        return [f"`config.json` lacks `{key}`" for key in missing]
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    found = {
        "head_dim": (config.get("head_dim") or head_dim, head_dim),
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "attention_bias": (config.get("attention_bias", False), False),
        "mlp_bias": (config.get("mlp_bias", False), False),
    }
    if _rope_kind(rope) == "llama3":
        known = {"low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192}
        found.update({f"rope.{key}": (rope.get(key), value) for key, value in known.items()})
    else:
        found["rope.rope_type"] = (_rope_kind(rope), "default")
    return [f"`{key}` is `{has}`, and `{knows}` is known" for key, (has, knows) in found.items() if has != knows]


_REQUIRED = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def load_base(folder: Path, arguments: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
    """Load a base model's weights under torchtune's names, on the CPU."""
    from safetensors.torch import load_file
    from torchtune.models.convert_weights import hf_to_tune

    weights: dict[str, torch.Tensor] = {}
    for path in weight_files(folder):
        weights.update(load_file(path))
    if arguments["tie_word_embeddings"]:
        weights.pop("lm_head.weight", None)
    return hf_to_tune(weights, **_heads(arguments))


def _heads(arguments: Mapping[str, Any]) -> dict[str, int]:
    return {
        "num_heads": arguments["num_heads"],
        "num_kv_heads": arguments["num_kv_heads"],
        "dim": arguments["embed_dim"],
    }


def adapter_weights(weights: "Mapping[str, torch.Tensor]", arguments: Mapping[str, Any]) -> "dict[str, torch.Tensor]":
    """Return adapter weights under peft's names.

    Args:
        weights: adapter weights under torchtune's names.
        arguments: the model's dimensions, as `llama_arguments` gives them.
    """
    from torchtune.models.convert_weights import tune_to_peft_adapter_weights

    return tune_to_peft_adapter_weights(dict(weights), **_heads(arguments))


def adapted(targets: Sequence[str] | None) -> tuple[str, ...]:
    """Return the linear layers that get an update, by their Hugging Face names.

    Raises:
        SiteError: a name is none of a Llama block, or only some of the MLP's three are named.
    """
    if targets is None:
        return _LINEAR
    unknown = [name for name in targets if name not in _LINEAR]
    if unknown:
        fact = f"`target_modules` names `{unknown[0]}`; a Llama block has {', '.join(f'`{name}`' for name in _LINEAR)}"
        raise SiteError(fact, hint="name some of these, or use `tools.preparation: peft`")
    some = [name for name in _MLP if name in targets]
    if 0 < len(some) < len(_MLP):
        fact = f"`target_modules` names {', '.join(f'`{name}`' for name in some)} of the MLP's three layers"
        raise SiteError(fact, hint="torchtune adapts all three or none; use `tools.preparation: peft` for some of them")
    return tuple(name for name in _LINEAR if name in targets)
